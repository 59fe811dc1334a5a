-- tests/cli/same_before.lua - the test scores of model "before" are those that another run ended with.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"

local kept, former = json.decode(assert(fs.read(arg[1]))), json.decode(assert(fs.read(arg[2])))
for _, key in ipairs { "exact", "f1", "loss", "threshold" } do
   local a, b = kept.models.before.test[key], former.models.two.test[key]
   if math.abs(a - b) > 1e-6 then error(("%s: %s and %s"):format(key, a, b), 0) end
end
if kept.model ~= "tuned" then error("the tuned model is under judgement", 0) end
