--- ftpipe check: a pipeline file and its data, before any weight is read.

local sys = require "ftpipe.core.sys"
local json = require "ftpipe.core.json"
local failure = require "ftpipe.failure"
local plan = require "ftpipe.cli.plan"

local command = {
   summary = "Check a pipeline file and its data before anything runs",
   usage = "check FILE [--set NAME=VALUE]... [--json]",
   details = [[
Of the file: variables that nobody declares, parameters and steps that lead to nothing. Of the rows:
encoding, delimiter, label typos, conflicting labels, exact and near duplicates within and across
splits, empty and enormous texts, labels too rare to split, the share that would be truncated.
Exit code 0: nothing was found; 1: something was.]],
   options = { plan.evaluation[1], plan.evaluation[2], plan.evaluation[3], plan.evaluation[4],
      { name = "json", help = "one JSON object for each finding" } },
}

function command.run(opts, positional)
   if #positional ~= 1 then failure.raise("usage", "check needs one pipeline file", "ftpipe " .. command.usage) end
   local findings = require("ftpipe.check").run(positional[1], opts)
   for _, f in ipairs(findings) do
      sys.out(opts.json and json.encode(f) .. "\n" or ("%s  [%s]\n"):format(f.text, f.code))
   end
   if not opts.json then
      sys.err(#findings == 0 and "nothing found\n" or ("%d finding%s\n"):format(#findings, #findings == 1 and "" or "s"))
   end
   return #findings > 0 and 1 or 0
end

return command
