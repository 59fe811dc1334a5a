--- ft.replace_head: the encoder with a new, randomly initialised head.

local model = require "ftpipe.model"

local step = { kind = "replace_head", version = 1, inputs = { on = "required", labels = "required" } }

step.params = {
   task = { type = "string", default = "classification", choices = { "classification" } },
   pool = { type = "string", default = "pooler", choices = { "pooler", "cls", "mean" } },
   head = { type = "head", help = "a head of one's own, from ft.head" },
}

function step.run(ctx, inputs, params)
   local m = model.replace_head(inputs.on, { head = params.head or params.task, labels = inputs.labels.labels,
      pool = params.pool }, ctx.seed)
   m.data = inputs.labels
   return m
end

return step
