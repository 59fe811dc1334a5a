--- ftpipe bench: training and evaluation speed of a published shape or a model's on this machine.

local sys = require "ftpipe.core.sys"
local json = require "ftpipe.core.json"
local benchmark = require "ftpipe.benchmark"
local machine = require "ftpipe.cli.machine"

local bench = {
   summary = "Measure training and evaluation speed on this machine",
   usage = "bench [--shape NAME | --model DIR] [--lengths N|sst2|FILE] [--batch B] [options]",
   details = [[
Trains and evaluates a model of random weights by the loop that ft.finetune uses (loader, dropout,
clipping, optimiser, log). Speeds are tokens per second over whole updates. The share is useful
FLOP/s (3 x forward for training) divided by the rate of matrix products, measured in the same
run on the same shapes with the faster library.]],
   options = machine.with {
      { name = "shape", arg = "NAME", help = "minilm-l6, distil, bert-base or mini", default = "minilm-l6",
         choices = { "minilm-l6", "distil", "bert-base", "mini" } },
      { name = "model", arg = "DIR", help = "the shape that its config.json tells, whatever the architecture; weights are random" },
      { name = "task", arg = "T", help = "classification, or mlm: masked-LM pre-training", default = "classification",
         choices = { "classification", "mlm" } },
      { name = "lengths", arg = "N|sst2|FILE", help = "tokens of each row", default = "128" },
      { name = "batch", arg = "B", type = "integer", min = 1, help = "rows of an update", default = "32" },
      { name = "updates", arg = "N", type = "integer", min = 1, help = "updates to measure", default = "12" },
      { name = "precision", arg = "P", help = "f32 or bf16", default = "f32",
         choices = { "f32", "bf16" } },
      { name = "profile", help = "also show where the time goes, by operation" },
      { name = "json", help = "print one line of JSON" },
   },
}

local function giga(x) return x / 1e9 end

local function show(r)
   sys.out(("%s, %s, lengths %s, batch %d, %s, %d threads, %s, kernels %s\n"):format(r.shape, r.task, r.lengths, r.batch,
      r.precision,
      r.threads, r.products_by, r.kernels))
   sys.out(("  training    %8.0f tokens/s  %6.1f GFLOP/s useful  %3.0f %% of the products' rate\n"):format(r.train_tok_s,
      giga(r.train_flop_s), 100 * r.train_share))
   sys.out(("  evaluation  %8.0f tokens/s                          %3.0f %%\n"):format(r.eval_tok_s, 100 * r.eval_share))
   sys.out(("  products    %8.1f GFLOP/s     memory: %.0f MiB counted, %.0f MiB resident at most\n"):format(
      giga(r.product_flop_s), r.peak_bytes / 2 ^ 20, r.resident_bytes / 2 ^ 20))
end

local function show_profile(profile, of)
   local total = 0
   for _, p in ipairs(profile) do total = total + p.forward_s + p.backward_s end
   sys.out(("\n  %s\n"):format(of))
   sys.out("  operation               calls  forward s  backward s  share  GFLOP/s   GB/s\n")
   for _, p in ipairs(profile) do
      local time = p.forward_s + p.backward_s
      sys.out(("  %-22s %6d  %9.3f  %10.3f  %4.1f%%  %7.1f  %5.1f\n"):format(p.op, p.calls, p.forward_s, p.backward_s,
         100 * time / total, giga(p.flops) / time, giga(p.bytes) / time))
   end
end

function bench.run(opts)
   machine.apply(opts)
   local r = benchmark.run { task = opts.task or "classification",
      shape = opts.shape or "minilm-l6", model = opts.model, lengths = opts.lengths or "128", batch = opts.batch or 32,
      updates = opts.updates or 12, warm = 3, profile = opts.profile,
      precision = opts.precision or "f32" }
   if opts.json then
      sys.out(json.encode(r) .. "\n")
      return 0
   end
   show(r)
   if r.profile then
      show_profile(r.profile, "training")
      show_profile(r.eval_profile, "evaluation")
   end
   return 0
end

return bench
