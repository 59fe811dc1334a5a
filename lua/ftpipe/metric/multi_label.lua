--- Scores of labels that do not exclude each other: micro and macro F1, per label, subset accuracy, Hamming loss.
--
-- As scikit-learn's f1_score, accuracy_score and hamming_loss of indicator matrices with zero_division=0: macro F1 is over all
-- labels, and one that is neither there nor predicted counts as 0. What may surprise: a row that has no label and gets none
-- is right, but no F1 counts it.
--
-- Labels of a row are a list of ids from 1, ascending.

local M = {}

local function share(part, whole) return whole > 0 and part / whole or 0.0 end

-- Sets of ids met in ascending order: visit(id, in_gold, in_predicted).
local function each(gold, predicted, visit)
   local i, j = 1, 1
   while gold[i] or predicted[j] do
      local g, p = gold[i] or math.huge, predicted[j] or math.huge
      visit(math.min(g, p), g <= p, p <= g)
      i, j = i + (g <= p and 1 or 0), j + (p <= g and 1 or 0)
   end
end

-- What a row adds: a flat list { label, right, gold, predicted, ... } and how many labels of it are wrong.
local function counts_of(gold, predicted)
   local out, wrong = {}, 0
   each(gold, predicted, function(k, g, p)
      local n = #out
      out[n + 1], out[n + 2], out[n + 3], out[n + 4] = k, g and p and 1 or 0, g and 1 or 0, p and 1 or 0
      wrong = wrong + (g and p and 0 or 1)
   end)
   return out, wrong
end

local function sums_of(labels)
   local sums = {}
   for k = 1, labels do sums[k] = { 0, 0, 0 } end
   return sums
end

local function add(sums, row, times)
   for at = 1, #row, 4 do
      local s = sums[row[at]]
      for j = 1, 3 do s[j] = s[j] + times * row[at + j] end
   end
end

-- Micro and macro F1, and the sums over all labels.
local function f1_of(sums)
   local right, gold, predicted, macro = 0, 0, 0, 0.0
   for _, s in ipairs(sums) do
      right, gold, predicted = right + s[1], gold + s[2], predicted + s[3]
      macro = macro + share(2 * s[1], s[2] + s[3])
   end
   return share(2 * right, gold + predicted), share(macro, #sums), right, gold, predicted
end

---@class ftpipe.multi_label_scores
---@field rows integer
---@field micro_f1 number
---@field macro_f1 number
---@field subset_accuracy number share of rows whose labels are all right
---@field hamming_loss number    share of wrong decisions over all rows and labels
---@field samples_f1 number      mean over rows of each one's F1

---@param gold integer[][]
---@param predicted integer[][]
---@param labels string[]
---@return ftpipe.multi_label_scores
function M.score(gold, predicted, labels)
   if #gold ~= #predicted then error(("%d rows of gold labels but %d of predicted ones"):format(#gold, #predicted), 0) end
   local sums, exact, wrong, samples = sums_of(#labels), 0, 0, 0.0
   for i, row in ipairs(gold) do
      local counts, n = counts_of(row, predicted[i])
      add(sums, counts, 1)
      exact, wrong = exact + (n == 0 and 1 or 0), wrong + n
      samples = samples + share(#row + #predicted[i] - n, #row + #predicted[i])
   end
   local micro, macro, right, all, said = f1_of(sums)
   local out = { rows = #gold, micro_f1 = micro, macro_f1 = macro, micro_precision = share(right, said),
      micro_recall = share(right, all), weighted_f1 = 0.0, samples_f1 = share(samples, #gold),
      subset_accuracy = share(exact, #gold), hamming_loss = share(wrong, #gold * #labels), per_class = {} }
   for k, s in ipairs(sums) do
      local f1 = share(2 * s[1], s[2] + s[3])
      out.per_class[k] = { label = labels[k], precision = share(s[1], s[3]), recall = share(s[1], s[2]), f1 = f1, support = s[2],
         predicted = s[3] }
      out.weighted_f1 = out.weighted_f1 + f1 * share(s[2], all)
   end
   return out
end

-- ==== Thresholds ====

--- Ids whose probability is at least their threshold.
---@param probabilities number[]
---@param thresholds number[]
function M.chosen(probabilities, thresholds)
   local out = {}
   for k, p in ipairs(probabilities) do if p >= thresholds[k] then out[#out + 1] = k end end
   return out
end

-- The threshold with the best F1 of { probability, whether it is right } pairs: between two of them that differ; of equal
-- ones the nearest to one half, which also stands where nothing is right.
local function best_of(list, right)
   table.sort(list, function(a, b) return a[1] > b[1] end)
   local hits, best, at = 0, 0.0, 0.5
   for n, pair in ipairs(list) do
      hits = hits + (pair[2] and 1 or 0)
      local after = list[n + 1] and list[n + 1][1] or 0.0
      if after < pair[1] then
         local f1, here = 2 * hits / (right + n), (pair[1] + after) / 2
         if after < 0.5 and pair[1] >= 0.5 then here = 0.5 end
         if f1 > best or (f1 == best and f1 > 0 and math.abs(here - 0.5) < math.abs(at - 0.5)) then best, at = f1, here end
      end
   end
   return at
end

--- Thresholds that suit these rows best: one of each label for its F1, or ("one") the same of all for micro F1.
---@param gold integer[][]
---@param probabilities number[][]
---@param labels integer
---@param how "one"|"each"
---@return number[]
function M.thresholds(gold, probabilities, labels, how)
   local lists, rights, out = {}, {}, {}
   for k = 1, how == "one" and 1 or labels do lists[k], rights[k] = {}, 0 end
   for i, row in ipairs(gold) do
      local held = {}
      for _, k in ipairs(row) do held[k] = true end
      for k, p in ipairs(probabilities[i]) do
         local list = how == "one" and 1 or k
         table.insert(lists[list], { p, held[k] or false })
         rights[list] = rights[list] + (held[k] and 1 or 0)
      end
   end
   for k = 1, labels do out[k] = out[k - 1] and how == "one" and out[1] or best_of(lists[k], rights[k]) end
   return out
end

-- ==== The baseline ====

--- The labels which, always said, have the best micro F1 on these rows: the most frequent ones.
---@param gold integer[][]
---@param labels integer
---@return integer[]
function M.constant(gold, labels)
   local sums, order, total = {}, {}, 0
   for k = 1, labels do sums[k], order[k] = 0, k end
   for _, row in ipairs(gold) do
      for _, k in ipairs(row) do sums[k], total = sums[k] + 1, total + 1 end
   end
   table.sort(order, function(a, b) return sums[a] > sums[b] or (sums[a] == sums[b] and a < b) end)
   local right, best, most = 0, 0.0, 0
   for n, k in ipairs(order) do
      right = right + sums[k]
      local f1 = share(2 * right, total + n * #gold)
      if f1 > best then best, most = f1, n end
   end
   local out = table.move(order, 1, most, 1, {})
   table.sort(out)
   return out
end

-- ==== Groups of equal rows, for the bootstrap ====

--- Rows that count alike under all of some models: the group of each row, and for each model the counts of each group.
---@param gold integer[][]
---@param models integer[][][] predicted ids of each row
---@return integer[] ids, table[][] counts [model][group]
function M.groups(gold, models)
   local ids, counts, known, n = {}, {}, {}, 0
   for m = 1, #models do counts[m] = {} end
   for i = 1, #gold do
      local rows, parts = {}, {}
      for m, predicted in ipairs(models) do
         rows[m] = { counts_of(gold[i], predicted[i]) }
         parts[m] = table.concat(rows[m][1], " ")
      end
      local name = table.concat(parts, "|")
      if not known[name] then
         n = n + 1
         known[name] = n
         for m = 1, #models do counts[m][n] = rows[m] end
      end
      ids[i] = known[name]
   end
   return ids, counts
end

--- A function of how often rows of each group are drawn to micro F1, macro F1 and subset accuracy.
---@param counts table[] of one model, for each group
---@param labels integer
function M.scorer(counts, labels)
   local sums = sums_of(labels)
   return function(drawn)
      local rows, exact = 0, 0
      for _, s in ipairs(sums) do s[1], s[2], s[3] = 0, 0, 0 end
      for g, row in ipairs(counts) do
         local n = drawn[g] or 0
         if n > 0 then
            add(sums, row[1], n)
            rows, exact = rows + n, exact + (row[2] == 0 and n or 0)
         end
      end
      local micro, macro = f1_of(sums)
      return micro, macro, share(exact, rows)
   end
end

return M
