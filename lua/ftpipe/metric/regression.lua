--- Scores of predicted numbers: Pearson's and Spearman's correlation, mean squared and mean absolute error.
--
-- What may surprise: a correlation with something constant is 0 here, where statistics would leave it undefined; equal values
-- share the mean of their ranks.

local M = {}

---@class ftpipe.regression_scores
---@field rows integer
---@field pearson number
---@field spearman number
---@field mse number
---@field mae number

-- Weighted Pearson correlation; weights say how often each row counts.
local function correlation(x, y, weights)
   local n, mx, my = 0, 0.0, 0.0
   for i = 1, #x do
      local w = weights and weights[i] or 1
      n, mx, my = n + w, mx + w * x[i], my + w * y[i]
   end
   if n == 0 then return 0.0 end
   mx, my = mx / n, my / n
   local xy, xx, yy = 0.0, 0.0, 0.0
   for i = 1, #x do
      local w = weights and weights[i] or 1
      local a, b = x[i] - mx, y[i] - my
      xy, xx, yy = xy + w * a * b, xx + w * a * a, yy + w * b * b
   end
   return xx > 0 and yy > 0 and xy / math.sqrt(xx * yy) or 0.0
end

-- Numbers of the rows in order of their values.
local function order_of(values)
   local order = {}
   for i = 1, #values do order[i] = i end
   table.sort(order, function(a, b) return values[a] < values[b] or (values[a] == values[b] and a < b) end)
   return order
end

-- Ranks from 1, where row i counts weights[i] times and equal values share the mean.
local function ranks(values, order, weights, out)
   local before, k = 0, 1
   while k <= #order do
      local last, together = k, 0
      while last <= #order and values[order[last]] == values[order[k]] do
         together = together + (weights and weights[order[last]] or 1)
         last = last + 1
      end
      for j = k, last - 1 do out[order[j]] = before + (together + 1) / 2 end
      before, k = before + together, last
   end
   return out
end

--- A function of how often each row counts (all once: nil) to Pearson's and Spearman's correlation.
---@param gold number[]
---@param predicted number[]
function M.scorer(gold, predicted)
   local by_gold, by_predicted, a, b = order_of(gold), order_of(predicted), {}, {}
   return function(weights)
      ranks(gold, by_gold, weights, a)
      ranks(predicted, by_predicted, weights, b)
      return correlation(gold, predicted, weights), correlation(a, b, weights)
   end
end

---@param gold number[]
---@param predicted number[]
---@return ftpipe.regression_scores
function M.score(gold, predicted)
   if #gold ~= #predicted then error(("%d gold values but %d predicted"):format(#gold, #predicted), 0) end
   local out, squares, errors = { rows = #gold }, 0.0, 0.0
   for i, y in ipairs(gold) do
      squares, errors = squares + (predicted[i] - y) ^ 2, errors + math.abs(predicted[i] - y)
   end
   out.pearson, out.spearman = M.scorer(gold, predicted)(nil)
   if #gold > 0 then out.mse, out.mae = squares / #gold, errors / #gold end
   return out
end

return M
