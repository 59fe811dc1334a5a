-- tests/demo/learnt.lua - fails unless the loss of both stages in a log fell: ftpipe lua tests/demo/learnt.lua LOG

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"

local losses, order = {}, {}
for line in assert(fs.read(arg[1])):gmatch "[^\n]+" do
   local entry = assert(json.decode(line))
   if not losses[entry.stage] then
      losses[entry.stage] = {}
      order[#order + 1] = entry.stage
   end
   table.insert(losses[entry.stage], entry.loss)
end

local function mean(list, first, last)
   local sum = 0
   for i = first, last do sum = sum + list[i] end
   return sum / (last - first + 1)
end

assert(losses.head and losses.tuned, "the log holds no updates of stage one (head) or stage two (tuned)")
for _, stage in ipairs(order) do
   local list = losses[stage]
   local n = math.max(1, #list // 5)
   local before, after = mean(list, 1, n), mean(list, #list - n + 1, #list)
   sys.out(("%s: loss %.3f -> %.3f over %d updates\n"):format(stage, before, after, #list))
   assert(after < before, stage .. ": the loss did not fall")
end
return 0
