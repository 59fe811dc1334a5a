--- ftpipe plan: what a pipeline file would do.

local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"

local plan = {
   summary = "Show the steps of a pipeline file without running them",
   usage = "plan FILE [--set NAME=VALUE]... [--seed N] [--force[=STEP]] [--until STEP] [--json]",
   details = [[
For each step: whether its result is in the store (hit) or it would run, and why; its parameters,
with the value of each `auto` as far as it can be known.]],
}

--- Options that decide what a file evaluates to; shared with run.
---@type ftpipe.option[]
plan.evaluation = {
   { name = "set", arg = "NAME=VALUE", type = "assignment", repeated = true,
      help = "value of a parameter (`ftpipe help FILE` lists them); may be given often" },
   { name = "seed", arg = "N", type = "integer", min = 0, help = "of everything random",
      default = "the file's own, else 1" },
   { name = "limit", arg = "SECONDS", type = "number", min = 0.01, max = 3600, default = "10",
      help = "how long evaluating the file may take" },
   { name = "allow", arg = "PATH", repeated = true, help = "let the pipeline read there too, besides its own folder" },
}

--- Options that decide what of a plan runs; shared with run.
---@type ftpipe.option[]
plan.choosing = {
   { name = "force", arg = "STEP", optional = true, repeated = true,
      help = "run the step though its result is there; without a step: all of them" },
   { name = "until", arg = "STEP", help = "only this step and what it needs" },
   { name = "out", arg = "DIR", help = "where results go", default = "runs/NAME/1, 2, ..." },
}

plan.network = {
   { name = "offline", help = "ask nothing of the network; what is not here is an error" },
}

plan.options = { plan.evaluation[1], plan.evaluation[2], plan.evaluation[3], plan.evaluation[4],
   plan.choosing[1], plan.choosing[2], plan.choosing[3], plan.network[1],
   { name = "json", help = "the plan as canonical JSON" },
}

--- The steps of a plan that --force names: true for all, or a set of their names; nil without the option.
function plan.forced(opts, evaluated)
   if not opts.force then return nil end
   local set = {}
   for _, id in ipairs(opts.force) do
      if id == true then return true end
      set[require("ftpipe.explain").find(evaluated, id).id] = true
   end
   return set
end

--- Evaluate a file in a process that holds nothing, and see that the plan reads only what it may.
---@param file string
---@param opts table of the command: set, seed, limit, allow; fetch: options of fetching.ensure where what is not here shall be
-- fetched first
---@param only_shape boolean? nothing will be read
function plan.evaluate_file(file, opts, only_shape)
   local evaluated = require("ftpipe.sandbox.child").evaluate(file, { set = opts.set or {}, seed = opts.seed, limit = opts.limit })
   if opts.fetch then require("ftpipe.fetching").ensure(evaluated, opts.fetch) end
   if not only_shape then require("ftpipe.sandbox.access").check(evaluated, file, opts) end
   return evaluated
end

--- Evaluate the one file that a command was given.
---@param command string
---@param opts table
---@param positional string[]
function plan.evaluate(command, opts, positional)
   if #positional == 0 then
      failure.raise("usage", ("%s needs a pipeline file"):format(command), ("ftpipe %s FILE"):format(command))
   end
   if #positional > 1 then
      local word = positional[2]
      failure.raise("usage", ("%s takes one file, but '%s' follows it"):format(command, word),
         word:find "=" and ("parameters are given with --set %s"):format(word) or nil)
   end
   local evaluated = plan.evaluate_file(positional[1], opts, command == "graph")
   if opts["until"] then evaluated:cut(require("ftpipe.explain").find(evaluated, opts["until"]).id) end
   return evaluated
end

--- Where each step of a plan stands, as JSON: { steps = { { id, kind, where, state ("hit", "run", "on demand"), why, seconds,
-- memory, disk } }, seconds, memory, disk, guessed }; what cannot be told yet is not there.
function plan.states(evaluated, opts)
   local json, outlook = require "ftpipe.core.json", require "ftpipe.outlook"
   local rows, _, _, schedule = require("ftpipe.explain").status(evaluated, { out = opts.out,
      force = plan.forced(opts, evaluated) })
   local told = outlook.of(evaluated, schedule, schedule.engine)
   local out = { steps = json.array {}, seconds = told.seconds, memory = told.memory, disk = told.disk, guessed = not told.seen }
   for i, row in ipairs(rows) do
      local f = told.steps[row.step.id] or {}
      out.steps[i] = { id = row.step.id, kind = row.step.kind, where = row.step.where, why = row.why, seconds = f.seconds,
         memory = f.memory, disk = f.disk, state = row.state == "follows" and "run" or row.state }
   end
   return json.encode(out) .. "\n"
end

local words = { hit = "hit", run = "run", follows = "run", ["on demand"] = "computed when needed" }

--- The plan with where each step stands, for people.
function plan.text(evaluated, opts)
   local rows, _, _, schedule = require("ftpipe.explain").status(evaluated, { out = opts.out,
      force = plan.forced(opts, evaluated) })
   local notes, times, count = {}, {}, 0
   for _, row in ipairs(rows) do
      notes[row.step.id] = words[row.state] .. (row.why and ": " .. row.why or "")
      if row.state == "run" or row.state == "follows" then count = count + 1 end
   end
   if count == 0 then return evaluated:text(notes) .. "\nnothing to run\n" end
   local outlook = require "ftpipe.outlook"
   local told = outlook.of(evaluated, schedule, schedule.engine)
   for id, row in pairs(told.steps) do times[id] = outlook.text(row, true) end
   return evaluated:text(notes, times) .. ("\n%d of %d steps run: %s\n"):format(count, #rows, outlook.text(told))
      .. (told.seen and "" or "(times are guesses where this machine has not run such a step yet)\n")
end

-- What comes from elsewhere, with size and licence where they are stated.
local function elsewhere(evaluated, opts)
   local fetching = require "ftpipe.fetching"
   local wanted = fetching.wanted(evaluated)
   if #wanted == 0 then return "" end
   fetching.ask_sizes(wanted, { offline = opts.offline })
   return "\nfrom elsewhere:\n" .. table.concat(require("ftpipe.cli.fetch").lines(wanted), "\n") .. "\n"
end

function plan.run(opts, positional)
   local evaluated = plan.evaluate("plan", opts, positional)
   sys.out(opts.json and evaluated:json() or plan.text(evaluated, opts) .. elsewhere(evaluated, opts))
end

return plan
