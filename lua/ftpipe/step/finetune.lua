--- ft.finetune: train what is not frozen. With the encoder frozen it is stage one (its features are computed once),
-- with everything free it is stage two, or the one-stage control.

local nn = require "ftpipe.nn"
local tensor = require "ftpipe.core.tensor"
local class_weights = require "ftpipe.class_weights"
local defaults = require "ftpipe.defaults"
local failure = require "ftpipe.failure"
local features = require "ftpipe.features"
local forecast = require "ftpipe.forecast"
local scoring = require "ftpipe.scoring"
local soft_labels = require "ftpipe.step.soft_labels"
local sys = require "ftpipe.core.sys"
local tasks = require "ftpipe.task"

local step = { kind = "finetune", version = 2, trains = true,
   inputs = { model = "required", data = "required", soft = "optional" } }

step.params = {
   freeze = { type = "globs", help = "glob or list of globs; 'loaded' is all that came from the checkpoint" },
   lr = { type = "number", default = "auto", min = 0 },
   epochs = { type = "integer", default = "auto", min = 1 },
   batch = { type = "integer", default = "auto", min = 1, help = "rows of an update" },
   optimizer = { type = "string", default = "adamw", choices = { "adamw", "sgd" } },
   momentum = { type = "number", default = 0, min = 0, max = 1, help = "sgd only" },
   weight_decay = { type = "number", default = 0.01, min = 0 },
   schedule = { type = "string", default = "linear", choices = { "constant", "linear", "cosine" } },
   warmup = { type = "number", default = 0.1, min = 0, max = 1, help = "share of all updates" },
   clip = { type = "number", default = 1, min = 0, help = "largest gradient norm; 0: no clipping" },
   dropout = { type = "number", min = 0, max = 0.9, help = "instead of the encoder's own rates" },
   label_smoothing = { type = "number", default = 0, min = 0, max = 0.9 },
   class_weights = { type = "string", help = "balanced, or label:weight,label:weight, for labels that are rare" },
   groups = { type = "list", help = "{ { match = glob, lr = number }, ... }" },
   patience = { type = "integer", default = 3, min = 0,
      help = "epochs without a better score or a lower validation loss before stopping; 0: never stop" },
   metric = { type = "string", default = "auto", choices = { "auto", "accuracy", "f1", "mcc", "exact", "macro_f1", "pearson",
      "spearman", "micro_f1", "subset_accuracy" },
      help = "what chooses the best epoch; auto: accuracy, or the F1 of answers, entities or several labels" },
   thresholds = { type = "string", default = "half", choices = { "half", "one", "each" },
      help = "probability from which one of several labels is said: one half, or tuned on the validation rows, one for all "
         .. "labels or one for each" },
   keep = { type = "string", default = "best", choices = { "best", "last" } },
   soft_weight = { type = "number", default = 0.5, min = 0, max = 1, help = "of the soft labels; the rest is for the given ones" },
   temperature = { type = "number", default = 2, min = 0.1, help = "of the soft labels" },
   loss = { type = "function", help = "function(logits, gold) -> one value per row" },
   precision = { type = "string", default = "f32", choices = { "auto", "f32", "bf16" },
      help = "of the operands of matrix products; auto: bf16 where the processor has it" },
   tokens_per_batch = { type = "integer", default = 4096, min = 1,
      help = "most tokens computed at once: splits an update, which changes only rounding" },
   recompute = { type = "boolean", default = false, same_bits = true,
      help = "keep only the layers' results in training and compute the rest twice: less memory, more time, the same bits" },
}

local function parameters_of(model)
   local n = 0
   for _, p in ipairs(model:parameters()) do
      if p:name():find("^encoder%.") then n = n + p:tensor():count() end
   end
   return n
end

--- A metric of a task; "auto" is its own.
function step.metric_of(task, wanted)
   if wanted == nil or wanted == "auto" then return task.metric end
   for _, name in ipairs(task.metrics) do if name == wanted then return wanted end end
   failure.raise("usage", ("metric = %s is not one of %s's: %s"):format(wanted, task.name:gsub("_", " "),
      table.concat(task.metrics, ", ")))
end

--- Replace every `auto`.
function step.settle(params, parameters, rows, task)
   local auto = defaults.finetune(parameters, rows, params.freeze ~= nil, task)
   local out = {}
   for k, v in pairs(params) do
      out[k] = v
      if v == "auto" and auto[k] then out[k] = auto[k] end
   end
   return out
end

-- What a precision means on this machine; bf16 is refused where it cannot be had.
function step.precision_of(wanted)
   if wanted == "f32" then return wanted end
   local there, why = sys.bf16()
   if there then return "bf16" end
   if wanted == "bf16" then failure.raise("usage", why, "precision = \"f32\" runs anywhere, and \"auto\" chooses") end
   return "f32"
end

-- Cached features for the frozen stages, or nil and the reason.
local function cache(ctx, model, split)
   local done = model:frozen_stages()
   if done == 0 or not split then return nil end
   local size = features.size(model, split.tokens, done)
   if size > features.BUDGET then
      ctx:say(("features of the frozen encoder would take %.1f GiB (%s): they are recomputed in every epoch"):format(
         size / 2 ^ 30, split.name))
      return nil
   end
   ctx:say(("features of the frozen encoder are kept: %s, %.1f MiB"):format(split.name, size / 2 ^ 20))
   local function compute()
      if ctx.progress then
         ctx.progress:stage(ctx.step .. ": features of " .. split.name, select(2, split.tokens:count()), "tokens", 0)
      end
      return features.compute(model, split.tokens, done, function(n)
         if ctx.progress then ctx.progress:update { step = n } end
      end)
   end
   if not ctx.kept or size > features.KEPT then return compute() end
   local values = ctx:kept("features", features.identity(model, split.tokens, done), function() return compute().store end)
   return features.from(model, split.tokens, done, values)
end

local function loss_of(model, batch, params, soft, weights)
   local logits = batch.features and model:forward_features(batch, batch.done) or model:forward(batch)
   if params.loss then return params.loss(logits, batch.labels) end
   local hard = tasks.of(model).loss(logits, batch, params.label_smoothing)
   if weights then hard = nn.mul(hard, tensor.from((class_weights.some(weights, batch.examples)))) end
   return soft and soft:loss(logits, hard, batch) or hard
end

--- What ftpipe.forecast has to know of a training; the model is frozen already, params are settled.
function step.to_forecast(ctx, model, data, params, task)
   local done = model:frozen_stages()
   local function is_cached(split) return done > 0 and split and features.size(model, split.tokens, done) <= features.BUDGET end
   return { train = data.train, valid = data.valid, batch = params.batch, epochs = params.epochs, seed = ctx.seed,
      tokens_per_batch = params.tokens_per_batch, precision = params.precision, optimizer = params.optimizer,
      groups = params.groups, cached = is_cached(data.train) and done or nil,
      loss = function(logits, batch)
         if params.loss then return params.loss(logits, batch.labels) end
         return task.loss(logits, batch, params.label_smoothing)
      end }
end

function step.optimiser_of(model, p)
   return nn[p.optimizer](model, { lr = p.lr, weight_decay = p.weight_decay, schedule = p.schedule, warmup = p.warmup,
      clip = p.clip, groups = p.groups, momentum = p.momentum })
end

-- Score the validation split (the training loss alone where there is none) and decide whether to go on.
local function end_of_epoch(ctx, model, valid, cached, params, update)
   if model:nonfinite "value" then ctx:fail_numeric(update) end      -- before it is scored or kept
   local score, loss
   if valid then score, loss = scoring.score(model, valid, params.metric, cached) end
   local kept = ctx:keep_best(model, score or -ctx:training_loss(update), loss, { valid = score, valid_loss = loss,
      loss = ctx:training_loss(update), epoch = update.epoch })
   ctx:say(("%s: epoch %d/%d, training loss %.4f%s%s"):format(ctx.step, update.epoch, update.epochs,
      ctx:training_loss(update), valid and (", validation %s %.4f, loss %.4f"):format(params.metric, score, loss) or "",
      kept and ", best so far" or ""))
   if params.patience > 0 and ctx:stalled() >= params.patience then
      ctx:say(("%s: stopped early, no better score for %d epochs"):format(ctx.step, params.patience))
      ctx:stop()
   end
end

-- What a model that was tuned before brings along.
local function say_start(ctx, model, valid, cached, params)
   local score, loss = scoring.score(model, valid, params.metric, cached)
   ctx:say(("%s: before training, validation %s %.4f, loss %.4f"):format(ctx.step, params.metric, score, loss))
end

function step.run(ctx, inputs, given)
   local model, data = ctx:own(inputs.model), inputs.data
   if not data.train then failure.raise("data", "there are no training rows") end
   local task = tasks.of(model)
   if task.suited then data = task.suited(model, data) end
   if inputs.soft and task.name ~= "classification" then
      failure.raise("usage", "soft labels are for classification, this model is for " .. task.name:gsub("_", " "))
   end
   local params = step.settle(given, parameters_of(model), data.train.n, task.name)
   model.settings = {}      -- of the training before
   params.metric = step.metric_of(task, given.metric)
   if task.begin then task.begin(model, data, params) end
   params.precision = step.precision_of(params.precision)
   ctx:compute_in(params.precision)
   model:compute_in(params.precision)
   ctx:settled(params)
   if params.freeze then model:freeze(params.freeze) end
   model:set_dropout(params.dropout, model:frozen_stages() > 0)      -- nil: not what the step before used
   model:set_recompute(params.recompute)
   ctx:card(model)
   forecast.check(model, step.to_forecast(ctx, model, data, params, task))
   local cached = cache(ctx, model, data.train)
   local cached_valid = cached and cache(ctx, model, data.valid)
   local soft = inputs.soft and soft_labels.targets(inputs.soft, model, data.train, params)
   local weights = params.class_weights and class_weights.of(params.class_weights, data.train, data.labels)
   if model.options.kept and data.valid then say_start(ctx, model, data.valid, cached_valid, params) end
   local opt = step.optimiser_of(model, params)
   for update in ctx:updates(data.train, { batch = params.batch, epochs = params.epochs, features = cached,
      tokens_per_batch = params.tokens_per_batch, count = weights and function(update)
         return select(2, class_weights.some(weights, update.examples))
      end }) do
      for batch in update:batches() do
         batch.done = cached and cached.done
         update:backward(loss_of(model, batch, params, soft, weights))
      end
      opt:step(update)
      if update.ends_epoch then end_of_epoch(ctx, model, data.valid, cached_valid, params, update) end
   end
   opt.core:close()
   if params.keep == "best" then model = ctx:best(model) end
   if task.finish then task.finish(model, data, cached_valid) end
   return model
end

--- What is wrong with the settings, as far as it can be told before anything ran.
function step.preflight(params, plan, s)
   local problems = {}
   local function try(f, ...)
      local ok, e = pcall(f, ...)
      if not ok then problems[#problems + 1] = tostring(type(e) == "table" and e.message or e) end
   end
   try(step.precision_of, params.precision)
   local m = require("ftpipe.outlook").model_of(plan, s.inputs.model)
   if m and m.options.task then try(step.metric_of, tasks.of(m), params.metric) end
   if m and params.freeze then try(m.freeze, m, params.freeze) end
   return problems
end

--- For `plan`: the values of auto, where encoder and files can be looked at already.
function step.resolve(params, plan, s)
   local found, seen = {}, {}
   local function look(id)
      local at = plan.by_id[id]
      if seen[id] then return end
      seen[id] = true
      found[at.kind] = found[at.kind] or at
      for _, input in ipairs(plan.inputs_of(at)) do look(input) end
   end
   look(s.id)
   if not found.pretrained or not found.read then return {} end
   local parameters = require("ftpipe.step.pretrained").size(found.pretrained.params)
   local share = found.split and 1 - found.split.params.valid - found.split.params.test or 1
   local rows = require("ftpipe.step.read").count_training_rows(found.read.params, share)
   local out = parameters and rows and defaults.finetune(parameters, rows, params.freeze ~= nil, found.read.params.task)
      or {}
   if params.precision == "auto" then out.precision = step.precision_of("auto") end
   return out
end

return step
