--- ftpipe plan: what a pipeline file would do.

local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"

local plan = {
   summary = "Show the steps of a pipeline file without running them",
   usage = "plan FILE [--set NAME=VALUE]... [--seed N] [--json]",
}

--- Options that decide what a file evaluates to; shared with run.
---@type ftpipe.option[]
plan.evaluation = {
   { name = "set", arg = "NAME=VALUE", type = "assignment", repeated = true,
      help = "value of a parameter (`ftpipe help FILE` lists them); may be given often" },
   { name = "seed", arg = "N", type = "integer", min = 0, help = "of everything random",
      default = "the file's own, else 1" },
}

plan.options = { plan.evaluation[1], plan.evaluation[2],
   { name = "json", help = "the plan as canonical JSON" },
}

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
   return require("ftpipe.pipeline").evaluate(positional[1], { set = opts.set or {}, seed = opts.seed, cwd = "" })
end

function plan.run(opts, positional)
   local evaluated = plan.evaluate("plan", opts, positional)
   sys.out(opts.json and evaluated:json() or evaluated:text())
end

return plan
