--- ft.evaluate: scores of several models on train, validation and test, with intervals and a verdict in plain sentences.

local failure = require "ftpipe.failure"
local evaluation = require "ftpipe.evaluation"
local finetune = require "ftpipe.step.finetune"
local sys = require "ftpipe.core.sys"
local tasks = require "ftpipe.task"
local verdict = require "ftpipe.verdict"

local step = { kind = "evaluate", version = 2, inputs = { data = "required", models = "list" } }

-- Training rows that are scored at most: their score only shows how far a model has come to know them by heart.
step.TRAIN_ROWS = 10000

step.params = {
   metric = finetune.params.metric,
   tuned = { type = "string", help = "name of the model under judgement; two, one or head unless said" },
   cost = { type = "boolean", default = false, help = "also tell parameters, size and speed of each model" },
   resamples = { type = "integer", default = 2000, min = 100, help = "of the bootstrap" },
}

local function sorted(t)
   local keys = {}
   for k in pairs(t) do keys[#keys + 1] = k end
   table.sort(keys)
   return keys
end

-- Epochs of training in the verdict's form.
local function history_of(model)
   if not model.history or #model.history == 0 then return nil end
   return { epochs = model.history, kept = model.kept_epoch }
end

-- The same rows with the model's own labels, and as its own tokeniser cut them, where those are others.
local function rows_for(task, model, data, split)
   if task.suited then data = task.suited(model, data) end
   local own = model.data
   if not own or own.tokenizer == data.tokenizer or not own[split] then return data[split] end
   if own[split].n ~= data[split].n or table.concat(own.labels, "\n") ~= table.concat(data.labels, "\n") then
      failure.raise("usage", ("evaluate: the models have other rows or labels in %s"):format(split))
   end
   return own[split]
end

-- What a model costs to use: rows per second over a split, once it is warm.
local function cost_of(task, model, rows)
   local parameters = 0
   for _, p in ipairs(model:parameters()) do parameters = parameters + p:tensor():count() end
   local start, n = sys.now(), 0
   repeat
      task.predict(model, rows)
      n = n + rows.n
   until sys.now() - start > 1
   return { parameters = parameters, bytes = 4 * parameters, rows_per_second = n / (sys.now() - start) }
end

-- Numbers of the training rows that are scored; nil: all.
local function drawn_rows(task, train, seed)
   local n = train and #(train.gold or train.labels) or 0
   if not task.some or n <= step.TRAIN_ROWS then return nil end
   local index = table.move(sys.shuffle(seed, "evaluate.train", n), 1, step.TRAIN_ROWS, 1, {})
   table.sort(index)
   return index
end

function step.run(ctx, inputs, params)
   local data = inputs.data
   if not inputs.models or not next(inputs.models) then failure.raise("usage", "evaluate needs models = { name = step }") end
   local task = tasks.find(data.task or "classification")
   local recorded = { task = task.name, labels = data.labels, metric = finetune.metric_of(task, params.metric),
      gold = {}, models = {}, history = {}, data = data.facts, leaked = data.leaked, tuned = params.tuned }
   if params.tuned and not inputs.models[params.tuned] then
      failure.raise("usage", ("evaluate: tuned = '%s' is none of the models"):format(params.tuned))
   end
   local cost
   local drawn = drawn_rows(task, data.train, ctx.seed)
   if drawn then
      local few = task.some(data.train, drawn)
      recorded.scored = { train = few.gold or few.labels }
   end
   for _, split in ipairs { "train", "valid", "test" } do
      if data[split] then recorded.gold[split] = data[split].gold or data[split].labels end
   end
   for _, name in ipairs(sorted(inputs.models)) do
      local model = inputs.models[name]
      recorded.models[name], recorded.history[name] = {}, history_of(model)
      for _, split in ipairs { "train", "valid", "test" } do
         if data[split] then
            if ctx.progress then ctx.progress:stage(("evaluate: %s on %s"):format(name, split), 1) end
            local rows = rows_for(task, model, data, split)
            recorded.models[name][split] = task.predict(model, drawn and split == "train" and task.some(rows, drawn) or rows)
         end
      end
   end
   if params.cost then
      local split = data.test and "test" or "train"
      cost = {}
      for name, model in pairs(inputs.models) do cost[name] = cost_of(task, model, rows_for(task, model, data, split)) end
   end
   local n = 0
   local result = evaluation.gather(recorded, task.measure, { resamples = params.resamples, random = function(below)
      n = n + 1
      return sys.random(ctx.seed, "bootstrap", n, below)
   end })
   result.cost = cost
   return { evaluation = result, sentences = verdict.sentences(result), recorded = recorded }
end

return step
