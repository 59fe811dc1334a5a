--- Weights of labels, for data in which some are rare.
--
-- "balanced" gives label k the weight n / (labels * n_k), as scikit-learn does; "pos:2,neg:1" says them one by one (1 where
-- nothing is said). A loss is multiplied by its label's weight and an update divided by the sum of its weights, as in
-- PyTorch's weighted cross-entropy. Scores and validation losses are never weighted.

local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"

local class_weights = {}

local function balanced(split, labels)
   local counts, out = {}, {}
   for _, k in ipairs(split.labels) do counts[k] = (counts[k] or 0) + 1 end
   for k = 1, #labels do out[k] = counts[k] and #split.labels / (#labels * counts[k]) or 1.0 end
   return out
end

local function said(spec, labels)
   local number, out = {}, {}
   for k, label in ipairs(labels) do number[label], out[k] = k, 1.0 end
   for part in spec:gmatch "[^,]+" do
      local label, weight = part:match "^(.*):([^:]*)$"
      local value = tonumber(weight)
      if not value or value <= 0 or value == math.huge then
         failure.raise("usage", ("class_weights: '%s' is not label:weight with a weight above 0; or say balanced"):format(part))
      end
      if not number[label] then
         local near = sys.nearest(label, labels)
         failure.raise("usage", ("class_weights: there is no label '%s'; %s"):format(label, near
            and ("did you mean '%s'?"):format(near) or "there: " .. table.concat(labels, ", ")))
      end
      out[number[label]] = value
   end
   return out
end

--- The weight of each example of a split.
---@param spec string "balanced", or label:weight pairs
---@param split table with labels, ids from 1
---@param labels string[]
---@return number[]
function class_weights.of(spec, split, labels)
   if not split.labels then failure.raise("usage", "class_weights are for tasks with one label for each row") end
   local each, out = spec == "balanced" and balanced(split, labels) or said(spec, labels), {}
   for i, k in ipairs(split.labels) do out[i] = each[k] end
   return out
end

--- Of some examples, and their sum.
---@param weights number[]
---@param examples integer[]
function class_weights.some(weights, examples)
   local out, sum = {}, 0.0
   for k, i in ipairs(examples) do out[k], sum = weights[i], sum + weights[i] end
   return out, sum
end

return class_weights
