--- Scores of named entities: precision, recall and F1 of whole entities, equal to those of seqeval (Nakayama 2018), whose
-- default mode is conlleval's.
--
-- An entity is right if its first word, its last word and its type are. What may surprise: a score whose denominator is 0 is
-- 0, and the macro average is over the types that occur in gold or in the predictions.

local tags = require "ftpipe.tags"

local M = {}

---@class ftpipe.type_score
---@field label string
---@field precision number
---@field recall number
---@field f1 number
---@field support integer   entities of the type in gold
---@field predicted integer
---@field correct integer

---@class ftpipe.entity_scores
---@field rows integer
---@field precision number  micro averages: over all entities
---@field recall number
---@field f1 number
---@field macro_precision number  means over types
---@field macro_recall number
---@field macro_f1 number
---@field weighted_f1 number mean over types, weighted by support
---@field entities integer  in gold
---@field predicted integer
---@field correct integer
---@field per_class ftpipe.type_score[] in byte order of their types

local function key(e) return ("%d %d %s"):format(e[1], e[2], e[3]) end

--- What one row adds: for each type that occurs, { correct, gold, predicted }.
---@param gold ftpipe.entity[]
---@param predicted ftpipe.entity[]
---@return table<string, integer[]>
function M.row(gold, predicted)
   local out, known = {}, {}
   local function of(kind)
      local counts = out[kind]
      if not counts then
         counts = { 0, 0, 0 }
         out[kind] = counts
      end
      return counts
   end
   for _, e in ipairs(gold) do
      known[key(e)] = true
      local counts = of(e[3])
      counts[2] = counts[2] + 1
   end
   for _, e in ipairs(predicted) do
      local counts = of(e[3])
      counts[3] = counts[3] + 1
      if known[key(e)] then counts[1] = counts[1] + 1 end
   end
   return out
end

--- Precision, recall and F1 of { correct, gold, predicted }.
---@param counts integer[]
function M.of_counts(counts)
   local p = counts[3] > 0 and counts[1] / counts[3] or 0.0
   local r = counts[2] > 0 and counts[1] / counts[2] or 0.0
   return p, r, p + r > 0 and 2 * p * r / (p + r) or 0.0
end

local function sorted_keys(t)
   local keys = {}
   for k in pairs(t) do keys[#keys + 1] = k end
   table.sort(keys)
   return keys
end

--- Scores of rows of entities.
---@param gold ftpipe.entity[][]
---@param predicted ftpipe.entity[][]
---@return ftpipe.entity_scores
function M.score(gold, predicted)
   if #gold ~= #predicted then error(("%d gold rows but %d predicted"):format(#gold, #predicted), 0) end
   local by_type, all = {}, { 0, 0, 0 }
   for i = 1, #gold do
      for kind, counts in pairs(M.row(gold[i], predicted[i])) do
         by_type[kind] = by_type[kind] or { 0, 0, 0 }
         for k = 1, 3 do
            by_type[kind][k] = by_type[kind][k] + counts[k]
            all[k] = all[k] + counts[k]
         end
      end
   end
   local out = { rows = #gold, correct = all[1], entities = all[2], predicted = all[3], per_class = {},
      macro_precision = 0.0, macro_recall = 0.0, macro_f1 = 0.0, weighted_f1 = 0.0 }
   out.precision, out.recall, out.f1 = M.of_counts(all)
   local types = sorted_keys(by_type)
   for i, kind in ipairs(types) do
      local counts = by_type[kind]
      local p, r, f = M.of_counts(counts)
      out.per_class[i] = { label = kind, precision = p, recall = r, f1 = f, correct = counts[1], support = counts[2],
         predicted = counts[3] }
      out.macro_precision, out.macro_recall = out.macro_precision + p / #types, out.macro_recall + r / #types
      out.macro_f1 = out.macro_f1 + f / #types
      if all[2] > 0 then out.weighted_f1 = out.weighted_f1 + f * counts[2] / all[2] end
   end
   return out
end

--- Scores of rows of tags. Without a scheme broken sequences are read as conlleval reads them; with one (see
-- tags.strict) what breaks it is no entity.
---@param gold string[][]
---@param predicted string[][]
---@param scheme string?
---@return ftpipe.entity_scores
function M.score_tags(gold, predicted, scheme)
   local a, b = {}, {}
   for i, row in ipairs(gold) do
      if #row ~= #predicted[i] then error(("row %d: %d gold tags but %d predicted"):format(i, #row, #predicted[i]), 0) end
      a[i] = scheme and tags.strict(row, scheme) or tags.entities(row)
      b[i] = scheme and tags.strict(predicted[i], scheme) or tags.entities(predicted[i])
   end
   return M.score(a, b)
end

-- ==== Groups of equal rows, for the bootstrap ====

-- The counts of a row as a flat list { number of the type, correct, gold, predicted, ... }, types in order.
local function flat(numbers, counts, out)
   for _, kind in ipairs(sorted_keys(counts)) do
      if not numbers[kind] then
         numbers.n = numbers.n + 1
         numbers[kind] = numbers.n
      end
      local c = counts[kind]
      out[#out + 1], out[#out + 2], out[#out + 3], out[#out + 4] = numbers[kind], c[1], c[2], c[3]
   end
   return out
end

--- Rows that count alike under all of some models: the group of each row, and for each model the counts of each group.
---@param gold ftpipe.entity[][]
---@param models ftpipe.entity[][][]
---@return integer[] ids, integer[][][] counts [model][group], integer types
function M.groups(gold, models)
   local ids, counts, known, n, numbers = {}, {}, {}, 0, { n = 0 }
   for m = 1, #models do counts[m] = {} end
   for i = 1, #gold do
      local rows, parts = {}, {}
      for m, predicted in ipairs(models) do
         rows[m] = flat(numbers, M.row(gold[i], predicted[i]), {})
         parts[m] = table.concat(rows[m], " ")
      end
      local name = table.concat(parts, "|")
      if not known[name] then
         n = n + 1
         known[name] = n
         for m = 1, #models do counts[m][n] = rows[m] end
      end
      ids[i] = known[name]
   end
   return ids, counts, numbers.n
end

--- A function of how often rows of each group are drawn to micro and macro F1.
---@param counts integer[][] of one model, for each group
---@param types integer
function M.scorer(counts, types)
   local all, each = { 0, 0, 0 }, {}
   for t = 1, types do each[t] = { 0, 0, 0 } end
   return function(drawn)
      all[1], all[2], all[3] = 0, 0, 0
      for t = 1, types do each[t][1], each[t][2], each[t][3] = 0, 0, 0 end
      for g, row in ipairs(counts) do
         local n = drawn[g] or 0
         for k = 1, n > 0 and #row or 0, 4 do
            local sums = each[row[k]]
            for j = 1, 3 do
               local more = n * row[k + j]
               sums[j], all[j] = sums[j] + more, all[j] + more
            end
         end
      end
      local sum, present = 0.0, 0
      for t = 1, types do
         if each[t][2] + each[t][3] > 0 then
            present = present + 1
            sum = sum + select(3, M.of_counts(each[t]))
         end
      end
      return select(3, M.of_counts(all)), present > 0 and sum / present or 0.0
   end
end

return M
