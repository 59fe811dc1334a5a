-- tests/cli/same_before.lua - the test scores of model "before" are those that another run ended with.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"

local kept, former = json.decode(assert(fs.read(arg[1]))), json.decode(assert(fs.read(arg[2])))
local compared = 0
for _, key in ipairs { "exact", "accuracy", "f1", "macro_f1", "pearson", "spearman", "loss", "threshold" } do
   local a, b = kept.models.before.test[key], former.models.two.test[key]
   if (a == nil) ~= (b == nil) or a and math.abs(a - b) > 1e-6 then error(("%s: %s and %s"):format(key, a, b), 0) end
   compared = compared + (a and 1 or 0)
end
if compared < 3 then error("hardly any score was compared", 0) end
if kept.model ~= "tuned" then error("the tuned model is under judgement", 0) end
