--- ftpipe why: what makes a step run again, field by field.

local sys = require "ftpipe.core.sys"
local json = require "ftpipe.core.json"
local failure = require "ftpipe.failure"
local plan = require "ftpipe.cli.plan"

local why = {
   summary = "Tell why a step would run: each changed field, old and new",
   usage = "why FILE STEP [--set NAME=VALUE]... [--out DIR] [--json]",
   details = [[
The step is compared with the last run of the pipeline (or the one in --out). A step whose inputs
come from steps that run themselves is told by those.]],
   options = { plan.evaluation[1], plan.evaluation[2], plan.evaluation[3], plan.evaluation[4],
      { name = "out", arg = "DIR", help = "compare with the run there", default = "the last of runs/NAME" },
      { name = "json", help = "as one JSON object" },
   },
}

local states = { hit = "its result is in the store: it does not run", run = "it runs",
   follows = "it runs after others, unless they leave what they left before",
   ["on demand"] = "it is cheap and never stored: it is computed when another step needs it" }

local function print_text(row, dir)
   sys.out(("%s   (%s)\n"):format(row.step.id, row.step.where))
   sys.out(("  %s\n"):format(states[row.state]))
   if row.changes then
      if dir then sys.out(("  compared with %s:\n"):format(dir)) end
      for _, c in ipairs(row.changes) do
         sys.out(("    %-24s %s -> %s\n"):format(c.field, c.old == nil and "(none)" or tostring(c.old),
            c.new == nil and "(none)" or tostring(c.new)))
      end
   elseif row.why then
      sys.out(("  because: %s\n"):format(row.why))
   end
end

function why.run(opts, positional)
   if #positional ~= 2 then failure.raise("usage", "why needs a pipeline file and a step", "ftpipe why FILE STEP") end
   local explain = require "ftpipe.explain"
   local evaluated = plan.evaluate("why", opts, { positional[1] })
   local wanted = explain.find(evaluated, positional[2])
   local rows, _, dir = explain.status(evaluated, { out = opts.out })
   for _, row in ipairs(rows) do
      if row.step == wanted then
         if opts.json then
            sys.out(json.encode { step = row.step.id, where = row.step.where, state = row.state, why = row.why,
               changes = json.array(row.changes or {}), compared_with = dir, key = row.key } .. "\n")
         else
            print_text(row, dir)
         end
      end
   end
end

return why
