--- ftpipe compare: runs side by side, what differs first.

local sys = require "ftpipe.core.sys"
local json = require "ftpipe.core.json"
local failure = require "ftpipe.failure"

local command = {
   summary = "Compare runs: scores and settings side by side",
   usage = "compare RUN RUN... [--json]",
   details = [[
Rows that differ come first. A difference of scores, with its 95 % interval from a paired
bootstrap, is told only between runs whose test rows are the same.]],
   options = { { name = "json", help = "as one JSON object" } },
}

local function cell(value)
   if value == json.null or value == nil then return "" end
   return require("ftpipe.runs").value_text(value)
end

local function print_rows(title, rows, out)
   for i, row in ipairs(rows) do
      local line = { (row.differs and "* " or "  ") .. row.name }
      for k, value in ipairs(row.values) do line[k + 1] = cell(value) end
      if i == 1 then out[#out + 1] = { title } end
      out[#out + 1] = line
   end
end

local function points(x) return ("%+.1f"):format(100 * x) end

local function difference_text(d)
   if d.reason then return ("%s and %s: no difference is told, because %s\n"):format(d.a, d.b, d.reason) end
   return ("%s less %s on the same %d rows: accuracy %s points (95 %% interval %s to %s), F1 %s (%s to %s)\n"):format(d.b, d.a,
      d.rows, points(d.accuracy.value), points(d.accuracy.low), points(d.accuracy.high), points(d.f1.value), points(d.f1.low),
      points(d.f1.high))
end

function command.run(opts, positional)
   if #positional < 2 then failure.raise("usage", "compare needs two or more runs", "ftpipe " .. command.usage) end
   local runs = require "ftpipe.runs"
   local list = {}
   for i, word in ipairs(positional) do list[i] = runs.find(word) end
   local found = runs.compare(list)
   if opts.json then
      sys.out(json.encode(found) .. "\n")
      return
   end
   local out = { { "", table.unpack(found.runs) } }
   print_rows("scores", found.scores, out)
   print_rows("settings", found.settings, out)
   sys.out(require("ftpipe.cli.runs").columns(out) .. "\n")
   for _, d in ipairs(found.differences) do sys.out(difference_text(d)) end
end

return command
