--- ft.distill: an encoder learns another one's hidden states on unlabelled text, word by word.
--
-- The loss is the mean squared distance between an affine map of the student's last hidden state and the teacher's, at the
-- first piece of each word (Jiao et al. 2020, TinyBERT, arXiv:1909.10351, the loss of the last layer). The two may have
-- different vocabularies, as long as both cut text into the same words; `data` and `teacher_data` are the same texts as each
-- tokenises them (ft.corpus with apart = true). The map begins as the one of least squares on some of the texts, so that from
-- the first update on the student is told where it is wrong, not where the map is.

local core = require "ftpipe.core.corpus"
local graph = require "ftpipe.core.graph"
local nn = require "ftpipe.nn"
local failure = require "ftpipe.failure"
local finetune = require "ftpipe.step.finetune"
local least_squares = require "ftpipe.least_squares"
local model = require "ftpipe.model"
local pretrain = require "ftpipe.step.pretrain"
local scoring = require "ftpipe.scoring"
local sys = require "ftpipe.core.sys"

local step = { kind = "distill", version = 2, trains = true,
   inputs = { student = "required", teacher = "required", data = "required", teacher_data = "required" } }

step.params = {}
for _, name in ipairs { "optimizer", "momentum", "weight_decay", "schedule", "clip", "dropout", "groups", "precision",
   "tokens_per_batch", "recompute", "lr", "epochs", "updates", "batch", "warmup", "evaluations", "keep" } do
   step.params[name] = pretrain.params[name]
end

-- Both encoders at work on the same examples.
local pair = {}
pair.__index = pair

local function pair_of(student, inputs, seed)
   local teacher = model.replace_head(inputs.teacher, { head = "hidden_states", width = 1 }, seed)
   teacher:freeze "*"
   teacher:set_dropout(0)
   return setmetatable({ student = student, teacher = teacher,
      aligner = failure.try("usage", core.aligner(inputs.data.tokenizer, inputs.teacher_data.tokenizer)) }, pair)
end

--- What the teacher sees in the words of a batch of the student's: batch.places and batch.wanted (M, width).
function pair:prepare(batch, examples, split)
   local theirs = split.tokens:batch(examples)
   local places
   batch.places, places = self.aligner:places(batch.tokens, batch.rows, theirs.tokens, theirs.rows)
   batch.wanted = nn.scope(function() return self.teacher:hidden(theirs, places) end)
end

--- One loss for each word of a batch.
function pair:loss(batch) return nn.mean(nn.square(self.student:forward(batch) - batch.wanted), 2) end

--- Mean loss of a split.
function pair:evaluate(split, teacher_split)
   local sum, n = 0, 0
   for _, index in ipairs(scoring.batches(split.tokens, 4096)) do
      scoring.stop_if_asked()
      self.student:begin()
      local batch = split.tokens:batch(index)
      self:prepare(batch, index, teacher_split)
      local losses <close> = self:loss(batch):tensor()
      for _, x in ipairs(losses:table()) do sum, n = sum + x, n + 1 end
   end
   graph.begin "eval"
   return n > 0 and sum / n or 0
end

local FIT = 16384      -- words that the map is fitted to, at least, if there are so many
local RIDGE = 1e-4

-- The map of least squares from what the student gives so far to the teacher's hidden states.
local function fit_map(both, data, theirs, seed)
   local student, order = both.student, sys.shuffle(seed, "distill.fit", data.n)
   local map = least_squares.new(student.dims.hidden, both.teacher.dims.hidden)
   for first = 1, data.n, 16 do
      scoring.stop_if_asked()
      graph.begin "eval"
      local index = table.move(order, first, math.min(first + 15, data.n), 1, {})
      local batch = data.tokens:batch(index)
      both:prepare(batch, index, theirs)
      map:add(student:hidden(batch, batch.places):tensor():clone(), batch.wanted:tensor():clone())
      if map.rows >= FIT then break end
   end
   local weight, bias = map:solution(RIDGE)
   student.by_name["head.out.weight"]:tensor():copy(weight)
   student.by_name["head.out.bias"]:tensor():copy(bias)
end

local function check(data, theirs)
   for _, name in ipairs { "train", "valid" } do
      local a, b = data[name] and data[name].n or 0, theirs[name] and theirs[name].n or 0
      if a ~= b or not (data.apart and theirs.apart) then
         failure.raise("usage", ("distill needs the same texts twice: %d and %d for %s"):format(a, b, name),
            "ft.corpus with apart = true and the same files, once with each tokeniser")
      end
   end
end

local function score(ctx, both, inputs, update)
   if both.student:nonfinite "value" then ctx:fail_numeric(update) end
   local training = ctx:training_loss(update)
   local loss = inputs.data.valid and both:evaluate(inputs.data.valid, inputs.teacher_data.valid) or training
   local kept = ctx:keep_best(both.student, -loss, nil, { valid_loss = loss, loss = training, update = update.index,
      epoch = update.epoch })
   ctx:say(("%s: update %d/%d, training loss %.4f, held-out loss %.4f%s"):format(ctx.step, update.index, update.total, training,
      loss, kept and ", best so far" or ""))
end

function step.run(ctx, inputs, params)
   local data, theirs = inputs.data, inputs.teacher_data
   check(data, theirs)
   local on = inputs.student.source and inputs.student:source() or inputs.student
   local student = ctx:own(model.replace_head(on, { head = "hidden_states", width = inputs.teacher.dims.hidden }, ctx.seed))
   params.precision = finetune.precision_of(params.precision)
   ctx:compute_in(params.precision)
   student:compute_in(params.precision)
   ctx:settled(params)
   student:set_dropout(params.dropout)
   student:set_recompute(params.recompute)
   ctx:card(student)
   local both = pair_of(student, inputs, ctx.seed)
   fit_map(both, data.train, theirs.train, ctx.seed)
   local opt = finetune.optimiser_of(student, params)
   for update in ctx:updates(data.train, { batch = params.batch, epochs = params.epochs, updates = params.updates,
      tokens_per_batch = params.tokens_per_batch,
      prepare = function(batch) both:prepare(batch, batch.examples, theirs.train) end,
      count = function(update) return both.aligner:count(data.train.tokens, theirs.train.tokens, update.examples) end }) do
      for batch in update:batches() do update:backward(both:loss(batch)) end
      opt:step(update)
      if pretrain.scores_after(update, params.evaluations) then score(ctx, both, inputs, update) end
   end
   opt.core:close()
   return params.keep == "best" and ctx:best(student) or student
end

return step
