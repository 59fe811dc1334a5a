--- ftpipe show: what a run was and what came out.

local sys = require "ftpipe.core.sys"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local failure = require "ftpipe.failure"

local command = {
   summary = "Show a run: parameters, steps, scores, the command to repeat it",
   usage = "show RUN [--json]",
   details = "RUN is a directory, NAME/NUMBER, or NAME for its latest run.",
   options = { { name = "json", help = "what the run noted, and its scores, as one JSON object" } },
}

local function sorted(t)
   local keys = {}
   for k in pairs(t) do keys[#keys + 1] = k end
   table.sort(keys)
   return keys
end

local function print_run(run)
   local columns, text_of = require("ftpipe.cli.runs").columns, require("ftpipe.runs").value_text
   local about = run.about
   sys.out(("%s: %s, seed %s, ftpipe %s, %s\n"):format(run.dir, about.name, tostring(about.seed), about.version or "?",
      run.done and "done" or "unfinished"))
   sys.out(("started %s%s\n"):format(about.started or "?", about.ended and ", ended " .. about.ended or ""))
   sys.out(("computed with %s on %s\n"):format(about.computed_with or "?", (about.machine or {}).processor or "?"))
   sys.out(("command: %s\n\n"):format(about.command or "?"))
   local rows = { { "parameter", "value" } }
   for _, name in ipairs(sorted(about.params or {})) do rows[#rows + 1] = { name, text_of(about.params[name]) } end
   sys.out(columns(rows) .. "\n")
   rows = { { "from elsewhere", "", "licence" } }
   for _, source in ipairs(about.sources or {}) do
      rows[#rows + 1] = { source.name, source.commit and "commit " .. source.commit or source.sha256
         and "sha256 " .. source.sha256 or "?", source.licence or "not stated" }
   end
   if #rows > 1 then sys.out(columns(rows) .. "\n") end
   rows = { { "step", "kind", "", "seconds" } }
   for _, step in ipairs(about.steps or {}) do
      rows[#rows + 1] = { step.id, step.kind, step.ran and "ran" or step.seconds and "taken over" or "when needed",
         step.seconds and ("%.1f"):format(step.seconds) or "" }
   end
   sys.out(columns(rows))
   local report = fs.read(run.dir .. "/report.txt")
   if report then sys.out("\n" .. report) end
end

function command.run(opts, positional)
   if #positional ~= 1 then failure.raise("usage", "show needs a run", "ftpipe " .. command.usage) end
   local run = require("ftpipe.runs").find(positional[1])
   if opts.json then
      sys.out(json.encode { run = run.dir, done = run.done, about = run.about, metrics = run.metrics } .. "\n")
   else
      print_run(run)
   end
end

return command
