--- ft.replace_head: the encoder with a new, randomly initialised head, or with the one it was tuned with before.

local failure = require "ftpipe.failure"
local model = require "ftpipe.model"
local tasks = require "ftpipe.task"

local step = { kind = "replace_head", version = 2, exact = true, stored = false,
   inputs = { on = "required", labels = "optional" } }

step.params = {
   task = { type = "string", default = "classification", choices = { "masked_lm", table.unpack(tasks.names) },
      help = "masked_lm: for ft.pretrain; its head goes on from the checkpoint's" },
   pool = { type = "string", default = "auto", choices = { "auto", "pooler", "cls", "mean" },
      help = "what the head reads; auto: as published (BERT: the pooler, or the mean where there is none; else the first token)" },
   head = { type = "head", help = "a head of one's own, from ft.head; \"keep\": that of a model tuned for the task before" },
}

local function listed(labels) return table.concat(labels, ", ") end

local function position(labels, label)
   for i, l in ipairs(labels) do if l == label then return i end end
end

-- Put the rows of a linear head in the order of other labels.
local function reorder(m, labels, where)
   local index = {}
   for i, label in ipairs(labels) do index[i] = position(m.options.labels, label) end
   if #index ~= #labels or #labels ~= #m.options.labels then
      failure.raise("data", ("%s tells apart %s, the data have %s"):format(where, listed(m.options.labels), listed(labels)),
         "use the same labels (map renames them), or a new head")
   end
   if listed(labels) == listed(m.options.labels) then return end
   for _, name in ipairs { "head.out.weight", "head.out.bias" } do
      local p = next(m.head_names) and m.by_name[name]
      if not p then
         failure.raise("data", ("%s has its labels in another order (%s) than the data (%s)"):format(where,
            listed(m.options.labels), listed(labels)))
      end
      local shape = p:shape()
      local rows <close> = p:tensor():view(1, { shape[1], shape[2] or 1 }):take_rows(index)
      p:tensor():view(1, { shape[1], shape[2] or 1 }):copy(rows)
   end
   local thresholds = m.settings.thresholds
   if thresholds then
      local moved = {}
      for i, k in ipairs(index) do moved[i] = thresholds[k] end
      m.settings.thresholds = moved
   end
   m.options.labels = labels
end

-- The model that `on` is, or that lies where it was read from, with its head.
local function keep(on, task, labels)
   local where = on.dir or "the model"
   local m = on.list and on:copy() or model.load(on.dir)
   if tasks.of(m).name ~= task.name then
      failure.raise("usage", ("head = \"keep\": %s is tuned for %s, not for %s"):format(where,
         (tasks.of(m).name:gsub("_", " ")), (task.name:gsub("_", " "))))
   end
   local options = {}
   for k, v in pairs(m.options) do options[k] = v end
   m.options, options.kept = options, true
   if task.adopt then task.adopt(m, labels, where) else reorder(m, labels, where) end
   return m
end

function step.run(ctx, inputs, params)
   local task = params.task ~= "masked_lm" and tasks.find(params.task) or nil
   local head, labels = params.head or task and task.head or params.task, inputs.labels
   if task and not labels then failure.raise("usage", "replace_head: input 'labels' is missing") end
   if task and labels.task and labels.task ~= task.name then
      failure.raise("usage", ("the data are for %s, the head is for %s"):format(labels.task, task.name),
         "give ft.read and ft.replace_head the same task")
   end
   if params.head == "keep" then
      if not task then failure.raise("usage", "head = \"keep\" is for tuned models, not for masked_lm") end
      local kept = keep(inputs.on, task, labels.labels)
      kept.data = labels
      return kept
   end
   local on = inputs.on.source and inputs.on:source() or inputs.on      -- a model that was trained before, or an encoder
   local m = model.replace_head(on, { head = head, labels = labels and labels.labels, pool = params.pool,
      task = task and task.name }, ctx.seed)
   m.data = labels
   return m
end

return step
