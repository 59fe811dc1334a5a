--- Runs a model over a split without recording: probabilities, predictions, losses, scores.
--
-- Rows are taken in order of length, so that a batch wastes nothing, and their results are put back in the order in
-- which they came.

local graph = require "ftpipe.core.graph"
local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"
local tasks = require "ftpipe.task"

local scoring = {}

local TOKENS = 4096     -- tokens of one batch

--- Example numbers 1..n, or those that are wanted, in batches of at most `budget` tokens, shortest first.
---@param wanted integer[]?
function scoring.batches(tokens, budget, wanted)
   local order, length = {}, {}
   for k = 1, wanted and #wanted or tokens:count() do
      local i = wanted and wanted[k] or k
      order[k], length[i] = i, tokens:length(i)
   end
   table.sort(order, function(a, b)
      if length[a] ~= length[b] then return length[a] < length[b] end
      return a < b
   end)
   local out, batch, total = {}, {}, 0
   for _, i in ipairs(order) do
      if #batch > 0 and total + length[i] > budget then
         out[#out + 1] = batch
         batch, total = {}, 0
      end
      batch[#batch + 1] = i
      total = total + length[i]
   end
   if #batch > 0 then out[#out + 1] = batch end
   return out
end

local function softmax(logits)
   local top, sum, out = -math.huge, 0, {}
   for _, x in ipairs(logits) do top = math.max(top, x) end
   for k, x in ipairs(logits) do
      out[k] = math.exp(x - top)
      sum = sum + out[k]
   end
   for k = 1, #out do out[k] = out[k] / sum end
   return out
end

--- End here if the user has asked for it.
function scoring.stop_if_asked()
   if sys.interrupted() > 0 then failure.raise("interrupted", "interrupted") end
end

--- Call visit(batch indices, logits as a tensor, batch) for every batch; both live as long as the call.
---@param model ftpipe.model
---@param tokens userdata
---@param features? table cached output of the frozen stages: see ftpipe.features
---@param wanted integer[]? examples; all unless said
function scoring.each(model, tokens, features, visit, wanted)
   for _, index in ipairs(scoring.batches(tokens, TOKENS, wanted)) do
      scoring.stop_if_asked()
      model:begin()
      local batch = tokens:batch(index)
      local logits
      if features then
         batch.features = features:take(index)
         logits = model:forward_features(batch, features.done)
      else
         logits = model:forward(batch)
      end
      visit(index, logits:tensor(), batch)
   end
   graph.begin("eval")      -- lets go of the last batch
end

--- Raise "numeric" for logits of row `row` that are not finite.
function scoring.fail_numeric(model, row)
   local name = model:nonfinite("value")
   failure.raise("numeric", name and ("the loss is not finite because parameter '%s' is not (NaN or infinite)"):format(name)
      or ("the logits of row %d are not finite (NaN or infinite), though all parameters are"):format(row),
      "a smaller learning rate or clipping may help")
end

-- The mean of some lists of numbers.
local function mean_of(lists, index)
   if #index == 1 then return lists[index[1]] end
   local out = {}
   for k = 1, #lists[index[1]] do
      local sum = 0.0
      for _, i in ipairs(index) do sum = sum + lists[i][k] end
      out[k] = sum / #index
   end
   return out
end

-- The windows of all examples.
local function all_of(windows)
   local out = {}
   for _, index in ipairs(windows) do table.move(index, 1, #index, #out + 1, out) end
   return out
end

--- Logits of every example, in input order: of one that is read in windows the mean of theirs. Of `tokens` only what `windows`
--- name is computed.
---@param model ftpipe.model
---@param tokens userdata
---@param features table?
---@param windows integer[][]? the windows of each example among `tokens`
---@return number[][]
function scoring.logits(model, tokens, features, windows)
   local each, out, width = {}, {}, #model.options.labels
   scoring.each(model, tokens, features, function(index, all)
      local logits = all:table()
      for k, i in ipairs(index) do
         each[i] = table.move(logits, (k - 1) * width + 1, k * width, 1, {})
         for _, x in ipairs(each[i]) do if x - x ~= 0 then scoring.fail_numeric(model, i) end end
      end
   end, windows and all_of(windows))
   for i, index in ipairs(windows or {}) do out[i] = mean_of(each, index) end
   return windows and out or each
end

--- Probabilities of every example, in input order.
function scoring.probabilities(model, tokens, features, windows)
   local out = scoring.logits(model, tokens, features, windows)
   for i, logits in ipairs(out) do out[i] = softmax(logits) end
   return out
end

--- The numbers that a head with one output gives every example, in input order.
function scoring.values(model, tokens, features, windows)
   local out = scoring.logits(model, tokens, features, windows)
   for i, logits in ipairs(out) do out[i] = logits[1] end
   return out
end

--- Some rows of a split whose rows are examples or lists of them (`parts`), for a task's predict.
---@param split table
---@param index integer[]
function scoring.some(split, index)
   local out = { name = split.name, n = #index, tokens = split.tokens, parts = {} }
   for k, i in ipairs(index) do out.parts[k] = split.parts and split.parts[i] or { i } end
   for _, key in ipairs { "labels", "gold", "values" } do
      if split[key] then
         out[key] = {}
         for k, i in ipairs(index) do out[key][k] = split[key][i] end
      end
   end
   return out
end

--- The metric of a split (higher is better) and its mean loss: two values, as ctx:keep_best takes them.
---@param metric? string one of the task's: accuracy, f1 or mcc; exact or f1 of answers
function scoring.score(model, split, metric, features)
   local task = tasks.of(model)
   local p = task.predict(model, split, features or (split.features and split.features(model)))
   local s = task.measure.score(split.gold or split.labels, p, { labels = model.options.labels })
   return s[metric or task.metric], s.loss
end

return scoring
