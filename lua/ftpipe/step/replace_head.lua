--- ft.replace_head: the encoder with a new, randomly initialised head.

local failure = require "ftpipe.failure"
local model = require "ftpipe.model"

local step = { kind = "replace_head", version = 1, inputs = { on = "required", labels = "optional" } }

step.params = {
   task = { type = "string", default = "classification", choices = { "classification", "masked_lm" },
      help = "masked_lm: for ft.pretrain; its head goes on from the checkpoint's" },
   pool = { type = "string", default = "pooler", choices = { "pooler", "cls", "mean" } },
   head = { type = "head", help = "a head of one's own, from ft.head" },
}

function step.run(ctx, inputs, params)
   local head, labels = params.head or params.task, inputs.labels
   if head ~= "masked_lm" and not labels then failure.raise("usage", "replace_head: input 'labels' is missing") end
   local on = inputs.on.source and inputs.on:source() or inputs.on      -- a model that was trained before, or an encoder
   local m = model.replace_head(on, { head = head, labels = labels and labels.labels, pool = params.pool }, ctx.seed)
   m.data = labels
   return m
end

return step
