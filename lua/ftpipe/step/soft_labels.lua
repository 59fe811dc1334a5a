--- ft.soft_labels: what a tuned teacher thinks of the training rows, for a student that learns from it (ft.finetune's `soft`).
--
-- Hinton, Vinyals and Dean 2015 (arXiv:1503.02531): the student's loss is (1 - w) times that of the given label plus w t^2
-- times the cross-entropy between teacher's and student's probabilities, both at temperature t.

local failure = require "ftpipe.failure"
local nn = require "ftpipe.nn"
local scoring = require "ftpipe.scoring"
local tensor = require "ftpipe.core.tensor"

local step = { kind = "soft_labels", version = 1, inputs = { teacher = "required", data = "required" } }

step.params = {}

function step.run(ctx, inputs)
   local split = inputs.data.train
   if ctx.progress then ctx.progress:stage(ctx.step .. ": the teacher's probabilities", 1) end
   return { probabilities = scoring.probabilities(inputs.teacher, split.tokens, nil, split.parts),
      labels = inputs.teacher.options.labels, n = split.n }
end

local targets = {}
targets.__index = targets

-- Probabilities at temperature t from those at 1.
local function softened(p, t)
   local out, sum = {}, 0
   for k, x in ipairs(p) do
      out[k] = x ^ (1 / t)
      sum = sum + out[k]
   end
   for k = 1, #out do out[k] = out[k] / sum end
   return out
end

--- The teacher's probabilities as a student trains with them. params: temperature, soft_weight.
function step.targets(soft, model, split, params)
   if soft.n ~= split.n or table.concat(soft.labels, "\n") ~= table.concat(model.options.labels, "\n") then
      failure.raise("usage", ("soft labels: the teacher saw %d rows with labels %s, the student %d with %s"):format(soft.n,
         table.concat(soft.labels, ", "), split.n, table.concat(model.options.labels, ", ")))
   end
   local self = setmetatable({ rows = {}, classes = #soft.labels, t = params.temperature, weight = params.soft_weight }, targets)
   for i, p in ipairs(soft.probabilities) do self.rows[i] = softened(p, self.t) end
   return self
end

--- One loss per row from logits (B, C) and the losses of the given labels (B).
function targets:loss(logits, hard, batch)
   local flat = {}
   for _, i in ipairs(batch.examples) do table.move(self.rows[i], 1, self.classes, #flat + 1, flat) end
   local wanted = tensor.from(flat, { #batch.examples, self.classes })
   local soft = -nn.sum(nn.mul(wanted, nn.log_softmax(logits / self.t)), 2)
   return (1 - self.weight) * hard + self.weight * self.t ^ 2 * soft
end

return step
