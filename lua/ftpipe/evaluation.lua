-- lua/ftpipe/evaluation.lua - gold data and predictions of several models become the plain data of an evaluation.
--
-- What differs between tasks is a `measure`, given by the task's file:
--   score(gold, predictions, recorded) -> scores of one split
--   interval(gold, predictions, opts), paired(gold, a, b, opts) -> ftpipe.intervals
--   baseline(train, gold, recorded) -> scores of what needs no model, or nil; with `predictions` for the comparison
--   counts(gold, recorded) -> rows per label, or nil
--   pick(predictions, keep) -> those of some rows, for scores without leaked rows
-- The surprise: a model is only ever called better by the interval of a *paired* bootstrap.

local verdict = require "ftpipe.verdict"

local M = {}

---@class ftpipe.recorded
---@field labels string[]?
---@field metric string?
---@field tuned string?
---@field gold table<string, table>   per split
---@field scored table<string, table>? gold of the rows of a split that were scored, where those are not all
---@field models table<string, table<string, table>>  predictions per model and split, as the task's measure reads them
---@field history table<string, table>?
---@field data ftpipe.data_facts?     `counts` and `rows` are filled in from gold
---@field leaked integer[]?           numbers of the test rows that are also in train

local function sorted_keys(t)
   local keys = {}
   for k in pairs(t) do keys[#keys + 1] = k end
   table.sort(keys)
   return keys
end

--- Elements of a list whose number is in `wanted`, or is not.
function M.subset(values, wanted, keep)
   local out = {}
   for row, v in ipairs(values) do
      if (wanted[row] or false) == keep then out[#out + 1] = v end
   end
   return out
end

-- The score on the test rows that are also in train, and on those that are not.
local function leak_scores(measure, recorded, predictions, metric)
   local wanted, out = {}, {}
   for _, row in ipairs(recorded.leaked) do wanted[row] = true end
   for name, keep in pairs { leaked = true, clean = false } do
      local gold = M.subset(recorded.gold.test, wanted, keep)
      if #gold > 0 then
         out[name] = measure.score(gold, measure.pick(predictions, function(values)
            return M.subset(values, wanted, keep)
         end), recorded)[metric]
      end
   end
   return out
end

-- Scores per split of one model, with intervals where the split is judged.
local function score_model(measure, recorded, inputs, judged, boot)
   local out = {}
   for _, split in ipairs { "train", "valid", "test" } do
      local input, gold = inputs[split], recorded.scored and recorded.scored[split] or recorded.gold[split]
      if input and gold then
         out[split] = measure.score(gold, input, recorded)
         if split == judged then out[split].interval = measure.interval(gold, input, boot) end
      end
   end
   return out
end

local function paired_differences(measure, recorded, judged, base, tuned, boot)
   local gold, out = recorded.gold[judged], {}
   local function predictions(model) return recorded.models[model] and recorded.models[model][judged] end
   local final = predictions(tuned)
   for _, kind in ipairs(verdict.comparisons(recorded.models, tuned)) do
      local first, other = predictions(kind.first or "two"), predictions(kind.other)
      if first and other then out[kind.about] = measure.paired(gold, first, other, boot) end
   end
   if final and base then out.tuned_baseline = measure.paired(gold, final, base.predictions, boot) end
   return out
end

--- Scores, intervals, baseline and paired differences. opts.random(below) gives an integer in [0, below); opts.resamples is
--- 2000 unless given.
---@param recorded ftpipe.recorded
---@param measure table
---@param opts { random: fun(below: integer): integer, resamples: integer?, level: number? }
---@return ftpipe.evaluation
function M.gather(recorded, measure, opts)
   local gold = recorded.gold
   local judged = gold.test and #gold.test > 0 and "test" or gold.valid and #gold.valid > 0 and "valid" or nil
   local boot = { random = opts.random, resamples = opts.resamples, level = opts.level, recorded = recorded }
   local models, baseline, data = {}, {}, { counts = {}, rows = {} }
   for k, v in pairs(recorded.data or {}) do data[k] = v end
   for _, name in ipairs(sorted_keys(recorded.models)) do
      models[name] = score_model(measure, recorded, recorded.models[name], judged, boot)
   end
   for split, rows in pairs(gold) do
      data.counts[split], data.rows[split] = measure.counts(rows, recorded), #rows
      baseline[split] = measure.baseline(gold.train or {}, rows, recorded)
   end
   local evaluation = {
      metric = recorded.metric or measure.metric, metric_names = measure.metric_names, columns = measure.columns,
      baseline_name = measure.baseline_name, baseline_phrase = measure.baseline_phrase, class_unit = measure.class_unit,
      advice = measure.advice,
      labels = recorded.labels, models = models, baseline = next(baseline) and baseline or nil, history = recorded.history,
      data = data, tuned = recorded.tuned,
      scored = recorded.scored and recorded.scored.train and { train = #recorded.scored.train } or nil,
   }
   local tuned = verdict.tuned(evaluation)
   if judged then
      evaluation.differences = paired_differences(measure, recorded, judged, baseline[judged], tuned, boot)
   end
   local final = recorded.models[tuned]
   if recorded.leaked and #recorded.leaked > 0 and judged == "test" and final and final.test then
      data.shared = data.shared or { train_test = #recorded.leaked }
      evaluation.leak = leak_scores(measure, recorded, final.test, evaluation.metric)
   end
   for _, scores in pairs(baseline) do scores.predictions = nil end
   return evaluation
end

return M
