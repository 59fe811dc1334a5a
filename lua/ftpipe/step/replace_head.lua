--- ft.replace_head: the encoder with a new, randomly initialised head.

local failure = require "ftpipe.failure"
local model = require "ftpipe.model"
local tasks = require "ftpipe.task"

local step = { kind = "replace_head", version = 1, inputs = { on = "required", labels = "optional" } }

step.params = {
   task = { type = "string", default = "classification", choices = { "masked_lm", table.unpack(tasks.names) },
      help = "masked_lm: for ft.pretrain; its head goes on from the checkpoint's" },
   pool = { type = "string", default = "pooler", choices = { "pooler", "cls", "mean" } },
   head = { type = "head", help = "a head of one's own, from ft.head" },
}

function step.run(ctx, inputs, params)
   local task = params.task ~= "masked_lm" and tasks.find(params.task) or nil
   local head, labels = params.head or task and task.head or params.task, inputs.labels
   if task and not labels then failure.raise("usage", "replace_head: input 'labels' is missing") end
   if task and labels.task and labels.task ~= task.name then
      failure.raise("usage", ("the data are for %s, the head is for %s"):format(labels.task, task.name),
         "give ft.read and ft.replace_head the same task")
   end
   local on = inputs.on.source and inputs.on:source() or inputs.on      -- a model that was trained before, or an encoder
   local m = model.replace_head(on, { head = head, labels = labels and labels.labels, pool = params.pool,
      task = task and task.name }, ctx.seed)
   m.data = labels
   return m
end

return step
