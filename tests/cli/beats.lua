-- tests/cli/beats.lua - one run's metrics.json has more of something than another's: ftpipe lua tests/cli/beats.lua MORE LESS KEY
-- [BY]. KEY is a score, or a label, whose predictions on the training rows are counted.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"

local function value(path)
   local m = json.decode(assert(fs.read(path)))
   if m[arg[3]] then return m[arg[3]] end
   for _, class in ipairs(m.models.two.train.per_class) do
      if class.label == arg[3] then return class.predicted end
   end
   error(path .. " has no " .. arg[3], 0)
end

local a, b = value(arg[1]), value(arg[2])
if a <= b + (tonumber(arg[4]) or 0) then error(("%s: %s is not enough more than %s"):format(arg[3], a, b), 0) end
