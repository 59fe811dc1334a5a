--- Time, memory and disk of the steps that will run, before any of them does.
--
-- What there is to compute is told by a run of shapes alone (graph.begin "shape"), on as many tokens as the data have, or, as
-- long as they are not tokenised, as their files' size suggests. What memory a training will take ftpipe.forecast says: exactly
-- where the data are at hand, else of the longest rows that there may be. How long that takes is told by what this machine did
-- before (cache/speeds.lua), or else by a short measurement of matrix products.

local graph = require "ftpipe.core.graph"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"
local tensor = require "ftpipe.core.tensor"
local text = require "ftpipe.core.text"
local features = require "ftpipe.features"
local forecast = require "ftpipe.forecast"
local model = require "ftpipe.model"
local nn = require "ftpipe.nn"
local plan_of = require "ftpipe.plan"
local source = require "ftpipe.source"
local speeds = require "ftpipe.cache.speeds"
local tasks = require "ftpipe.task"
local training = require "ftpipe.training"

local outlook = {}

local BYTES_PER_TOKEN = 4.4      -- of English text, with the tokens that begin and end a row
local SHARE = 0.5                -- of the rate of products that training reaches, where nothing was seen yet
local BASE = 96 << 20            -- bytes of the program and its libraries
local PER_TEXT_BYTE = 6          -- bytes that a byte of the files takes as rows and tokens
local DATA_RATE = 4e6            -- bytes of files that a step without arithmetic handles in a second

local LITTLE = 128 << 20         -- bytes of memory that need not be told of one step

-- ==== Sizes ====

local function ancestors(plan, id, visit, seen)
   seen = seen or {}
   if seen[id] then return end
   seen[id] = true
   local step = plan.by_id[id]
   visit(step)
   for _, input in ipairs(plan_of.inputs_of(step)) do ancestors(plan, input, visit, seen) end
end

-- Bytes of the files that a step reads; looked up once, because many steps may come from it.
local own_bytes = setmetatable({}, { __mode = "k" })

local function bytes_of(step)
   if own_bytes[step] then return own_bytes[step] end
   local sum, ok, files = 0, pcall(step.unit.files, step.params)
   for _, path in ipairs(ok and files or {}) do sum = sum + ((fs.status(path) or {}).size or 0) end
   own_bytes[step] = sum
   return sum
end

-- Bytes of the files that the steps before this one read, apart from encoders; and of those, what is held in memory as rows.
local function bytes_before(plan, id)
   local sum, held = 0, 0
   ancestors(plan, id, function(step)
      if step.kind == "pretrained" or not step.unit.files then return end
      local bytes = bytes_of(step)
      sum, held = sum + bytes, held + (step.unit.streams and 0 or bytes)
   end)
   return sum, held
end

local function nearest(plan, id, kinds)
   local found
   ancestors(plan, id, function(step) if kinds[step.kind] then found = found or step end end)
   return found
end

-- Splits of data that are not tokenised yet: { train = { n, tokens } }.
local function guess(plan, at)
   local bytes = bytes_before(plan, at.id)
   if bytes == 0 then return nil end
   local auto = at.unit.resolve and at.unit.resolve(at.params, plan, at) or {}
   local most = at.params.max_length ~= "auto" and at.params.max_length or auto.max_length or at.params.length or 512
   local read = nearest(plan, at.id, { read = true })
   local n = read and read.unit.count_training_rows(read.params, 1) or math.ceil(bytes / BYTES_PER_TOKEN / most)
   local tokens = math.min(bytes // BYTES_PER_TOKEN, n * most)
   return { train = { n = math.max(1, n), tokens = math.max(1, tokens) }, labels = 2, most = most, guessed = true }
end

local known_data = { tokenize = true, corpus = true }

-- What is known of the data that a step works on: { train = { n, tokens }, valid, test, labels, most, guessed }.
local function sizes_of(plan, schedule, step)
   local at = nearest(plan, step.inputs.data or step.inputs.rows or step.id, known_data)
      or step.inputs.model and nearest(plan, step.inputs.model, known_data)
   if not at then return nil end
   local state = schedule.states[at.id] or {}
   local facts = state.record and state.record.facts or {}
   return facts.extent or guess(plan, at)
end

--- The size of a data set, as it is kept with what a step left.
---@param data table { train, valid, test, labels, max_length or length }
function outlook.extent(data)
   local out = { labels = data.labels and #data.labels or nil, most = data.max_length or data.length }
   for _, name in ipairs { "train", "valid", "test" } do
      if data[name] then
         local n, tokens = data[name].tokens:count()
         out[name] = { n = n, tokens = tokens }
      end
   end
   return out
end

-- ==== Models ====

local function config_at(dir)
   local config = json.decode(fs.read(source.path(dir) .. "/config.json") or "null")
   return type(config) == "table" and config or nil
end

local function config_of(plan, id)
   local step = plan.by_id[id]
   if step.kind == "pretrained" then return config_at(step.params.from) end
   local from = step.inputs.on or step.inputs.model or step.inputs.student
   return from and step.kind ~= "shrink" and config_of(plan, from) or nil
end

-- The model that a step gives, as shapes; nil where its configuration is not known before something has run.
local function model_of(plan, id, labels)
   local step = plan.by_id[id]
   if step.kind ~= "replace_head" then
      local from = step.inputs.model or step.inputs.student
      return from and model_of(plan, from, labels) or nil
   end
   local config = config_of(plan, step.inputs.on)
   if not config then return nil end
   local task = step.params.task ~= "masked_lm" and tasks.find(step.params.task) or nil
   local head, names = step.params.head, {}
   if not head or head == "keep" then head = task and task.head or step.params.task end
   for i = 1, labels or 2 do names[i] = tostring(i) end
   local pool = step.params.pool ~= "auto" and step.params.pool or "pooler"
   local m = model.outline(config, { head = head, labels = names, pool = pool, task = task and task.name })
   for _, p in ipairs(m:parameters()) do p:loaded(p:name():find "^encoder%." ~= nil) end
   return m
end
outlook.model_of = model_of

-- One run of shapes over rows of a length: FLOPs forward, and the bytes at the worst moment.
local function run_shapes(m, rows, length, backward)
   local tokens, index = text.tokens(), {}
   local ids = {}
   for k = 1, length do ids[k] = 5 end
   for i = 1, rows do
      tokens:add(ids)
      index[i] = i
   end
   graph.begin("shape", 1, 1)
   local batch = tokens:batch(index)
   batch.examples = index
   if m.head_unit.at_places then
      local places = {}
      for k = 0, rows * length - 1, 7 do places[#places + 1] = k end
      batch.places = tensor.from(places, nil, "i32")
   end
   local out = m:forward(batch)
   if backward then graph.backward(nn.mean(nn.square(out), 2), 1) end
   local cost = graph.cost()
   graph.begin "eval"
   return cost
end

local function parameters(m, which)
   local n = 0
   for _, p in ipairs(m:parameters()) do
      if which == "all" or p:trainable() then
         local count = 1
         for _, d in ipairs(p:shape()) do count = count * d end
         n = n + count
      end
   end
   return n
end

-- FLOPs of a forward pass for a token of rows of this mean length, and the memory of the largest batch.
local function costs(m, size, backward, batch)
   local mean = math.max(2, math.min(size.most or 512, size.train.tokens // size.train.n))
   local rows = math.max(1, math.min(64, 2048 // mean))
   local cost = run_shapes(m, rows, mean, false)
   local longest = size.most or 512
   local at_once = math.max(1, training.TOKENS // longest)
   if batch then at_once = math.max(1, math.min(at_once, batch * mean // longest)) end
   return cost.flops / (rows * mean), run_shapes(m, at_once, longest, backward).peak
end

local function all_tokens(size, names)
   local sum = 0
   for _, name in ipairs(names) do sum = sum + (size[name] and size[name].tokens or 0) end
   return sum
end

-- ==== Work ====

-- Values of `auto` of a training step.
local function settled(plan, step, size, m)
   local params = step.params
   if not step.unit.settle or not size then return params end
   local n = 0
   for _, p in ipairs(m and m:parameters() or {}) do
      if p:name():find "^encoder%." then
         local count = 1
         for _, d in ipairs(p:shape()) do count = count * d end
         n = n + count
      end
   end
   local read = nearest(plan, step.id, { read = true })
   return step.unit.settle(params, n, size.train.n, read and read.params.task or nil)
end

local function updates_of(p, size)
   local batch, epochs = tonumber(p.batch) or 32, tonumber(p.epochs) or 1
   local n = math.ceil(size.train.n / batch) * epochs
   return math.min(n, tonumber(p.updates) or n), batch, epochs
end

--- What ftpipe.forecast wants to know of a step of ft.finetune whose data are in memory, and the frozen outline of its model;
--- nil where they are not. `lua` steps and other kinds tell it when they begin.
---@param plan ftpipe.plan
---@param schedule ftpipe.schedule
---@param step table
function outlook.known_training(plan, schedule, step)
   local data = step.kind == "finetune" and schedule.memo[step.inputs.data]
   if not data or step.params.loss then return nil end
   local m = model_of(plan, step.inputs.model, data.labels and #data.labels)
   if not m then return nil end
   local task = tasks.of(m)
   local p = settled(plan, step, outlook.extent(data), m)
   p.precision = step.unit.precision_of(p.precision)
   if p.freeze then m:freeze(p.freeze) end
   return m, step.unit.to_forecast({ seed = plan.seed }, m, data, p, task)
end

-- The peak of a training step, from runs of shapes over its own rows where they are in memory, else over as many rows as there
-- are, all of them as long as they may be; nil where neither can be told.
local function peak_of(plan, schedule, step)
   local known, o = outlook.known_training(plan, schedule, step)
   local ok, f = pcall(forecast.training, known, o)
   if known and ok then return f.peak end
   if known then graph.begin "eval" end
   f = forecast.planned(plan, step)
   return f and f.peak
end

-- A training step. The frozen part of a model is computed once, and its features are kept.
local function training_work(plan, schedule, step, size)
   local m = model_of(plan, step.inputs.model or step.inputs.student or step.id, size.labels)
   local p = settled(plan, step, size, m)
   local updates, batch = updates_of(p, size)
   local trained = math.ceil(updates * batch * size.train.tokens / size.train.n)
   local work = { kind = step.kind, tokens = trained, epochs = tonumber(p.epochs) }
   if not m then return work end
   if p.freeze then m:freeze(p.freeze) end
   local all, moving = parameters(m, "all"), parameters(m, "trainable")
   local frozen = m:frozen_stages() > 0
   local flops, peak = costs(m, size, not frozen, batch)
   work.memory = 4 * all + 16 * moving + peak
   work.disk, work.checkpoint = 4 * moving, 16 * moving
   if frozen then
      local kept = 4 * m.dims.hidden * (m:features_per_row(m:frozen_stages()) and size.train.n or size.train.tokens)
      work.kind, work.flops = step.kind .. " on features", flops * all_tokens(size, { "train", "valid" })
      if kept <= features.BUDGET then
         work.memory = work.memory + kept
         if kept <= features.KEPT then work.disk = work.disk + kept end
      else
         work.flops = work.flops * (tonumber(p.epochs) or 1)
      end
   else
      work.flops = 3 * flops * trained
   end
   work.memory = peak_of(plan, schedule, step) or work.memory
   return work
end

-- Steps that only run models over rows.
local function inference_work(plan, _, step, size)
   local from = type(step.inputs.models) == "table" and step.inputs.models or { step.inputs.model or step.inputs.teacher }
   local tokens = all_tokens(size, { "train", "valid", "test" })
   local work = { kind = step.kind, tokens = 0, flops = 0, memory = 0, disk = tokens }
   for _, id in pairs(from) do
      local m = model_of(plan, id, size.labels)
      work.tokens = work.tokens + tokens
      if m then
         m:freeze "*"
         local flops, peak = costs(m, size, false)
         work.flops = work.flops and work.flops + flops * tokens
         work.memory = math.max(work.memory, peak) + 4 * parameters(m, "all")
      else
         work.flops = nil
      end
   end
   return work
end

local infers = { evaluate = true, predict = true, soft_labels = true }

--- What a step has to do: { kind, flops, tokens, bytes, memory, disk, checkpoint }, as far as it can be told.
---@param plan ftpipe.plan
---@param schedule ftpipe.schedule
---@param step table
function outlook.work(plan, schedule, step)
   local bytes, held = bytes_before(plan, step.id)
   local size = (step.unit.trains or infers[step.kind]) and sizes_of(plan, schedule, step)
   local work
   if size and size.train then work = (step.unit.trains and training_work or inference_work)(plan, schedule, step, size) end
   work = work or { kind = step.kind, disk = step.kind == "vocabulary" and 0 or bytes, memory = 0 }
   if not work.tokens then work.bytes = bytes end
   work.memory = work.memory and work.memory + BASE + PER_TEXT_BYTE * held
   work.guessed = size and size.guessed or nil
   return work
end

-- FLOP/s of matrix products, measured once.
local rate
local function product_rate()
   if not rate then
      local M, N, K = 1024, 1536, 384
      sys.product_time("nt", M, N, K, 1)
      rate = SHARE * 2 * M * N * K / math.min(sys.product_time("nt", M, N, K, 1), sys.product_time("nt", M, N, K, 1))
   end
   return rate
end

local function seconds_for(known, work)
   local speed, unit = known.of(work.kind, work)
   if speed then return work[unit] / speed, true end
   if work.flops then return work.flops / product_rate(), false end
   if work.bytes and not work.tokens then return work.bytes / DATA_RATE, false end
end

local function exported(plan)
   if not plan.model then return 0 end
   local m = model_of(plan, plan.model)
   return m and parameters(m, "all") * (plan.weights and plan.weights ~= "f32" and 2 or 4) or 0
end

--- Forecast the steps of a plan that the store lacks. Gives { steps = { id = { seconds, memory, disk, seen } }, seconds,
-- memory, disk, partial, seen }: `seen` says whether this machine did such work before, `partial` that some step's time is
-- not known. What cannot be told, because a model's or an input's form is not known yet, is left out.
---@param plan ftpipe.plan
---@param schedule ftpipe.schedule whose states are looked up
---@param engine string
function outlook.of(plan, schedule, engine)
   local known = speeds.open(schedule.store, engine)
   local out = { steps = {}, seconds = 0, memory = 0, disk = 0, seen = true }
   local checkpoint = 0
   for _, step in ipairs(plan.steps) do
      local state = schedule.states[step.id] or schedule:state(step)
      if not state.hit and not state.ran and step.unit.stored ~= false then
         local ok, work = pcall(outlook.work, plan, schedule, step)
         local row = { work = ok and work or nil }
         if ok then      -- below a low ceiling of memory there is no room to measure
            local told, seconds, seen = pcall(seconds_for, known, work)
            if told then row.seconds, row.seen = seconds, seen end
         end
         if ok then row.memory, row.disk = work.memory, work.disk end
         out.steps[step.id] = row
         out.seconds, out.partial = out.seconds + (row.seconds or 0), out.partial or not row.seconds
         out.memory, out.disk = math.max(out.memory, row.memory or 0), out.disk + (row.disk or 0)
         if not row.seen then out.seen = false end
         checkpoint = math.max(checkpoint, ok and work.checkpoint or 0)
      end
   end
   if next(out.steps) then
      out.results = checkpoint + exported(plan)
      out.disk = out.disk + out.results
   end
   return out
end

-- ==== As text ====

local function size_text(bytes)
   if bytes < 1 << 30 then return ("%d MiB"):format(math.max(1, math.floor(bytes / 2 ^ 20 + 0.5))) end
   return ("%.1f GiB"):format(bytes / 2 ^ 30)
end
outlook.size_text = size_text

local function time_text(seconds)
   if seconds < 1 then return "below 1 s" end
   if seconds < 90 then return ("about %.0f s"):format(seconds) end
   if seconds < 5400 then return ("about %.0f min"):format(seconds / 60) end
   return ("about %.1f h"):format(seconds / 3600)
end

--- One forecast in words: of all, or (`brief`) of a step, without what is too little to matter.
function outlook.text(f, brief)
   local parts = { f.seconds and (f.seconds > 0 or not f.partial) and (f.partial and "at least " or "") .. time_text(f.seconds)
      or "time not known yet" }
   if f.memory and f.memory > (brief and LITTLE or 0) then parts[#parts + 1] = size_text(f.memory) .. " of memory" end
   if f.disk and f.disk > (brief and 1 << 20 or 0) then parts[#parts + 1] = size_text(f.disk) .. " of disk" end
   return table.concat(parts, ", ")
end

return outlook
