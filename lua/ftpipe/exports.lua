--- What a finished run leaves: model/, metrics.json, predictions.csv, report.txt; log.jsonl and plan.json exist already.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local failure = require "ftpipe.failure"
local report = require "ftpipe.report"
local tasks = require "ftpipe.task"

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

-- Some fields of a table, each changed by f.
local function some(t, names, f)
   local out = {}
   for _, name in ipairs(names) do
      if t[name] ~= nil then if f then out[name] = f(t[name]) else out[name] = t[name] end end
   end
   return out
end

-- Plain scores of one split, with the intervals of the headline figures.
local function scores(task, s)
   if not s then return nil end
   local out = some(s, task.fields)
   out.interval = s.interval and some(s.interval, task.metrics, interval)
   return out
end

local function metrics(result, name, run)
   local e, task = result.evaluation, tasks.find(result.recorded.task)
   local own = name and e.models[name]
   local out = own and scores(task, own.test or own.valid) or {}
   out.split, out.model, out.labels, out.metric = own and (own.test and "test" or "valid") or nil, name, e.labels, e.metric
   out.models, out.baseline, out.verdict = {}, {}, json.array {}
   for model, splits in pairs(e.models) do
      out.models[model] = { history = e.history and e.history[model] and json.array(e.history[model].epochs) or nil }
      for split, s in pairs(splits) do out.models[model][split] = scores(task, s) end
   end
   for split, s in pairs(e.baseline or {}) do
      out.baseline[split] = some(s, task.headline)
      out.baseline[split].label = s.label
   end
   out.cost, out.differences = e.cost, {}
   for kind, d in pairs(e.differences or {}) do
      out.differences[kind] = some(d, task.headline, difference)
   end
   for i, s in ipairs(result.sentences) do out.verdict[i] = { code = s.code, level = s.level, text = s.text } end
   out.data, out.settled = e.data, settled_values(run)
   out.computed_with, out.seed = run.fingerprint, run.plan.seed
   return out
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
   local out = tasks.find(tokens.task or "classification").reading(tokens)
   out.max_length, out.pipeline = tokens.max_length, run.plan.name
   return out
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
      model:save(run.out .. "/model.part", reading(run), run.plan.weights)
      fs.remove(run.out .. "/model")
      failure.try("system", fs.rename(run.out .. "/model.part", run.out .. "/model"))
   end
   if evaluated then
      local name = exported_name(run, evaluated)
      local _, tokens = find(run, "tokenize")
      local split = tokens and (tokens.test or tokens.valid)
      if name and split then
         tasks.find(result.recorded.task).save(run.out, tokens, split, result.recorded.models[name][split.name])
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
