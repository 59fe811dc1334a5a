--- Scores of labels, from files: see ftpipe.metric.classification. Rows are compared in their order.

local metric = require "ftpipe.metric.classification"
local columns = require "ftpipe.score.columns"

local classification = {}

local function ids_of(gold, said)
   local names, ids = {}, {}
   for _, list in ipairs { gold, said } do
      for _, label in ipairs(list) do
         if not ids[label] then
            ids[label] = true
            names[#names + 1] = label
         end
      end
   end
   table.sort(names)
   for i, label in ipairs(names) do ids[label] = i end
   local function numbers(list)
      local out = {}
      for i, label in ipairs(list) do out[i] = ids[label] end
      return out
   end
   return names, numbers(gold), numbers(said)
end

--- Read both files and score.
---@param opts table as `ftpipe score` takes them
---@return ftpipe.scores
function classification.score(opts)
   local gold, said = columns.both(opts, { gold = { "label" }, predictions = { "predicted_label", "predicted", "label" } }, "label")
   local names, a, b = ids_of(gold, said)
   return metric.score { gold = a, predicted = b, labels = names }
end

local function points(x) return ("%.2f"):format(100 * x) end

--- The scores for people.
---@param s ftpipe.scores
---@return string
function classification.text(s)
   local lines = { ("rows %d, accuracy %s, macro F1 %s, Matthews correlation %.4f"):format(s.rows, points(s.accuracy), points(s.f1),
      s.mcc), ("%-16s %10s %10s %10s %10s %10s"):format("label", "precision", "recall", "F1", "rows", "predicted") }
   for _, class in ipairs(s.per_class) do
      lines[#lines + 1] = ("%-16s %10s %10s %10s %10d %10d"):format(class.label, points(class.precision), points(class.recall),
         points(class.f1), class.support, class.predicted)
   end
   return table.concat(lines, "\n") .. "\n"
end

return classification
