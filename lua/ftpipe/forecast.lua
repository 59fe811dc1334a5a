--- How much memory training takes, told before it takes any.
--
-- The tape runs in its shape modes, which infer shapes and add up bytes but compute nothing, over the micro-batches that
-- training will make: the same order, the same cut. Only those that no other one exceeds in tokens, rows, longest row and
-- guessed tokens are looked at, because all sizes grow with these. To the tape's peak come the rows' own tensors, gradients
-- and moments, the copy of the best weights, features of frozen stages, and room for Lua's tables. The figures are what the
-- allocator counts (`ftpipe.core.sys`), at most; what libraries and the C library take for themselves is not in them.

local fs = require "ftpipe.core.fs"
local graph = require "ftpipe.core.graph"
local host = require "ftpipe.core.host"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"
local tensor = require "ftpipe.core.tensor"
local failure = require "ftpipe.failure"
local heads = require "ftpipe.head"
local nn = require "ftpipe.nn"
local scoring = require "ftpipe.scoring"
local training = require "ftpipe.training"

local forecast = {}

local ENUMERATED = 2000000      -- examples of all epochs up to which every update is looked at; beyond, a bound is taken
local SCORED = 4096             -- tokens of a batch without training

---@class ftpipe.forecast bytes, but for the last three
---@field peak integer         counted at the worst moment, at most
---@field held integer         of that, what was counted when the forecast was made: weights, data, Lua
---@field optimiser integer    gradients and moments
---@field best integer         the copy of the best weights, where there is one while training goes on
---@field features integer     cached output of frozen stages
---@field layouts integer      weights as the products read them
---@field batch integer        the largest micro-batch: its values for the way back, gradients of values, workspace, ids
---@field scoring integer      the same of a batch that is scored
---@field spare integer        room for Lua's tables
---@field tokens integer       of the largest micro-batch
---@field rows integer
---@field flops number         of the whole training, forward and backward, without what is computed twice

-- ==== Micro-batches ====

local function covers(a, b)
   return a.tokens >= b.tokens and a.rows >= b.rows and a.longest >= b.longest and a.chosen >= b.chosen
end

-- Keep the points that no other covers.
local function add(points, point)
   for _, p in ipairs(points) do if covers(p, point) then return end end
   for k = #points, 1, -1 do
      if covers(point, points[k]) then table.remove(points, k) end
   end
   points[#points + 1] = point
end

local function point_of(tokens, index, chosen)
   local lengths, total, longest = {}, 0, 0
   for k, i in ipairs(index) do
      local n = tokens:length(i)
      lengths[k], total, longest = n, total + n, math.max(longest, n)
   end
   return { lengths = lengths, tokens = total, rows = #index, longest = longest, chosen = chosen or 0 }
end

-- Tokens that a mask chooses among so many in the worst of `updates` draws; whole words are drawn in lumps.
local function most_chosen(o, tokens, updates)
   if not o.masks then return 0 end
   local spread = math.sqrt(2 * math.log(updates + 1)) + 1
   return math.min(tokens, math.ceil(o.mask * tokens
      + spread * math.sqrt(o.mask * tokens * (o.whole_word and 3 or 1))))
end

-- Tokens that a mask chooses of these examples; at least one, so that the head is never taken to compute all.
local function chosen_of(o, split, index, epoch)
   return o.masks and math.max(1, o.masks:count(split, index, epoch)) or 0
end

-- The same where examples are read in windows: as many full ones as a micro-batch holds.
local function bound_of_windows(o, total)
   local tokens, longest, out = o.train.tokens, 1, {}
   for w = 1, (tokens:count()) do longest = math.max(longest, tokens:length(w)) end
   for k = 1, math.ceil(total / longest) do out[k] = longest end
   return { lengths = out, tokens = #out * longest, rows = #out, longest = longest, chosen = 0, windows = { #out } }
end

-- One point that covers all micro-batches there can be.
local function bound(o)
   local tokens, lengths = training.lengths(o.train), {}
   local looked_at = o.train.outline and math.min(o.train.n, o.batch) or o.train.n
   for i = 1, looked_at do lengths[i] = tokens:length(i) end
   table.sort(lengths, function(a, b) return a > b end)
   local rows, sum = math.min(o.batch, #lengths), 0
   for k = 1, rows do sum = sum + lengths[k] end
   local total = math.min(sum, math.max(o.tokens_per_batch, lengths[1]))
   if o.train.parts then return bound_of_windows(o, total) end
   local out, left = { lengths[1] }, total - lengths[1]
   for k = 2, rows do
      out[k] = math.ceil(left / (rows - k + 1))
      left = left - out[k]
   end
   return { lengths = out, tokens = total, rows = rows, longest = lengths[1],
      chosen = most_chosen(o, total, o.epochs * o.train.n / rows) }
end

local function training_points(o)
   local n, points = o.train.n, {}
   if n * o.epochs > ENUMERATED or o.train.outline then return { bound(o) } end
   local left = o.updates or math.huge
   for epoch = 1, o.epochs do
      local order = training.order(o.seed, epoch, n)
      for first = 1, n, o.batch do
         if left <= 0 then return points end
         left = left - 1
         local examples = table.move(order, first, math.min(first + o.batch - 1, n), 1, {})
         for _, index in ipairs(training.parts(training.lengths(o.train), examples, o.tokens_per_batch)) do
            local rows, windows = training.windows(o.train, index)
            local point = point_of(o.train.tokens, rows, chosen_of(o, o.train, index, epoch))
            point.windows = windows
            add(points, point)
         end
      end
   end
   return points
end

local function scoring_points(o, split)
   local points = {}
   if split.outline then
      local index = {}
      for i = 1, math.max(1, math.min(split.n, SCORED // split.tokens:length(1))) do index[i] = i end
      return { point_of(split.tokens, index, most_chosen(o, #index * split.tokens:length(1), split.n)) }
   end
   for _, index in ipairs(scoring.batches(split.tokens, SCORED)) do
      add(points, point_of(split.tokens, index, chosen_of(o, split, index, 0)))
   end
   return points
end

-- ==== The tape ====

-- A batch of that shape, and the bytes of its tensors.
local function batch_of(model, split, point, done)
   local bytes = 0
   local function shape(dims, dtype)
      local t = tensor.shape_only(dims, dtype)
      bytes = bytes + sys.block_size(4 * t:count())
      return t
   end
   local T, B = point.tokens, point.rows
   local batch = { tokens = shape({ T }, "i32"), types = shape({ T }, "i32"), positions = shape({ T }, "i32"),
      rows = tensor.ragged(point.lengths), examples = point.lengths, done = done }
   local per_row = B
   if point.windows then batch.windows, B = tensor.ragged(point.windows), #point.windows end
   if split.targets then batch.labels = shape({ B, split.targets.width }, "i32")
   elseif split.token_labels then batch.labels = shape({ T }, "i32")
   elseif split.values then batch.labels = shape { B }
   else batch.labels = shape({ B }, "i32") end
   if done then batch.features = shape { model:features_per_row(done) and per_row or T, model.dims.hidden } end
   if point.chosen > 0 then batch.places, batch.labels = shape({ point.chosen }, "i32"), shape({ point.chosen }, "i32") end
   return batch, bytes
end

-- The most bytes that run(batch) takes at any of the points, that point, FLOPs for each of its tokens, and bytes of weights in
-- other layouts, which are there from the second update on.
local function largest(model, split, points, done, mode, precision, run)
   local most, at, flops, keeps = 0, points[1], 0, 0
   for _, point in ipairs(points) do
      graph.begin(mode, 1, 1, precision)
      local batch, bytes = batch_of(model, split, point, done)
      local loss = run(batch)
      if mode == "shape" then graph.backward(loss, 1) end
      local cost = graph.cost()
      batch.rows:close()
      if batch.windows then batch.windows:close() end
      keeps = math.max(keeps, cost.keeps)
      if cost.peak + bytes > most then most, at, flops = cost.peak + bytes, point, cost.flops / point.tokens end
   end
   graph.begin "eval"
   return most, at, flops, keeps
end

local function forward(model, batch)
   return batch.features and model:forward_features(batch, batch.done) or model:forward(batch)
end

-- ==== The sum ====

local function bytes_of(model, trainable)
   local sum = 0
   for _, p in ipairs(model:parameters()) do
      if not trainable or p:trainable() then sum = sum + sys.block_size(4 * p:tensor():count()) end
   end
   return sum
end

local function feature_bytes(model, split, done)
   local rows, total = split.tokens:count()
   return sys.block_size(4 * model.dims.hidden * (model:features_per_row(done) and rows or total))
end

-- Lua's tables: orders and examples, results of scoring, garbage that waits for its collector.
local function spare(o)
   local scored = o.valid and o.valid.n or 0
   return math.floor(0.5 * 1024 * host.collectgarbage "count") + (512 << 10) + 48 * o.train.n + 200 * scored
end

-- What the results of scoring take in tensors: a head for tokens has scores of all words.
local function result_bytes(model, split)
   if not split or not split.token_labels then return 0 end
   return 4 * #model.options.labels * select(2, split.tokens:count())
end

--- How much memory a training will take; nothing of it is allocated. The model may be an outline (model.outline): then its
--- weights count as still to come. o: train, valid (splits as ft.tokenize gives them), batch, epochs, updates,
--- tokens_per_batch, seed, precision, optimizer, groups; cached (how many frozen stages have their features computed once);
--- early (the best weights are kept before the last epoch is over); masks, mask, whole_word for masked-LM training;
--- loss(logits, batch) in variables.
---@param model ftpipe.model
---@param o table
---@return ftpipe.forecast
function forecast.training(model, o)
   graph.begin "eval"      -- lets go of what ran before
   sys.forget_layouts()
   local f = { held = sys.memory().live, spare = spare(o), features = 0, scoring = 0 }
   if model.set:shapes_only() then f.held = f.held + bytes_of(model) end
   local function scored(split, done, run)
      local bytes, _, _, keeps = largest(model, split, scoring_points(o, split), done, "shape_eval", model:precision(), run)
      f.layouts = math.max(f.layouts, keeps)
      return bytes
   end
   local point, flops
   f.batch, point, flops, f.layouts = largest(model, o.train, training_points(o), o.cached, "shape", o.precision,
      function(batch) return o.loss(forward(model, batch), batch) end)
   f.tokens, f.rows = point.tokens, point.rows
   f.flops = 3 * flops * select(2, o.train.tokens:count()) * o.epochs
   f.optimiser = nn.optimiser_bytes(o.optimizer, model, { groups = o.groups })
   f.best = (o.early or o.epochs > 1) and bytes_of(model, true) or 0
   local before = 0
   if o.cached then
      f.features = feature_bytes(model, o.train, o.cached) + (o.valid and feature_bytes(model, o.valid, o.cached) or 0)
      before = scored(o.train, nil, function(batch) return model:features(batch, o.cached) end)
   end
   if o.valid then
      f.scoring = scored(o.valid, o.cached, function(batch) return forward(model, batch) end) + result_bytes(model, o.valid)
   end
   local copy = bytes_of(model, true)      -- made when the first epoch is over
   f.peak = f.held + f.spare + f.features + f.layouts
      + math.max(before, f.optimiser + math.max(f.best + math.max(f.batch, f.scoring), copy))
   return f
end

-- ==== Of a plan ====

local LABELS = { named_entities = 9, regression = 1, question_answering = 2 }      -- how many, while the rows are not read

-- Rows of which no more is known than their number and longest length.
local function outline_of(n, longest, task)
   local tokens = {}
   function tokens.length() return longest end
   function tokens.count() return n, n * longest end
   return { n = n, outline = true, tokens = tokens, token_labels = task == "named_entities",
      values = task == "regression", targets = task == "question_answering" and { width = 2 } or nil }
end

-- The first step of each kind that a step comes from.
local function sources(plan, step)
   local found, seen = {}, {}
   local function look(id)
      local at = plan.by_id[id]
      if seen[id] then return end
      seen[id] = true
      found[at.kind] = found[at.kind] or at
      for _, input in ipairs(plan.inputs_of(at)) do look(input) end
   end
   for _, input in ipairs(plan.inputs_of(step)) do look(input) end
   return found
end

local function planned_model(found, task)
   local source = require "ftpipe.source"
   local path = source.path(found.pretrained.params.from) .. "/config.json"
   local config = failure.try("data", json.decode(failure.try("data", fs.read(path))))
   local unit = heads.find(found.replace_head.params.head or task.head)
   local labels = {}
   for k = 1, LABELS[task.name] or 2 do labels[k] = "LABEL_" .. k end
   local pool = found.replace_head.params.pool
   if pool == "auto" then pool = "pooler" end
   local m = require("ftpipe.model").outline(config, { head = unit, labels = unit.labels or labels, pool = pool,
      task = task.name })
   for _, p in ipairs(m:parameters()) do p:loaded(p:name():find "^encoder%." ~= nil) end
   return m
end

--- What a step ft.finetune of a plan will take at most, before anything of it is read but config.json and the number of
--- rows: every row is taken to be as long as ft.tokenize allows. The data's own size is not in it. nil and why where it
--- cannot be told yet (the encoder or the files are not there, a head or loss of one's own needs numbers).
---@param plan ftpipe.plan
---@param step table of the plan
---@return ftpipe.forecast|nil, string|nil
function forecast.planned(plan, step)
   local found = sources(plan, step)
   if step.kind ~= "finetune" then return nil, "only ft.finetune is forecast" end
   if not (found.pretrained and found.read and found.tokenize and found.replace_head) then
      return nil, "its encoder or rows come from other steps"
   end
   if found.replace_head.params.head == "keep" then return nil, "it goes on with a head that is not read yet" end
   local ok, f = pcall(function()
      local finetune, tasks = require "ftpipe.step.finetune", require "ftpipe.task"
      local task = tasks.find(found.replace_head.params.task)
      local m, known = planned_model(found, task), step.unit.resolve(step.params, plan, step)
      local params = {}
      for k, v in pairs(step.params) do
         params[k] = v
         if v == "auto" then params[k] = known[k] end
      end
      local share = found.split and 1 - found.split.params.valid - found.split.params.test or 1
      local n = require("ftpipe.step.read").count_training_rows(found.read.params, share) or params.batch
      local length = require("ftpipe.step.tokenize").resolve(found.tokenize.params, plan, found.tokenize).max_length
      params.precision = finetune.precision_of(params.precision or "f32")
      if params.freeze then m:freeze(params.freeze) end
      m:set_recompute(params.recompute)
      local rows = outline_of(n, length, task.name)
      local data = { train = rows, valid = rows }
      return forecast.training(m, finetune.to_forecast({ seed = plan.seed }, m, data, params, task))
   end)
   if ok then return f end
   graph.begin "eval"
   return nil, tostring(f)
end

-- ==== What would fit ====

local function size(bytes)
   return bytes >= 10 << 30 and ("%.1f GiB"):format(bytes / 2 ^ 30) or ("%d MiB"):format(math.ceil(bytes / 2 ^ 20))
end

local function with(o, changes)
   local out = {}
   for k, v in pairs(o) do out[k] = v end
   for k, v in pairs(changes) do out[k] = v end
   return out
end

-- The most tokens of a micro-batch, by 64, that fit; nil if not even single rows do.
local function fitting_tokens(model, o, limit)
   local function peak(tokens) return forecast.training(model, with(o, { tokens_per_batch = tokens })).peak end
   local low, high = 1, o.tokens_per_batch // 64
   if high < 1 or peak(64) > limit then return nil end
   while low < high do
      local middle = (low + high + 1) // 2
      if peak(middle * 64) <= limit then low = middle else high = middle - 1 end
   end
   return low * 64, peak(low * 64)
end

-- Globs of the embeddings and the lower `n` layers.
local function lower_layers(n)
   local globs = { "encoder.embed.*" }
   for tens = 0, (n - 1) // 10 do
      local last = math.min(9, n - 1 - 10 * tens)
      globs[#globs + 1] = ("encoder.layer.%s%s.*"):format(tens > 0 and tens or "", last == 0 and "0" or ("[0-%d]"):format(last))
   end
   return globs
end

-- Run f with some parameters frozen besides.
local function frozen(model, globs, f)
   local open = {}
   for _, p in ipairs(model:parameters()) do if p:trainable() then open[#open + 1] = p:name() end end
   model:freeze(globs)
   local result = f()
   for _, name in ipairs(open) do model:unfreeze(name) end
   return result
end

-- The fewest lower layers that must be frozen, as globs; nil if all are too few.
local function fitting_layers(model, o, limit)
   for n = 0, (model.dims.layers or 0) - 1 do
      local globs = lower_layers(n)
      local peak = frozen(model, globs, function() return forecast.training(model, o).peak end)
      if peak <= limit then return globs, peak end
   end
end

--- What would make a training fit into `limit` bytes, each alone: { text, peak } in the order in which to try them.
---@param model ftpipe.model
---@param o table as for forecast.training
---@param limit integer
---@return { text: string, peak: integer }[]
function forecast.remedies(model, o, limit)
   local out = {}
   local function found(text, peak) out[#out + 1] = { text = text, peak = peak } end
   local tokens, peak = fitting_tokens(model, o, limit)
   if tokens then found(("tokens_per_batch = %d"):format(tokens), peak) end
   if model:frozen_stages() == 0 then
      if not model.dims.recompute then
         model:set_recompute(true)
         peak = forecast.training(model, o).peak
         if peak <= limit then
            found("recompute = true", peak)
         elseif not tokens then
            tokens, peak = fitting_tokens(model, o, limit)
            if tokens then found(("recompute = true with tokens_per_batch = %d"):format(tokens), peak) end
         end
         model:set_recompute(false)
      end
      local globs, least = fitting_layers(model, o, limit)
      if globs then found(('freeze = { "%s" }'):format(table.concat(globs, '", "')), least) end
   end
   return out
end

local function parts_of(f)
   local out = {}
   local function part(name, bytes) if bytes >= 1 << 20 then out[#out + 1] = ("%s %s"):format(name, size(bytes)) end end
   part("weights and data", f.held)
   part("gradients and moments", f.optimiser)
   part("the best weights", f.best)
   part("features", f.features)
   part(("a micro-batch of %d tokens"):format(f.tokens), f.batch)
   return table.concat(out, ", ")
end

--- Refuse a training that will not fit below the ceiling of --memory, with the figure and what would fit.
---@param model ftpipe.model
---@param o table as for forecast.training
---@return ftpipe.forecast|nil nil where there is no ceiling, or where a loss of the pipeline's own needs numbers
function forecast.check(model, o)
   local limit = sys.memory_limit()
   if not limit then return nil end
   local ok, f = pcall(forecast.training, model, o)
   if not ok then graph.begin "eval" end
   if not ok or f.peak <= limit then return ok and f or nil end
   local texts = {}
   for i, r in ipairs(forecast.remedies(model, o, limit)) do texts[i] = ("%s takes %s"):format(r.text, size(r.peak)) end
   local hint = #texts > 0 and "of the step's parameters, " .. table.concat(texts, "; ") .. "; or"
      or "no split of updates, recomputation or frozen layers would fit;"
   failure.raise("system", ("out of memory before training: it would take %s (%s), and the ceiling is %s"):format(size(f.peak),
      parts_of(f), size(limit)), ("%s allow more with --memory %dM"):format(hint, math.ceil(f.peak / 2 ^ 20)))
end

return forecast
