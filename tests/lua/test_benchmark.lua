-- tests/lua/test_benchmark.lua - what `ftpipe bench` counts, on a small encoder: operations and calls by arithmetic. Its times are
-- those of the machine.

local check = require "check"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"
local benchmark = require "ftpipe.benchmark"

check.suite "benchmark"

local H, LAYERS, INNER, VOCAB, S, B = 32, 2, 64, 200, 10, 4
local UPDATES, WARM = 3, 1

local dir = assert(sys.getenv "TMPDIR")
fs.write(dir .. "/config.json", json.encode { model_type = "bert", vocab_size = VOCAB, hidden_size = H,
   num_hidden_layers = LAYERS, num_attention_heads = 2, intermediate_size = INNER, max_position_embeddings = 64 })

-- FLOPs of a forward pass for one token.
local LAYER = 8 * H * H + 4 * H * INNER + 4 * S * H

local function run(task)
   return benchmark.run { model = dir, task = task, lengths = tostring(S), batch = B, updates = UPDATES, warm = WARM,
      precision = "f32", profile = true }
end

check.test("updates_flops_and_shares", function()
   local r = run "classification"
   check.equal(r.updates, UPDATES)
   check.is_true(math.abs(r.train_flop_s / r.train_tok_s - 3 * LAYERS * LAYER) < 1)
   check.is_true(math.abs(r.eval_share * r.product_flop_s / r.eval_tok_s - LAYERS * LAYER) < 1)
end)

check.test("pretraining_counts_its_head_where_it_is_computed", function()
   local r = run "mlm"
   local guess = 0.15 * (2 * H * H + 2 * H * VOCAB)
   check.is_true(math.abs(r.train_flop_s / r.train_tok_s - 3 * (LAYERS * LAYER + guess)) < 1)
   check.is_true(math.abs(r.eval_share * r.product_flop_s / r.eval_tok_s - LAYERS * LAYER) < 1)
end)

-- The updates that are measured are in the profile, not the warm-up and the last one, behind which weights are kept.
check.test("a_profile_has_operations_and_the_optimiser", function()
   local r = run "classification"
   local at = {}
   for _, row in ipairs(r.profile) do at[row.op] = row end
   local all = UPDATES
   check.equal({ at.cross_entropy.calls, at.residual_layer_norm.calls }, { all, 2 * LAYERS * all })
   local parameters = 12 * LAYERS + 9     -- of layers; tables and their norm, pooler, head
   check.equal({ at.adamw.calls, at.gradient_norm.calls }, { all, parameters * all })
   -- of every weight four numbers are read and three written: weights, gradients and two moments
   local weights = (VOCAB + 64 + 2) * H + LAYERS * (4 * H * H + 2 * H * INNER + 9 * H + INNER) + 2 * H + H * H + H + 2 * H + 2
   check.is_true(at.adamw.bytes <= 28 * weights * all)
   check.is_true(at.adamw.bytes >= 28 * (weights - (VOCAB + 64) * H) * all)
   for _, row in ipairs(r.eval_profile) do check.is_true(row.op ~= "adamw") end
end)

-- Zipf's law: the most frequent word is there about twice as often as the next one, and all ids are of the vocabulary.
check.test("words_are_as_frequent_as_in_text", function()
   local count, most = {}, 0
   for _, id in ipairs(benchmark.ids(100000, 1000, 30522)) do
      count[id] = (count[id] or 0) + 1
      most = math.max(most, count[id])
      check.is_true(id >= 1000 and id < 30522)
   end
   local sorted = {}
   for _, n in pairs(count) do sorted[#sorted + 1] = n end
   table.sort(sorted, function(a, b) return a > b end)
   check.is_true(math.abs(sorted[1] / sorted[2] - math.log(2) / math.log(1.5)) < 0.01)
   check.is_true(#sorted > 8000)
end)

check.done()
