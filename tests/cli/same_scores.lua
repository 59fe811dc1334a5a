-- tests/cli/same_scores.lua - scores of two JSON files are the same: those named, else exact match and F1.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"

local a, b = json.decode(assert(fs.read(arg[1]))), json.decode(assert(fs.read(arg[2])))
for _, key in ipairs(#arg > 2 and table.move(arg, 3, #arg, 1, {}) or { "exact", "f1", "rows" }) do
   if math.abs(a[key] - b[key]) > 1e-12 then error(("%s: %s and %s"):format(key, a[key], b[key]), 0) end
end
