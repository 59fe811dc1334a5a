--- What a finished run leaves: model/, metrics.json, predictions.csv, report.txt; log.jsonl and plan.json exist already.

local data = require "ftpipe.core.data"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local failure = require "ftpipe.failure"
local report = require "ftpipe.report"

local exports = {}

-- What `auto` became in each training step.
local function settled_values(run)
   local out = {}
   for id, p in pairs(run.settled) do out[id] = { lr = p.lr, epochs = p.epochs, batch = p.batch } end
   return out
end

-- Of a run without evaluation: how its model's training went, and the scores that its weights were kept for.
local function training_metrics(run, model)
   local kept = model.history[model.kept_epoch or #model.history] or {}
   return { history = json.array(model.history), settled = settled_values(run), computed_with = run.fingerprint,
      seed = run.plan.seed, loss = kept.valid_loss, perplexity = kept.perplexity }
end

-- The name under which evaluate knows the exported model.
local function exported_name(run, step)
   for name, id in pairs(step.inputs.models or {}) do
      if id == run.plan.model then return name end
   end
end

local function interval(i) return i and { low = i.low, high = i.high, level = i.level } or nil end

local function difference(d) return d and { value = d.value, low = d.low, high = d.high } or nil end

-- Plain scores of one split, with the intervals of the headline figures.
local function scores(s)
   if not s then return nil end
   local out = { rows = s.rows, accuracy = s.accuracy, f1 = s.f1, mcc = s.mcc, loss = s.loss, confusion = s.confusion,
      per_class = s.per_class }
   if s.interval then
      out.interval = { accuracy = interval(s.interval.accuracy), f1 = interval(s.interval.f1), mcc = interval(s.interval.mcc) }
   end
   return out
end

local function metrics(result, name, run)
   local e = result.evaluation
   local own = name and e.models[name]
   local out = own and scores(own.test or own.valid) or {}
   out.split, out.model, out.labels, out.metric = own and (own.test and "test" or "valid") or nil, name, e.labels, e.metric
   out.models, out.baseline, out.verdict = {}, {}, json.array {}
   for model, splits in pairs(e.models) do
      out.models[model] = { history = e.history and e.history[model] and json.array(e.history[model].epochs) or nil }
      for split, s in pairs(splits) do out.models[model][split] = scores(s) end
   end
   for split, s in pairs(e.baseline or {}) do out.baseline[split] = { accuracy = s.accuracy, f1 = s.f1, label = s.label } end
   out.cost, out.differences = e.cost, {}
   for kind, d in pairs(e.differences or {}) do
      out.differences[kind] = { accuracy = difference(d.accuracy), f1 = difference(d.f1) }
   end
   for i, s in ipairs(result.sentences) do out.verdict[i] = { code = s.code, level = s.level, text = s.text } end
   out.data, out.settled = e.data, settled_values(run)
   out.computed_with, out.seed = run.fingerprint, run.plan.seed
   return out
end

local function write_predictions(path, split, predicted, labels)
   local w = failure.try("system", data.create(path, "csv", { "row", "text", "gold", "predicted", "probability" }))
   for i = 1, split.n do
      local k = predicted.predicted[i]
      failure.try("system", w:row(i, split.texts[i], labels[split.labels[i]], labels[k], predicted.probabilities[i][k]))
   end
   failure.try("system", w:commit())
end

local function find(run, kind)
   for _, step in ipairs(run.plan.steps) do
      if step.kind == kind then return step, run.artifacts[step.id] end
   end
end

-- How `predict` must read files to give the same results.
local function reading(run)
   local _, tokens = find(run, "tokenize")
   if not tokens then return {} end
   return { text = tokens.rows.text, label = tokens.rows.label, joiner = "\n", max_length = tokens.max_length,
      map = tokens.rows.map, pipeline = run.plan.name }
end

local function write_report(run, evaluated, result)
   local card
   for _, step in ipairs(run.plan.steps) do card = card or run.cards[step.id] end
   local text = report.render(result.evaluation, { title = run.plan.name, sentences = result.sentences, weights = card }, {})
   failure.try("system", fs.write(run.out .. "/report.txt", text))
   return text, evaluated
end

--- Write everything; metrics.json comes last, so that its presence means that the rest is there.
---@return string report
function exports.write(run)
   local evaluated, result = find(run, "evaluate")
   local text = ""
   if run.plan.model then
      local model = run.artifacts[run.plan.model]
      fs.remove(run.out .. "/model.part")      -- of a run that was killed while it wrote it
      model:save(run.out .. "/model.part", reading(run))
      fs.remove(run.out .. "/model")
      failure.try("system", fs.rename(run.out .. "/model.part", run.out .. "/model"))
   end
   if evaluated then
      local name = exported_name(run, evaluated)
      local _, tokens = find(run, "tokenize")
      local split = tokens and (tokens.test or tokens.valid)
      if name and split then
         write_predictions(run.out .. "/predictions.csv", split, result.recorded.models[name][split.name], tokens.labels)
      end
      text = write_report(run, evaluated, result)
      failure.try("system", fs.write(run.out .. "/metrics.json", json.encode(metrics(result, name, run)) .. "\n"))
   elseif run.plan.model and run.artifacts[run.plan.model].history then
      failure.try("system", fs.write(run.out .. "/metrics.json",
         json.encode(training_metrics(run, run.artifacts[run.plan.model])) .. "\n"))
   end
   return text
end

return exports
