-- tests/cli/same_predictions.lua - predictions.csv and the JSON lines of `predict --json` agree: labels, and probabilities
-- within 1e-5. same_predictions.lua CSV JSONL

local data = require "ftpipe.core.data"
local sys = require "ftpipe.core.sys"

local a, b = assert(data.open(arg[1])), assert(data.open(arg[2]))
local rows, worst = 0, 0
while true do
   local line, predicted, probability = a:next { "predicted", "probability" }
   local other, label, score = b:next { "label", "score" }
   assert((line == nil) == (other == nil), "different numbers of rows")
   if line == nil then break end
   assert(line and other, "a bad row")
   rows = rows + 1
   assert(predicted == label, ("row %d: %s and %s"):format(rows, predicted, label))
   worst = math.max(worst, math.abs(tonumber(probability) - tonumber(score)))
end
sys.out(("%d rows, largest difference %.2g\n"):format(rows, worst))
assert(rows > 0 and worst <= 1e-5, "probabilities differ")
return 0
