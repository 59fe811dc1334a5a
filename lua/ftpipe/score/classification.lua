--- Scores of labels, from files: see ftpipe.metric.classification. Rows are compared in their order.

local data = require "ftpipe.core.data"
local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"
local metric = require "ftpipe.metric.classification"

local classification = {}

local function fail(message, hint) failure.raise("data", message, hint) end

local function has(list, wanted)
   for _, name in ipairs(list) do if name == wanted then return true end end
   return false
end

-- The column of labels: as asked for, else the first of these names that there is.
local function column_of(reader, path, wanted, usual)
   local names = reader:columns()
   if wanted or #names == 0 then return wanted or usual[1] end      -- names of JSON come with its rows
   for _, name in ipairs(usual) do if has(names, name) then return name end end
   local plain = usual[#usual]
   local near = sys.nearest(plain, names)
   fail(("%s: no column '%s'; %s"):format(path, plain, near and ("did you mean '%s'?"):format(near)
      or "there: " .. table.concat(names, ", ")))
end

-- The labels of a file and the lines they are on.
local function labels_of(path, wanted, usual)
   local reader = failure.try("data", data.open(path, { columns = { wanted or usual[1] } }))
   local column
   local out, lines = {}, {}
   while true do
      column = column or column_of(reader, path, wanted, usual)
      local line, label = reader:next { column }
      if line == nil then break end
      if not line and not wanted and #out == 0 and column ~= usual[#usual] and label:find("no column", 1, true) then
         -- a first row of JSON that does not have this name: the next name, from the beginning
         reader:close()
         return labels_of(path, nil, table.move(usual, 2, #usual, 1, {}))
      end
      if not line then fail(label) end
      if not label or label == "" then fail(("%s:%d: the label is empty"):format(path, line)) end
      out[#out + 1], lines[#lines + 1] = label, line
   end
   reader:close()
   if #out == 0 then fail(path .. " has no rows") end
   return out, lines
end

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
   local gold = labels_of(opts.gold, opts.gold_column, { "label" })
   local said = labels_of(opts.predictions, opts.predictions_column, { "predicted_label", "predicted", "label" })
   if #gold ~= #said then fail(("%s has %d rows, %s has %d"):format(opts.gold, #gold, opts.predictions, #said)) end
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
