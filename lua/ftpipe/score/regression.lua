--- Scores of numbers, from files: see ftpipe.metric.regression. Rows are compared in their order.

local failure = require "ftpipe.failure"
local metric = require "ftpipe.metric.regression"
local columns = require "ftpipe.score.columns"

local regression = {}

local function numbers(cells, places)
   local out = {}
   for i, cell in ipairs(cells) do
      out[i] = tonumber(cell)
      if not out[i] or out[i] - out[i] ~= 0 then failure.raise("data", ("%s: '%s' is no number"):format(places[i], cell)) end
   end
   return out
end

--- Read both files and score.
---@param opts table as `ftpipe score` takes them
---@return ftpipe.regression_scores
function regression.score(opts)
   local gold, said, at, at_said = columns.both(opts, { gold = { "score", "label" },
      predictions = { "predicted_score", "predicted", "score", "label" } }, "number")
   return metric.score(numbers(gold, at), numbers(said, at_said))
end

--- The scores for people.
---@param s ftpipe.regression_scores
---@return string
function regression.text(s)
   return ("rows %d, Pearson %.4f, Spearman %.4f, mean squared error %.6g, mean absolute error %.6g\n"):format(s.rows, s.pearson,
      s.spearman, s.mse, s.mae)
end

return regression
