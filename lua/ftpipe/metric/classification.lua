-- lua/ftpipe/metric/classification.lua - scores of a classifier on one split.
--
-- Everything is computed from the confusion matrix, so a score is exact in integers until its last
-- division. The surprise: macro F1 averages over the labels that occur in the gold labels or in
-- the predictions *of this split*. A label that occurs in neither is left out, not counted as 0;
-- a label that occurs but has no true positive counts as 0. This is what scikit-learn's
-- f1_score(average="macro", zero_division=0) does.
--
-- Label ids are integers 1..n. Scores of a split without rows are nil, never NaN.

local M = {}

-- The smallest probability whose logarithm is taken: 2^-52, one rounding step of a double at 1.
local SMALLEST = 2.0 ^ -52

---@class ftpipe.class_score
---@field label string
---@field precision number  0 where the label is never predicted
---@field recall number     0 where the label never occurs
---@field f1 number         0 where it is neither predicted nor present
---@field support integer   rows whose gold label this is
---@field predicted integer rows for which this label was predicted

---@class ftpipe.scores
---@field rows integer
---@field accuracy number?    share of rows predicted rightly
---@field f1 number?          macro F1 over the labels present in gold or predictions
---@field mcc number?         Matthews correlation, multi-class (Gorodkin 2004)
---@field loss number?        mean negative log-likelihood in nats, where losses or probabilities are given
---@field per_class ftpipe.class_score[]
---@field confusion integer[][]  [gold][predicted] row counts
---@field labels string[]

---@class ftpipe.score_input
---@field gold integer[]
---@field predicted integer[]?
---@field probabilities number[][]?
---@field losses number[]?   one per row, in nats
---@field labels string[]    names of the ids 1..n

local function check_id(id, classes, what, row)
   if math.type(id) ~= "integer" or id < 1 or id > classes then
      error(("%s label of row %d is %s; want an integer from 1 to %d"):format(what, row, tostring(id), classes), 0)
   end
end

--- Index of the largest probability of each row. Equal ones: the first wins.
---@param probabilities number[][] one array of class probabilities (or logits) per row
---@return integer[]
function M.argmax(probabilities)
   local out = {}
   for row, p in ipairs(probabilities) do
      local best = 1
      for k = 1, #p do
         if p[k] ~= p[k] then error(("probability of class %d in row %d is not a number"):format(k, row), 0) end
         if p[k] > p[best] then best = k end
      end
      out[row] = best
   end
   return out
end

--- Confusion matrix.
---@param gold integer[]
---@param predicted integer[]
---@param classes integer
---@return integer[][] counts[gold][predicted]
function M.confusion(gold, predicted, classes)
   if #gold ~= #predicted then
      error(("%d gold labels but %d predictions"):format(#gold, #predicted), 0)
   end
   local counts = {}
   for g = 1, classes do
      counts[g] = {}
      for p = 1, classes do counts[g][p] = 0 end
   end
   for row = 1, #gold do
      local g, p = gold[row], predicted[row]
      check_id(g, classes, "gold", row)
      check_id(p, classes, "predicted", row)
      counts[g][p] = counts[g][p] + 1
   end
   return counts
end

--- Accuracy, macro F1 and Matthews correlation from three counts per class. The bootstrap calls this
--- for every resample, so it allocates nothing.
---@param right integer[]     rows of class k predicted as k
---@param gold integer[]      rows of class k
---@param predicted integer[] rows predicted as k
---@param rows integer        all rows; at least 1
---@return number accuracy
---@return number f1  macro F1 over the labels present in gold or predictions
---@return number mcc 0 where gold or predictions hold one class only, as in scikit-learn
function M.from_counts(right, gold, predicted, rows)
   local hits, present, f1 = 0, 0, 0.0
   local cross, gold_squares, predicted_squares = 0, 0, 0
   for k = 1, #gold do
      local r, g, p = right[k], gold[k], predicted[k]
      if g + p > 0 then
         present = present + 1
         f1 = f1 + 2 * r / (g + p)
         hits = hits + r
         cross = cross + g * p
         gold_squares = gold_squares + g * g
         predicted_squares = predicted_squares + p * p
      end
   end
   local square = rows * rows
   local spread = (square - gold_squares) * 1.0 * (square - predicted_squares)
   local mcc = spread > 0 and (hits * rows - cross) / math.sqrt(spread) or 0.0
   return hits / rows, f1 / present, mcc
end

local function class_counts(confusion)
   local right, gold, predicted, rows = {}, {}, {}, 0
   for k = 1, #confusion do right[k], gold[k], predicted[k] = confusion[k][k], 0, 0 end
   for g = 1, #confusion do
      for p = 1, #confusion do
         local n = confusion[g][p]
         gold[g], predicted[p], rows = gold[g] + n, predicted[p] + n, rows + n
      end
   end
   return right, gold, predicted, rows
end

local function share(part, whole) return whole > 0 and part / whole or 0.0 end

--- All scores but the loss, from a confusion matrix.
---@param confusion integer[][]
---@param labels string[] names, one per class
---@return ftpipe.scores
function M.from_confusion(confusion, labels)
   local right, gold, predicted, rows = class_counts(confusion)
   local scores = { rows = rows, confusion = confusion, labels = labels, per_class = {} }
   if rows > 0 then
      scores.accuracy, scores.f1, scores.mcc = M.from_counts(right, gold, predicted, rows)
   end
   for k = 1, #confusion do
      scores.per_class[k] = {
         label = labels[k],
         precision = share(right[k], predicted[k]),
         recall = share(right[k], gold[k]),
         f1 = share(2 * right[k], gold[k] + predicted[k]),
         support = gold[k],
         predicted = predicted[k],
      }
   end
   return scores
end

--- Negative log-likelihood of each row's gold label, in nats. Probabilities below 2^-52 count as
--- 2^-52, so that one sure mistake does not make the mean infinite.
---@param gold integer[]
---@param probabilities number[][]
---@return number[]
function M.losses(gold, probabilities)
   if #gold ~= #probabilities then
      error(("%d gold labels but %d rows of probabilities"):format(#gold, #probabilities), 0)
   end
   local out = {}
   for row, g in ipairs(gold) do
      check_id(g, #probabilities[row], "gold", row)
      local p = probabilities[row][g]
      out[row] = -math.log(math.min(1.0, math.max(SMALLEST, p)))
   end
   return out
end

local function mean(values)
   local sum = 0.0
   for i = 1, #values do sum = sum + values[i] end
   return #values > 0 and sum / #values or nil
end

--- Scores of one split. `predicted` wins over `probabilities` where both are given; likewise `losses`.
---@param args ftpipe.score_input
---@return ftpipe.scores
function M.score(args)
   local predicted = args.predicted
   if not predicted then
      if not args.probabilities then error("want predicted label ids or probabilities", 0) end
      predicted = M.argmax(args.probabilities)
   end
   local losses = args.losses
   if not losses and args.probabilities then losses = M.losses(args.gold, args.probabilities) end
   if losses and #losses ~= #args.gold then
      error(("%d gold labels but %d losses"):format(#args.gold, #losses), 0)
   end
   local scores = M.from_confusion(M.confusion(args.gold, predicted, #args.labels), args.labels)
   scores.loss = losses and mean(losses)
   return scores
end

--- The most frequent label; of equally frequent ones the lowest id.
---@param gold integer[]
---@param classes integer
---@return integer? id nil without rows
function M.majority(gold, classes)
   local counts = {}
   for k = 1, classes do counts[k] = 0 end
   for row, g in ipairs(gold) do
      check_id(g, classes, "gold", row)
      counts[g] = counts[g] + 1
   end
   local best
   for k = 1, classes do
      if counts[k] > 0 and (not best or counts[k] > counts[best]) then best = k end
   end
   return best
end

--- Scores of always answering the majority label of the training rows.
---@param train integer[]  gold labels of the training rows
---@param gold integer[]   gold labels of the split to score
---@param labels string[]
---@return ftpipe.scores? scores with `id` and `label` of that class; nil without training rows
function M.baseline(train, gold, labels)
   local id = M.majority(train, #labels)
   if not id then return nil end
   local predicted = {}
   for row = 1, #gold do predicted[row] = id end
   local scores = M.score { gold = gold, predicted = predicted, labels = labels }
   scores.id, scores.label = id, labels[id]
   return scores
end

return M
