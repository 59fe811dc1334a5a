--- ft.pretrain: masked language modelling on a corpus, from scratch or going on with a published encoder.
--
-- Held-out loss is measured with masks that never change; the best weights are kept. Losses are means over the masked
-- tokens of a whole update (Devlin et al. 2019, arXiv:1810.04805; Gururangan et al. 2020, arXiv:2004.10964).

local finetune = require "ftpipe.step.finetune"
local failure = require "ftpipe.failure"
local forecast = require "ftpipe.forecast"
local masked_lm = require "ftpipe.masked_lm"
local nn = require "ftpipe.nn"

local step = { kind = "pretrain", version = 2, trains = true, inputs = { model = "required", data = "required" } }

local shared = finetune.params

step.params = {
   freeze = shared.freeze, optimizer = shared.optimizer, momentum = shared.momentum, weight_decay = shared.weight_decay,
   schedule = shared.schedule, clip = shared.clip, dropout = shared.dropout, groups = shared.groups,
   precision = shared.precision, tokens_per_batch = shared.tokens_per_batch, recompute = shared.recompute,
   lr = { type = "number", default = 1e-4, min = 0 },
   epochs = { type = "integer", default = 3, min = 1 },
   updates = { type = "integer", min = 1, help = "stop after so many, in the middle of an epoch too" },
   batch = { type = "integer", default = 32, min = 1, help = "windows of an update" },
   warmup = { type = "number", default = 0.06, min = 0, max = 1, help = "share of all updates" },
   mask = { type = "number", default = 0.15, min = 0.01, max = 0.9, help = "share of the tokens that are guessed" },
   whole_word = { type = "boolean", default = false, help = "mask all pieces of a word together" },
   evaluations = { type = "integer", default = 10, min = 1, help = "how often held-out text is scored" },
   keep = shared.keep,
}

-- Before anything is trained: what the best weights have to beat. Without held-out text nothing is known yet.
local function score_start(ctx, model, masks, data)
   if not data.valid then return end
   local loss, tokens = masks:evaluate(model, data.valid)
   ctx:keep_best(model, -loss, nil, { valid_loss = loss, perplexity = math.exp(loss), update = 0, epoch = 0 })
   ctx:say(("%s: before training, held-out loss %.4f, perplexity %.2f (%d masked tokens)"):format(ctx.step, loss,
      math.exp(loss), tokens))
end

-- Held-out loss, and the weights if they are the best.
local function score(ctx, model, masks, data, update)
   if model:nonfinite "value" then ctx:fail_numeric(update) end
   local training = ctx:training_loss(update)
   local loss = data.valid and masks:evaluate(model, data.valid) or training
   local kept = ctx:keep_best(model, -loss, nil, { valid_loss = loss, perplexity = math.exp(loss), loss = training,
      update = update.index, epoch = update.epoch })
   ctx:say(("%s: update %d/%d, training loss %.4f, %s loss %.4f, perplexity %.2f%s"):format(ctx.step, update.index, update.total,
      training, data.valid and "held-out" or "training", loss, math.exp(loss), kept and ", best so far" or ""))
end

--- What ftpipe.forecast has to know of a training.
function step.to_forecast(ctx, data, params, masks)
   return { train = data.train, valid = data.valid, batch = params.batch, epochs = params.epochs, updates = params.updates,
      seed = ctx.seed, tokens_per_batch = params.tokens_per_batch, precision = params.precision, optimizer = params.optimizer,
      groups = params.groups, early = data.valid ~= nil or params.evaluations > 1, masks = masks, mask = params.mask,
      whole_word = params.whole_word, loss = function(logits, batch) return nn.cross_entropy(logits, batch.labels) end }
end

--- Whether held-out text is scored after this update: `n` times in all, at even distances, the last update included.
function step.scores_after(update, n)
   local every = math.max(1, update.total // n)
   return update.index == update.total or update.index % every == 0 and update.total - update.index >= every // 2
end

function step.run(ctx, inputs, params)
   local model, data = ctx:own(inputs.model), inputs.data
   if model.head_unit.name ~= "masked_lm" then
      failure.raise("usage", "pretrain needs a masked-LM head: ft.replace_head { on = encoder, task = \"masked_lm\" }")
   end
   params.precision = finetune.precision_of(params.precision)
   ctx:compute_in(params.precision)
   model:compute_in(params.precision)
   ctx:settled(params)
   if params.freeze then model:freeze(params.freeze) end
   if model.keeps_pooler then model:freeze "encoder.pool.*" end      -- nothing reads it
   model:set_dropout(params.dropout)
   model:set_recompute(params.recompute)
   ctx:card(model)
   local masks = masked_lm.new(data.tokenizer, { seed = ctx.seed, rate = params.mask, whole_word = params.whole_word })
   forecast.check(model, step.to_forecast(ctx, data, params, masks))
   score_start(ctx, model, masks, data)
   local opt = finetune.optimiser_of(model, params)
   for update in ctx:updates(data.train, { batch = params.batch, epochs = params.epochs, updates = params.updates,
      tokens_per_batch = params.tokens_per_batch,
      prepare = function(batch, update) masks:mask(batch, update.epoch) end,
      count = function(update) return masks:count(data.train, update.examples, update.epoch) end }) do
      for batch in update:batches() do update:backward(masked_lm.loss(model, batch)) end
      opt:step(update)
      if step.scores_after(update, params.evaluations) then score(ctx, model, masks, data, update) end
   end
   opt.core:close()
   return params.keep == "best" and ctx:best(model) or model
end

return step
