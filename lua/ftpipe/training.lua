--- What a training step works with: updates in a reproducible order, the best weights, checkpoints, the log.
--
-- ctx:updates is an iterator whose place is saved: after a kill the same command goes on at the last checkpoint and
-- ends with the same bits, because everything random is a function of (seed, update, example). ft.finetune and
-- hand-written loops use the same object.

local graph = require "ftpipe.core.graph"
local tensor = require "ftpipe.core.tensor"
local store = require "ftpipe.core.store"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"
local fs = require "ftpipe.core.fs"
local failure = require "ftpipe.failure"
local nn = require "ftpipe.nn"

local training = {}
training.TOKENS = 4096       -- tokens of one micro-batch, unless asked otherwise

---@class ftpipe.context
local context = {}
context.__index = context

--- opts: seed, step (its id), dir (for checkpoints; nil: none), log (file; nil: none), progress, interval (seconds between
-- checkpoints), fingerprint (what computes: a checkpoint of another is refused), where.
function training.context(opts)
   local ctx = setmetatable({ seed = 1, interval = 60, history = {}, models = {} }, context)
   for k, v in pairs(opts) do ctx[k] = v end
   ctx.last_checkpoint = sys.now()
   return ctx
end

--- Precision of the products of training; part of what a checkpoint must agree with.
---@param precision "f32"|"bf16"
function context:compute_in(precision)
   self.precision = precision
   if self.fingerprint and precision ~= "f32" then self.fingerprint = self.fingerprint .. ", products in " .. precision end
end

-- ==== Updates ====

local update_methods = {}
update_methods.__index = update_methods

--- What tells the tokens of a split's examples, in all their windows.
---@return { length: fun(self, i: integer): integer }
function training.lengths(split)
   if not split.parts then return split.tokens end
   return { length = function(_, i)
      local sum = 0
      for _, w in ipairs(split.parts[i]) do sum = sum + split.tokens:length(w) end
      return sum
   end }
end

--- Micro-batches of an update: groups of at most `budget` tokens, rows of like length together. A row that is longer stands
-- alone; an update that fits stays whole and in its order.
---@param tokens { length: fun(self, i: integer): integer }
---@param examples integer[]
---@return integer[][]
function training.parts(tokens, examples, budget)
   local total = 0
   for _, i in ipairs(examples) do total = total + tokens:length(i) end
   if total <= budget then return { examples } end
   local sorted = { table.unpack(examples) }
   table.sort(sorted, function(a, b)
      local x, y = tokens:length(a), tokens:length(b)
      if x ~= y then return x < y end
      return a < b
   end)
   local out, group, sum = {}, {}, 0
   for _, i in ipairs(sorted) do
      local n = tokens:length(i)
      if #group > 0 and sum + n > budget then
         out[#out + 1] = group
         group, sum = {}, 0
      end
      group[#group + 1] = i
      sum = sum + n
   end
   out[#out + 1] = group
   return out
end

--- The order of n examples in an epoch.
function training.order(seed, epoch, n) return sys.shuffle(seed, "order." .. epoch, n) end

--- Targets of some examples as an i32 tensor (n, width). targets: { width, flat numbers of all examples }.
---@param targets { width: integer, flat: integer[] }
---@param index integer[]
function training.targets(targets, index)
   local flat, width = {}, targets.width
   for k, i in ipairs(index) do table.move(targets.flat, (i - 1) * width + 1, i * width, (k - 1) * width + 1, flat) end
   return tensor.from(flat, { #index, width }, "i32")
end

-- 0-based i32 labels of some examples, as the split's task has them; nil where there are none.
local function label_tensor(split, index)
   if split.targets then return training.targets(split.targets, index) end
   if split.token_labels then return split.tokens:take(split.token_labels, index) end
   if split.values then
      local values = {}
      for k, i in ipairs(index) do values[k] = split.values[i] end
      return tensor.from(values)
   end
   if not split.labels then return nil end
   local ids = {}
   for k, i in ipairs(index) do ids[k] = split.labels[i] - 1 end
   return tensor.from(ids, nil, "i32")
end

local function total_weight(weights, examples)
   local sum = 0
   for _, i in ipairs(examples) do sum = sum + weights[i] end
   return sum
end

-- Let go of a batch's tensors now: the collector does not know how large they are.
local function close(batch)
   for _, key in ipairs { "tokens", "types", "positions", "labels", "features", "places", "windows" } do
      if batch[key] then batch[key]:close() end
   end
end

--- What of split.tokens some examples are: themselves, or all their windows; and how many windows each has.
---@return integer[] index, integer[]? counts
function training.windows(split, index)
   if not split.parts then return index end
   local list, counts = {}, {}
   for k, i in ipairs(index) do
      local own = split.parts[i]
      table.move(own, 1, #own, #list + 1, list)
      counts[k] = #own
   end
   return list, counts
end

--- Micro-batches of this update, each on a fresh tape: { tokens, types, positions, rows, labels, features?, windows? }. A batch
-- and everything computed from it lives until the next one is asked for. `windows` says which rows are of one example, where
-- examples are read in several: a model's logits are then their means.
function update_methods:batches()
   if self.replayed then return function() end end
   local parts, k, last = training.parts(training.lengths(self.split), self.examples, self.budget), 0, nil
   return function()
      if last then close(last) end
      k, last = k + 1, nil
      local index = parts[k]
      if not index then return nil end
      graph.begin("train", self.seed, self.index, self.context.precision)
      local list, counts = training.windows(self.split, index)
      local batch = self.split.tokens:batch(list)
      batch.examples, batch.labels = index, label_tensor(self.split, index)
      batch.windows = counts and tensor.ragged(counts)
      if self.features then batch.features = self.features:take(list) end
      if self.prepare then self.prepare(batch, self) end
      self.tokens = self.tokens + batch.rows:tokens()
      last = batch
      return batch
   end
end

--- Gradients of sum(loss) / rows of the whole update (or what `count` said); loss has one value per row.
function update_methods:backward(loss)
   local shape = loss:shape()
   if #shape ~= 1 then
      error(("the loss must have one value per row, a vector; got shape (%s)"):format(table.concat(shape, ",")), 2)
   end
   local sum, values <close> = 0, loss:tensor()
   for _, x in ipairs(values:table()) do sum = sum + x end
   if sum ~= sum or sum == math.huge or sum == -math.huge then self.context:fail_numeric(self) end
   self.loss_sum = self.loss_sum + sum
   if self.count > 0 then graph.backward(loss, 1 / self.count) end
end

-- The parameter with the largest value, and that value.
local function largest(models)
   local name, most = nil, 0
   for _, model in ipairs(models) do
      for _, p in ipairs(model:parameters()) do
         graph.begin "eval"
         local value = nn.max(nn.abs(p)):tensor():table()[1]
         if value > most then name, most = p:name(), value end
      end
   end
   return name, most
end

--- Tell which number broke: a parameter that is not finite, or the largest one, from which a layer overflowed.
function context:fail_numeric(update)
   for _, model in ipairs(self.models) do
      local name = model:nonfinite("value")
      if name then
         failure.raise("numeric", ("update %d: the loss is not finite because parameter '%s' is not (NaN or infinite)")
            :format(update.index, name), "a smaller learning rate or clipping may help")
      end
   end
   local name, value = largest(self.models)
   failure.raise("numeric", ("update %d: the loss is not finite (NaN or infinite); all parameters are finite, the largest "
      .. "value is %.3g in '%s'"):format(update.index, value, name or "none"), "a smaller learning rate or clipping may help")
end

--- Iterate over updates of `batch` examples for `epochs` epochs, shuffled anew in each. opts: batch, epochs, updates (the
-- most of them, in the middle of an epoch too), tokens_per_batch, features (cached, for frozen stages), prepare(batch,
-- update) to change a batch when it is made, count(update) for what losses are divided by, where it is not the rows or what
-- split.weights says of them.
---@return fun(): table|nil
function context:updates(split, opts)
   local n, size = split.n, opts.batch or 32
   local epochs = opts.epochs or 1
   if n == 0 then failure.raise("data", "there are no training rows") end
   local per_epoch = math.ceil(n / size)
   local total = math.min(per_epoch * epochs, opts.updates or math.huge)
   local order, order_epoch, update
   self.total, self.per_epoch = total, per_epoch
   self.cursor = self:restore() or 0
   local started = sys.now()
   if self.progress then self.progress:stage(self.step, total) end

   local function finish_update()
      local now = sys.now()
      self.cursor, self.update = update.index, nil
      self.epoch_loss = (self.epoch_loss or 0) + update.loss_sum
      self.epoch_rows = (self.epoch_rows or 0) + update.count
      self:record(update, now - started)
      if update.ends_epoch then self.epoch_loss, self.epoch_rows = 0, 0 end
      if sys.interrupted() > 0 then
         self:checkpoint()
         failure.raise("interrupted", ("stopped after update %d of %d of step %s"):format(self.cursor, total, self.step))
      end
      if self.stopped then return end
      if now - self.last_checkpoint >= self.interval then self:checkpoint() end
   end

   return function()
      if update then finish_update() end
      if self.cursor >= total or self.stopped then return nil end
      started = sys.now()
      local k = self.cursor + 1
      local epoch = (k - 1) // per_epoch + 1
      if epoch ~= order_epoch then
         order, order_epoch = training.order(self.seed, epoch, n), epoch
      end
      local first = (k - 1) % per_epoch * size
      local examples = {}
      for i = first + 1, math.min(first + size, n) do examples[#examples + 1] = order[i] end
      update = setmetatable({ context = self, split = split, index = k, total = total, epoch = epoch, epochs = epochs,
         examples = examples, count = #examples, ends_epoch = k % per_epoch == 0, seed = self.seed, features = opts.features,
         prepare = opts.prepare, budget = opts.tokens_per_batch or training.TOKENS, tokens = 0, loss_sum = 0 }, update_methods)
      if split.weights then update.count = total_weight(split.weights, examples) end
      if opts.count then update.count = opts.count(update) end
      if self.pending then      -- its weights are there; what the loop does at its end is still to be done
         for name, value in pairs(self.pending) do update[name] = value end
         update.replayed, self.pending = true, nil
      end
      self.update = update
      return update
   end
end

function context:record(update, seconds)
   local entry = { step = update.index, stage = self.step, epoch = update.epoch, loss = update.loss_sum / math.max(update.count, 1),
      learning_rate = update.lr, gradient_norm = update.grad_norm, tokens = update.tokens,
      tokens_per_second = update.tokens / math.max(seconds, 1e-9) }
   if self.log then
      failure.try("system", self.log:write(json.encode(entry) .. "\n"))
      local now = sys.now()
      if now - (self.last_flush or 0) > 1 then
         failure.try("system", self.log:flush())
         self.last_flush = now
      end
   end
   if self.progress then
      self.progress:update { step = update.index, loss = entry.loss, lr = update.lr, epoch = update.epoch,
         epochs = update.epochs, tokens_per_second = entry.tokens_per_second }
   end
   if self.on_update then self.on_update(entry, update, seconds) end
end

--- Mean training loss of the epoch so far, the current update included.
function context:training_loss(update)
   return ((self.epoch_loss or 0) + update.loss_sum) / math.max((self.epoch_rows or 0) + update.count, 1)
end

-- ==== The best weights ====

-- Into the tensors of the former best, so that an epoch's end takes no new memory.
local function trainable_weights(model, former)
   local out = {}
   for _, p in ipairs(model:parameters()) do
      if p:trainable() then
         local name, weights <close> = p:name(), p:tensor()
         out[name] = former and former[name]
         if out[name] then out[name]:copy(weights) else out[name] = weights:clone() end
      end
   end
   return out
end

--- Remember the weights if `score` (higher is better) beats the best so far; ties go to the lower `loss` if given.
-- Returns whether they were kept. `facts` is added to the history of epochs.
function context:keep_best(model, score, loss, facts)
   local entry = { score = score, valid_loss = loss }
   for k, v in pairs(facts or {}) do entry[k] = v end
   self.history[#self.history + 1] = entry
   local best = self.best_so_far
   local better = not best or score > best.score or (score == best.score and loss and best.loss and loss < best.loss)
   if better then
      self.best_so_far = { score = score, loss = loss, epoch = #self.history,
         weights = trainable_weights(model, best and best.weights) }
   end
   self.best_model = model
   return better
end

--- Epochs since the score was best or, if that is later, since the validation loss was lowest: while the loss still
-- falls, a score that stands still on a small split is noise.
function context:stalled()
   local last, lowest = self.best_so_far and self.best_so_far.epoch or #self.history, math.huge
   for k, e in ipairs(self.history) do
      if e.valid_loss and e.valid_loss < lowest then lowest, last = e.valid_loss, math.max(last, k) end
   end
   return #self.history - last
end

--- End the loop after this update.
function context:stop() self.stopped = true end

--- The model with its best weights (the last ones if keep_best was never called).
function context:best(model)
   model = model or self.best_model
   if self.best_so_far then model:set_weights(self.best_so_far.weights) end
   return model
end

-- ==== Checkpoints: the last one, and the one before ====

--- Called by optimisers: what checkpoints must hold.
function context:attach(model, optimiser)
   self.models[#self.models + 1], self.optimisers = model, self.optimisers or {}
   self.optimisers[#self.optimisers + 1] = optimiser
end

local NAMES = { "checkpoint.safetensors", "before.safetensors" }      -- newest first

--- Whether a step's directory holds a checkpoint.
---@param dir string
function training.has_checkpoint(dir)
   for _, name in ipairs(NAMES) do if fs.stat(dir .. "/" .. name) then return true end end
   return false
end

-- The last one that can be read, and what it says. After a power cut a file system may have lost the newest.
local function last_checkpoint(self)
   local problem
   for _, name in ipairs(NAMES) do
      local path = self.dir .. "/" .. name
      if fs.stat(path) then
         local saved, message = store.open(path)
         local state = saved and json.decode(saved:metadata("state") or "null")
         if type(state) == "table" and state.version == 3 then return saved, state end
         problem = problem or message or path .. " is not a checkpoint of this version"
      end
   end
   failure.raise("data", problem, "begin anew: remove " .. self.dir)
end

--- Where training is stopped while it scores: the update's weights are there, its end is still to come. True where that was
-- saved.
function context:save_pending()
   local update = self.update
   if not update or not self.optimisers or update.stepped ~= #self.optimisers or #self.history ~= update.history_size then
      return false
   end
   self:checkpoint { loss_sum = update.loss_sum, tokens = update.tokens, lr = update.lr, grad_norm = update.grad_norm }
   return true
end

function context:checkpoint(pending)
   self.last_checkpoint = sys.now()
   if not self.dir or not self.optimisers or #self.optimisers == 0 then return end
   local tensors, steps = {}, json.array {}
   for k, optimiser in ipairs(self.optimisers) do
      steps[k] = optimiser.core:steps()
      for _, m in ipairs(optimiser.core:moments()) do
         for i = 1, #m do tensors[("moment%d.%d/%s"):format(i, k, m.name)] = m[i] end
      end
   end
   for k, model in ipairs(self.models) do
      for _, p in ipairs(model:parameters()) do
         if p:trainable() then tensors[("weight.%d/%s"):format(k, p:name())] = p:tensor() end
      end
   end
   local best = self.best_so_far
   if best then
      for name, t in pairs(best.weights) do tensors["best/" .. name] = t end
   end
   if self.log then self.log:flush() end
   local state = { version = 3, pending = pending, cursor = self.cursor, total = self.total, steps = steps,
      history = json.array(self.history),
      best = best and { score = best.score, loss = best.loss, epoch = best.epoch } or json.null,
      epoch_loss = self.epoch_loss or 0, epoch_rows = self.epoch_rows or 0, log_size = self.log and self.log:size() or 0,
      fingerprint = self.fingerprint or "" }
   failure.try("system", fs.mkdirs(self.dir))
   local path = ("%s/%s"):format(self.dir, NAMES[1])
   if fs.stat(path) then failure.try("system", fs.rename(path, ("%s/%s"):format(self.dir, NAMES[2]))) end
   failure.try("system", store.write(path, tensors, { state = json.encode(state) }))
end

local function restore_tensors(self, saved)
   for k, optimiser in ipairs(self.optimisers) do
      for _, m in ipairs(optimiser.core:moments()) do
         for i = 1, #m do m[i]:copy(failure.try("data", saved:tensor(("moment%d.%d/%s"):format(i, k, m.name)))) end
      end
   end
   for k, model in ipairs(self.models) do
      for _, p in ipairs(model:parameters()) do
         if p:trainable() then
            p:tensor():copy(failure.try("data", saved:tensor(("weight.%d/%s"):format(k, p:name()))))
         end
      end
   end
end

--- Go back to the last checkpoint; nil if there is none. Everything must have been made as it was then.
function context:restore()
   if not self.dir or not training.has_checkpoint(self.dir) or not self.optimisers then return nil end
   local saved, state = last_checkpoint(self)
   if state.fingerprint ~= (self.fingerprint or "") then
      failure.raise("usage", ("this run was begun with %s, but now %s would compute; its bits would differ")
         :format(state.fingerprint, self.fingerprint), "begin anew with another --out, or use the former library (--blas)")
   end
   restore_tensors(self, saved)
   for k, optimiser in ipairs(self.optimisers) do optimiser.core:steps(state.steps[k]) end
   self.history = state.history
   if state.best ~= json.null then
      local weights = {}
      for _, name in ipairs(saved:names()) do
         local own = name:match("^best/(.*)$")
         if own then weights[own] = saved:tensor(name):clone() end
      end
      self.best_so_far = { score = state.best.score, loss = state.best.loss, epoch = state.best.epoch, weights = weights }
   end
   self.epoch_loss, self.epoch_rows = state.epoch_loss, state.epoch_rows
   self.resumed_at, self.log_size, self.pending = state.cursor, state.log_size, state.pending
   if self.on_resume then self.on_resume(state) end
   self.best_model = self.models[1]
   return state.cursor
end

return training
