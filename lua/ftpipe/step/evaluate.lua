--- ft.evaluate: scores of several models on train, validation and test, with intervals and a verdict in plain sentences.

local failure = require "ftpipe.failure"
local scoring = require "ftpipe.scoring"
local sys = require "ftpipe.core.sys"
local verdict = require "ftpipe.verdict"

local step = { kind = "evaluate", version = 1, inputs = { data = "required", models = "list" } }

step.params = {
   metric = { type = "string", default = "accuracy", choices = { "accuracy", "f1", "mcc" } },
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

function step.run(ctx, inputs, params)
   local data = inputs.data
   if not inputs.models or not next(inputs.models) then failure.raise("usage", "evaluate needs models = { name = step }") end
   local recorded = { labels = data.labels, metric = params.metric, gold = {}, models = {}, history = {}, data = data.facts,
      leaked = data.leaked }
   for _, split in ipairs { "train", "valid", "test" } do
      if data[split] then recorded.gold[split] = data[split].labels end
   end
   for _, name in ipairs(sorted(inputs.models)) do
      local model = inputs.models[name]
      recorded.models[name], recorded.history[name] = {}, history_of(model)
      for _, split in ipairs { "train", "valid", "test" } do
         if data[split] then
            if ctx.progress then ctx.progress:stage(("evaluate: %s on %s"):format(name, split), 1) end
            recorded.models[name][split] = scoring.predict(model, data[split])
         end
      end
   end
   local n = 0
   local evaluation = verdict.gather(recorded, { resamples = params.resamples, random = function(below)
      n = n + 1
      return sys.random(ctx.seed, "bootstrap", n, below)
   end })
   return { evaluation = evaluation, sentences = verdict.sentences(evaluation), recorded = recorded }
end

return step
