--- ftpipe runs: the runs below runs/.

local sys = require "ftpipe.core.sys"
local json = require "ftpipe.core.json"

local command = {
   summary = "List the runs there are",
   usage = "runs [DIR] [--json]",
   details = "Those in DIR and below it, or in runs/.",
   options = { { name = "json", help = "one JSON object for each run" } },
}

local headline = { "accuracy", "f1", "exact", "perplexity", "loss" }

local function score_of(run)
   for _, name in ipairs(headline) do
      local value = run.metrics and run.metrics[name]
      if type(value) == "number" then return name, value end
   end
end

local function summary(run)
   local ran = 0
   for _, step in ipairs(run.about.steps or {}) do if step.ran then ran = ran + 1 end end
   local name, value = score_of(run)
   return { run = run.dir, started = run.about.started, ended = run.about.ended, done = run.done, steps_run = ran,
      steps = #(run.about.steps or {}), metric = name, score = value, command = run.about.command }
end

--- Rows of texts as aligned columns.
---@param rows string[][]
function command.columns(rows)
   local wide, out = {}, {}
   for _, row in ipairs(rows) do
      for i, cell in ipairs(row) do wide[i] = math.max(wide[i] or 0, utf8.len(cell) or #cell) end
   end
   for _, row in ipairs(rows) do
      local parts = {}
      for i, cell in ipairs(row) do parts[i] = cell .. (" "):rep(wide[i] - (utf8.len(cell) or #cell)) end
      out[#out + 1] = (table.concat(parts, "  "):gsub(" +$", ""))
   end
   return table.concat(out, "\n") .. "\n"
end

function command.run(opts, positional)
   local all = require("ftpipe.runs").all(positional[1])
   local rows = { { "run", "started", "state", "steps run", "score" } }
   for _, run in ipairs(all) do
      local s = summary(run)
      if opts.json then sys.out(json.encode(s) .. "\n") end
      rows[#rows + 1] = { s.run, s.started or "", s.done and "done" or "unfinished", ("%d of %d"):format(s.steps_run, s.steps),
         s.metric and ("%s %.4f"):format(s.metric, s.score) or "" }
   end
   if opts.json then return end
   if #all == 0 then
      sys.err(("there are no runs in %s\n"):format(positional[1] or "runs"))
   else
      sys.out(command.columns(rows))
   end
end

return command
