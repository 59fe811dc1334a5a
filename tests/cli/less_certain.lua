-- tests/cli/less_certain.lua - predictions.csv of one run have smaller probabilities than another's: less_certain.lua LESS MORE

local data = require "ftpipe.core.data"
local sys = require "ftpipe.core.sys"

local function mean(path)
   local reader, sum, n = assert(data.open(path)), 0, 0
   while true do
      local line, probability = reader:next { "probability" }
      if line == nil then break end
      sum, n = sum + tonumber(probability), n + 1
   end
   assert(n > 0, path .. " has no rows")
   return sum / n
end

local less, more = mean(arg[1]), mean(arg[2])
sys.out(("mean probability %.3f and %.3f\n"):format(less, more))
assert(less < more, "not less certain")
return 0
