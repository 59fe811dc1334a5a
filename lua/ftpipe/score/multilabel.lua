--- Scores of several labels for each row, from files: see ftpipe.metric.multi_label. Rows are compared in their order.

local failure = require "ftpipe.failure"
local metric = require "ftpipe.metric.multi_label"
local label_sets = require "ftpipe.reading.label_sets"
local columns = require "ftpipe.score.columns"

local multilabel = {}

-- The labels of each cell.
local function sets_of(cells, places)
   for i, cell in ipairs(cells) do
      local value, problem = label_sets.of_cell { cell }
      if not value then failure.raise("data", ("%s: %s"):format(places[i], problem)) end
      cells[i] = value
   end
   return label_sets.cut_all(cells, "auto")
end

local function ids_of(gold, said)
   local names, ids = {}, {}
   for _, list in ipairs { gold, said } do
      for _, set in ipairs(list) do
         for _, label in ipairs(set) do
            if not ids[label] then
               ids[label] = true
               names[#names + 1] = label
            end
         end
      end
   end
   table.sort(names)
   for i, label in ipairs(names) do ids[label] = i end
   local function numbers(list)
      local out = {}
      for i, set in ipairs(list) do
         out[i] = {}
         for k, label in ipairs(set) do out[i][k] = ids[label] end
         table.sort(out[i])
      end
      return out
   end
   return names, numbers(gold), numbers(said)
end

--- Read both files and score.
---@param opts table as `ftpipe score` takes them
---@return ftpipe.multi_label_scores
function multilabel.score(opts)
   local gold, said, at, at_said = columns.both(opts, { gold = { "labels", "label" },
      predictions = { "predicted_labels", "predicted", "labels", "label" } })
   local names, a, b = ids_of(sets_of(gold, at), sets_of(said, at_said))
   return metric.score(a, b, names)
end

local function points(x) return ("%.2f"):format(100 * x) end

--- The scores for people.
---@param s ftpipe.multi_label_scores
---@return string
function multilabel.text(s)
   local lines = { ("rows %d, micro F1 %s, macro F1 %s, all labels right %s, Hamming loss %.4f"):format(s.rows, points(s.micro_f1),
      points(s.macro_f1), points(s.subset_accuracy), s.hamming_loss),
      ("%-16s %10s %10s %10s %10s %10s"):format("label", "precision", "recall", "F1", "rows", "predicted") }
   for _, class in ipairs(s.per_class) do
      lines[#lines + 1] = ("%-16s %10s %10s %10s %10d %10d"):format(class.label, points(class.precision), points(class.recall),
         points(class.f1), class.support, class.predicted)
   end
   return table.concat(lines, "\n") .. "\n"
end

return multilabel
