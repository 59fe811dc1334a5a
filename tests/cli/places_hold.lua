-- tests/cli/places_hold.lua - the answers of `ftpipe predict` stand where it says: places_hold.lua ANSWERS.jsonl

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"

local seen = 0
for line in assert(fs.read(arg[1])):gmatch "[^\n]+" do
   local row = assert(json.decode(line))
   for _, a in ipairs(row.best) do
      local first, stop = utf8.offset(row.context, a.start + 1), utf8.offset(row.context, a["end"] + 1)
      local there = row.context:sub(first, stop - 1)
      assert(there == a.text, ("%d to %d is %q, not %q"):format(a.start, a["end"], there, a.text))
      seen = seen + 1
   end
end
sys.out(seen .. " answers\n")
assert(seen > 2, "hardly any answers")
return 0
