--- ftpipe run: evaluate a pipeline file, run its steps, print the report.

local sys = require "ftpipe.core.sys"
local fs = require "ftpipe.core.fs"
local machine = require "ftpipe.cli.machine"
local plan = require "ftpipe.cli.plan"

local run = {
   summary = "Run a pipeline file, or go on with its interrupted run",
   usage = "run FILE [--set NAME=VALUE]... [--out DIR] [options]",
   details = [[
The results are a directory: model/ (as transformers reads it), report.txt, metrics.json,
predictions.csv, log.jsonl and plan.json. An interrupted run goes on when the same command is
typed again. The report goes to standard output, progress to standard error; with --quiet
only the directory's path is printed.]],
   options = machine.with {
      plan.evaluation[1], plan.evaluation[2], plan.evaluation[3], plan.evaluation[4],
      plan.choosing[1], plan.choosing[2], plan.choosing[3], plan.network[1],
      { name = "jobs", arg = "N", type = "integer", min = 1, max = 256, default = "1",
         help = "steps side by side; they share the processors" },
      { name = "worker", arg = "STEP", hidden = true, help = "compute this one step for the run in --out" },
      { name = "alone", hidden = true, help = "no other worker is at that run" },
      { name = "revision", arg = "NAME=COMMIT", repeated = true, hidden = true, help = "of a worker: what a revision means" },
      { name = "dry-run", help = "only say what would run, as `ftpipe plan` does" },
      { name = "json", help = "with --dry-run: where each step stands, as one JSON object" },
      { name = "checkpoint", arg = "SECONDS", type = "number", min = 0, default = "60",
         help = "time between checkpoints" },
   },
}

local function say_where(out)
   sys.err(("results: %s\n"):format(out))
   local config = fs.read(out .. "/model/config.json")
   if not config then return end
   if config:find("ForQuestionAnswering", 1, true) then
      sys.err(("to use it: ftpipe predict %s/model --question \"...\" --context \"...\"\n"):format(out))
   elseif config:find("ForMaskedLM", 1, true) then
      sys.err(("to fine-tune it: ftpipe run pipelines/sentiment.lua --set model=%s/model --set data=FILE\n"):format(out))
   else
      sys.err(("to use it: ftpipe predict %s/model \"some text\"\n"):format(out))
   end
end

-- A worker's words: those that decide what is computed, and how it is told.
local function worker_words(opts, file)
   local dir = require("ftpipe.cli").facts.lua_dir
   local words = dir and { "--lua", dir, "run", file } or { "run", file }
   local function add(name, value)
      if value ~= nil then
         words[#words + 1] = "--" .. name
         words[#words + 1] = tostring(value)
      end
   end
   for _, s in ipairs(opts.set or {}) do add("set", s.name .. "=" .. s.value) end
   add("seed", opts.seed)
   add("until", opts["until"])
   add("checkpoint", opts.checkpoint)
   add("blas", opts.blas)
   add("memory", opts.memory)
   add("limit", opts.limit)
   for _, path in ipairs(opts.allow or {}) do add("allow", path) end
   for _, word in ipairs(require("ftpipe.hub").resolved()) do add("revision", word) end
   return words
end

-- What a worker does before it runs a step: it gives up what steps do not need.
local function enter(evaluated, opts, file)
   local step = require "ftpipe.sandbox.step"
   local foreign = step.has_foreign_code(evaluated)
   return function(run_plan, out, store)
      local cut = opts["until"] and require("ftpipe.explain").find(run_plan, opts["until"]).id
      step.enter(run_plan, { out = out, store = store, file = file, changes = opts.force ~= nil, foreign = foreign,
         opts = { set = opts.set, allow = opts.allow, seed = opts.seed, ["until"] = cut } })
   end
end

local function say_unprotected(evaluated)
   local foreign = require("ftpipe.sandbox.step").has_foreign_code(evaluated)
   local missing = foreign and require("ftpipe.sandbox").missing()
   if missing then sys.err(("! %s\n"):format(missing)) end
end

-- As a worker. What goes wrong is told by the process that leads.
local function work(opts, positional)
   local errors = require "ftpipe.cli.errors"
   local ok, e = xpcall(function()
      local evaluated = plan.evaluate("run", opts, positional)
      machine.apply(opts)
      local progress <close> = require("ftpipe.progress").new { width = not opts.alone and false or nil }
      require("ftpipe.worker").work(evaluated, { step = opts.worker, out = opts.out, progress = progress, alone = opts.alone,
         checkpoint = opts.checkpoint, force = plan.forced(opts, evaluated), enter = enter(evaluated, opts, positional[1]) })
   end, errors.capture)
   if ok then return 0 end
   if type(e) ~= "table" then e = errors.capture(e) end      -- where memory ran out no handler is called
   errors.leave(e)
   return errors.code(e)
end

-- Evaluate the file, and fetch first what it names and is not here.
local function evaluate(opts, positional)
   if opts.dry_run then return plan.evaluate("run", opts, positional) end
   local progress <close> = require("ftpipe.progress").new { quiet = opts.quiet }
   opts.fetch = { offline = opts.offline, progress = progress }
   return (plan.evaluate("run", opts, positional))
end

function run.run(opts, positional)
   if opts.json and not opts.dry_run then
      require("ftpipe.failure").raise("usage", "--json goes with --dry-run", "the scores of a run: ftpipe show RUN --json")
   end
   for _, word in ipairs(opts.revision or {}) do require("ftpipe.hub").resolve(word) end
   if opts.worker then return work(opts, positional) end
   local evaluated = evaluate(opts, positional)
   if opts.dry_run then
      sys.out(opts.json and plan.states(evaluated, opts) or plan.text(evaluated, opts))
      return
   end
   machine.apply(opts)
   local cli = require "ftpipe.cli"
   local progress <close> = require("ftpipe.progress").new { quiet = opts.quiet }
   say_unprotected(evaluated)
   local result = require("ftpipe.runner").run(evaluated, { out = opts.out, quiet = opts.quiet, progress = progress,
      command = cli.typed(), force = plan.forced(opts, evaluated), version = cli.facts.version, machine = machine.facts(),
      sources = require("ftpipe.fetching").origins(opts.fetch.wanted),
      jobs = opts.jobs, worker = worker_words(opts, positional[1]) })
   progress:finish()
   if result.repeats and not opts.quiet then
      sys.err(("nothing to do: %s is the run of this plan\n"):format(result.out))
   end
   if opts.quiet then
      sys.out(result.out .. "\n")
   else
      sys.out(result.report)
      say_where(result.out)
   end
end

return run
