--- Any number of labels of texts or pairs of texts: ftpipe.predict where labels do not exclude each other.
--
-- What is added: labels (those whose probability reaches their threshold; a JSON array, in tables one cell) and the
-- probabilities of all labels.

local json = require "ftpipe.core.json"
local predict = require "ftpipe.predict"
local task = require "ftpipe.task.multi_label"
local metric = require "ftpipe.metric.multi_label"

local label_sets = {}

local predictor = setmetatable({}, { __index = predict.predictor })
predictor.__index = predictor

--- From a loaded model.
---@param model ftpipe.model
function label_sets.open(model)
   local self = setmetatable(predict.open(model), predictor)
   self.thresholds, self.separator = task.thresholds(model), (model.own or {}).separator or ";"
   return self
end

predictor.scores = task.scores

local function number(x) return ("%.6g"):format(x) end

function predictor:chosen(p) return metric.chosen(p, self.thresholds) end

--- `"labels":["a","b"],"probabilities":{...}` with the names that are free.
function predictor:additions(p, taken)
   local names, all = {}, {}
   for i, k in ipairs(self:chosen(p)) do names[i] = json.encode(self.labels[k]) end
   for k, x in ipairs(p) do all[k] = json.encode(self.labels[k]) .. ":" .. number(x) end
   return ("%s:[%s],%s:{%s}"):format(predict.free("labels", taken), table.concat(names, ","),
      predict.free("probabilities", taken), table.concat(all, ","))
end

function predictor:added_columns()
   local names = { "labels" }
   for k, label in ipairs(self.labels) do names[k + 1] = "prob_" .. label end
   return names
end

function predictor:added_cells(p)
   local cells = { task.cell(self:chosen(p), self.labels, self.separator) }
   for k, x in ipairs(p) do cells[1 + k] = number(x) end
   return cells
end

--- For tables: the labels with their probabilities.
function predictor:best(p)
   local parts = {}
   for i, k in ipairs(self:chosen(p)) do parts[i] = ("%s %.3f"):format(self.labels[k], p[k]) end
   return #parts > 0 and table.concat(parts, ", ") or "-"
end

return label_sets
