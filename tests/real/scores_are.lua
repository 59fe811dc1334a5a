-- tests/real/scores_are.lua - exact match and F1 of a file that `ftpipe score --json` wrote, in points, to twelve digits.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"

local scores = json.decode(assert(fs.read(arg[1])))
for i, key in ipairs { "exact", "f1" } do
   local want = tonumber(arg[i + 1])
   local got = 100 * scores[key]
   if math.abs(got - want) > 1e-10 then error(("%s is %.12f, expected %.12f"):format(key, got, want), 0) end
end
