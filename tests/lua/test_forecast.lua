-- tests/lua/test_forecast.lua - what training takes is told before: at least what the allocator counts at the worst moment,
-- and at most a tenth more.

local check = require "check"
local fs = require "ftpipe.core.fs"
local host = require "ftpipe.core.host"
local sys = require "ftpipe.core.sys"
local tensor = require "ftpipe.core.tensor"
local text = require "ftpipe.core.text"
local finetune = require "ftpipe.step.finetune"
local forecast = require "ftpipe.forecast"
local model = require "ftpipe.model"
local pretrain = require "ftpipe.step.pretrain"
local training = require "ftpipe.training"

check.suite "forecast"

local VOCABULARY = 104      -- of the fixture whose tokeniser is used
local TOKENIZER = "tests/fixtures/bert/three_layers"

local function config(hidden, layers, inner, words)
   return { model_type = "bert", vocab_size = words or 6000, hidden_size = hidden, num_hidden_layers = layers,
      num_attention_heads = 4, intermediate_size = inner, max_position_embeddings = 160 }
end

-- n rows of `least` to `most` tokens, with what a task wants.
local function split(n, least, most, task)
   local tokens, random, total = text.tokens(), check.random(11), 0
   local s = { name = "train", n = n, tokens = tokens }
   for _ = 1, n do
      local ids = {}
      for k = 1, least + random(most - least + 1) - 1 do ids[k] = 5 + random(90) end
      tokens:add(ids)
      total = total + #ids
   end
   if task == "named_entities" then
      s.token_labels, s.weights = tensor.new({ total }, "i32"), {}
      for i = 1, n do s.weights[i] = i % 3 + 1 end
   elseif task == "question_answering" then
      s.targets = { width = 2, flat = {} }
      for i = 1, 2 * n do s.targets.flat[i] = i % 2 end
   elseif task == "regression" then
      s.values = {}
      for i = 1, n do s.values[i] = i / n end
   else
      s.labels = {}
      for i = 1, n do s.labels[i] = i % 2 + 1 end
      s.gold = s.labels
   end
   return s
end

local function context()
   local ctx = training.context { step = "test", seed = 5 }
   function ctx:own(m)
      m.attach = function(_, optimiser) self:attach(m, optimiser) end
      return m
   end
   function ctx.say() end
   function ctx.settled() end
   function ctx.card() end
   return ctx
end

-- Twice, since the first time only finalises what holds memory.
local function collect()
   host.collectgarbage()
   host.collectgarbage()
end

-- Train for real; gives the forecast made on the way and the most that was counted.
local function measure(unit, m, data, changes)
   local params, seen = {}, nil
   for key, spec in pairs(unit.params) do params[key] = spec.default end
   params.lr, params.epochs, params.batch, params.patience = 1e-4, 2, 16, 0
   for key, value in pairs(changes or {}) do params[key] = value end
   local before = forecast.check
   forecast.check = function(...)
      collect()
      sys.memory_reset_peak()
      seen = forecast.training(...)
   end
   local ok, message = pcall(unit.run, context(), { model = m, data = data }, params)
   forecast.check = before
   if not ok then error(message, 0) end
   return seen, sys.memory().peak
end

local function holds(what, f, counted)
   check.is_true(counted <= f.peak, ("%s: %.1f MiB counted, %.1f forecast"):format(what, counted / 2 ^ 20, f.peak / 2 ^ 20))
   check.is_true(f.peak <= 1.1 * counted, ("%s: %.1f MiB forecast, only %.1f counted"):format(what, f.peak / 2 ^ 20,
      counted / 2 ^ 20))
end

local function random_model(task, c)
   local heads = { named_entities = "token_classification", question_answering = "question_answering" }
   local m = model.random(c, { head = heads[task] or "classification",
      labels = task == "regression" and { "value" } or task == "question_answering" and { "start", "end" }
         or { "a", "b", "c" } }, 1)
   m.options.task = task
   return m
end

local function bf16() return (sys.bf16()) end

check.test("classification_of_ragged_rows_in_many_shapes", function()
   for _, c in ipairs { { 128, 2, 512, 16, 4096 }, { 192, 3, 400, 8, 4096 }, { 96, 4, 384, 24, 600 } } do
      local f, counted = measure(finetune, random_model("classification", config(c[1], c[2], c[3])),
         { train = split(32, 20, 128), valid = split(12, 20, 128) }, { batch = c[4], tokens_per_batch = c[5] })
      holds(("hidden %d, batch %d, %d tokens"):format(c[1], c[4], c[5]), f, counted)
   end
end)

check.test("one_epoch_and_rows_of_one_length", function()
   local f, counted = measure(finetune, random_model("classification", config(128, 3, 512)), { train = split(32, 96, 96) },
      { epochs = 1 })
   holds("one epoch", f, counted)
   check.equal(f.best, 0)
end)

check.test("recomputation_is_forecast_too_and_takes_less", function()
   local function run(recompute)
      local f, counted = measure(finetune, random_model("classification", config(128, 4, 512)), { train = split(32, 100, 128) },
         { recompute = recompute })
      holds("recompute = " .. tostring(recompute), f, counted)
      return counted
   end
   check.is_true(run(true) < 0.75 * run(false))
end)

check.test("entities_answers_and_numbers", function()
   for _, task in ipairs { "named_entities", "question_answering", "regression" } do
      local f, counted = measure(finetune, random_model(task, config(128, 3, 512)), { train = split(40, 30, 120, task) })
      holds(task, f, counted)
   end
end)

check.test("a_frozen_encoder_whose_features_are_computed_once", function()
   local m = random_model("classification", config(128, 3, 512))
   local f, counted = measure(finetune, m, { train = split(400, 40, 100), valid = split(40, 20, 60) },
      { freeze = { "encoder.*" } })
   holds("stage one", f, counted)
   check.equal(f.features, sys.block_size(4 * 128 * 400) + sys.block_size(4 * 128 * 40))
   m = random_model("named_entities", config(128, 3, 512))
   f, counted = measure(finetune, m, { train = split(120, 40, 100, "named_entities") }, { freeze = { "encoder.*" } })
   holds("stage one of entities", f, counted)
end)

check.test("lower_layers_frozen", function()
   local f, counted = measure(finetune, random_model("classification", config(128, 4, 512)), { train = split(40, 60, 128) },
      { freeze = { "encoder.embed.*", "encoder.layer.[0-1].*" }, optimizer = "sgd" })
   holds("two of four layers", f, counted)
end)

check.test("masked_language_modelling", function()
   local tokenizer = assert(text.load(TOKENIZER))
   local m = model.random(config(128, 3, 512, VOCABULARY), { head = "masked_lm", labels = {} }, 1)
   local f, counted = measure(pretrain, m, { train = split(48, 60, 128), valid = split(16, 60, 128), tokenizer = tokenizer })
   holds("masked words", f, counted)
end)

check.test("products_in_bf16", function()
   if not bf16() then return end
   local f, counted = measure(finetune, random_model("classification", config(256, 3, 1024)), { train = split(48, 20, 128) },
      { precision = "bf16" })
   holds("bf16", f, counted)
   f, counted = measure(finetune, random_model("named_entities", config(128, 3, 512)),
      { train = split(48, 20, 128, "named_entities") }, { precision = "bf16", tokens_per_batch = 700 })
   holds("bf16, entities", f, counted)
end)

-- ==== Cheap, and before anything is allocated ====

check.test("an_outline_of_a_model_tells_the_same_and_takes_nothing", function()
   local c, data = config(128, 3, 512), split(40, 30, 120)
   local o = { train = data, batch = 16, epochs = 2, seed = 5, tokens_per_batch = 4096, precision = "f32", optimizer = "adamw",
      loss = function(logits, batch) return require("ftpipe.task.classification").loss(logits, batch, 0) end }
   local real = random_model("classification", c)
   collect()
   local live = sys.memory().live
   sys.memory_reset_peak()
   local outline = model.outline(c, { head = "classification", labels = { "a", "b", "c" } })
   local b = forecast.training(outline, o)
   check.is_true(sys.memory().peak - live < 1 << 20, "an outline takes next to nothing")
   local a = forecast.training(real, o)
   check.equal(a.batch, b.batch)
   check.equal(a.optimiser, b.optimiser)
   check.is_true(math.abs(a.peak + a.optimiser // 3 - b.peak) < 1 << 20, "the outline's weights are still to come")
   check.error_contains("has a shape but no data", function() outline:parameters()[1]:tensor():table() end)
end)

check.test("a_bound_where_there_are_too_many_updates_to_look_at", function()
   local data = split(200, 10, 128)
   local function run(epochs)
      return forecast.training(random_model("classification", config(64, 2, 256)), { train = data, batch = 16, epochs = epochs,
         seed = 5, tokens_per_batch = 1000, precision = "f32", optimizer = "adamw",
         loss = function(logits, batch) return require("ftpipe.task.classification").loss(logits, batch, 0) end })
   end
   local exact, start = run(3), sys.now()
   local bound = run(100000)
   check.is_true(sys.now() - start < 0.5)
   check.is_true(bound.batch >= exact.batch and bound.batch <= 1.3 * exact.batch)
end)

check.test("steps_of_a_plan_are_forecast_from_what_is_known_before_anything_runs", function()
   local dir = ("%s/forecast-%d"):format(sys.getenv "TMPDIR" or "/tmp", sys.pid())
   assert(fs.mkdirs(dir))
   assert(fs.write(dir .. "/rows.csv", "text,label\n" .. ("a b c,x\nd e f,y\n"):rep(40)))
   local file = dir .. "/p.lua"
   assert(fs.write(file, ([[
      local ft = require "ftpipe"
      local encoder = ft.pretrained { from = "%s" }
      local rows = ft.split { rows = ft.read { from = "%s/rows.csv" }, valid = 0.2, test = 0.2 }
      local data = ft.tokenize { rows = rows, with = encoder, max_length = 24 }
      local fresh = ft.replace_head { on = encoder, task = "classification", labels = data }
      local head = ft.finetune { name = "head", model = fresh, data = data, freeze = "loaded" }
      local tuned = ft.finetune { name = "tuned", model = head, data = data, batch = 16 }
      return ft.pipeline { name = "p", api = 1, seed = 7, model = tuned,
         report = ft.evaluate { data = data, models = { two = tuned } } }
   ]]):format(sys.getenv "PWD" and sys.getenv "PWD" .. "/" .. TOKENIZER or TOKENIZER, dir)))
   local plan = require("ftpipe.pipeline").evaluate(file, { set = {}, cwd = "" })
   local told = {}
   for _, step in ipairs(plan.steps) do
      local f, why = forecast.planned(plan, step)
      if step.kind == "finetune" then
         told[#told + 1] = f or why
      else
         check.equal(f, nil)
      end
   end
   check.equal(#told, 2)
   local head, tuned = told[1], told[2]
   check.is_true(type(head) == "table" and type(tuned) == "table", tostring(head) .. tostring(tuned))
   check.equal(tuned.tokens, 16 * 24)
   check.is_true(head.optimiser < tuned.optimiser and head.features > 0 and tuned.features == 0)
   check.is_true(tuned.peak > head.peak and tuned.flops > head.flops)
   -- which is what `ftpipe plan` tells, besides the program and the files' bytes
   local outlook, bytes = require "ftpipe.outlook", select(2, fs.stat(dir .. "/rows.csv"))
   for k in ipairs(told) do
      local step = plan.by_id[k == 1 and "head" or "tuned"]
      collect()
      local now = assert(forecast.planned(plan, step)).peak
      local work = outlook.work(plan, { states = {}, memo = {} }, step)
      check.near(work.memory, now + (96 << 20) + 6 * bytes, 1 << 20)
   end
   fs.remove(dir)
end)

-- ==== The ceiling ====

check.test("what_will_not_fit_is_refused_before_training_with_what_would", function()
   local c, data = config(128, 4, 512), { train = split(32, 100, 128) }
   local f = measure(finetune, random_model("classification", c), data)
   local params = {}
   for key, spec in pairs(finetune.params) do params[key] = spec.default end
   params.lr, params.epochs, params.batch = 1e-4, 2, 16
   local function try(limit, changes)
      local given = {}
      for k, v in pairs(params) do given[k] = v end
      for k, v in pairs(changes or {}) do given[k] = v end
      collect()
      sys.memory_limit(limit)
      local ok, e = pcall(finetune.run, context(), { model = random_model("classification", c), data = data }, given)
      sys.memory_limit(0)
      return ok, not ok and e or nil      -- what it returns when all is well is the model
   end
   local ok, e = try(f.peak - (8 << 20))
   check.equal(ok, false)
   check.contains(e.message, "out of memory before training: it would take")
   check.contains(e.message, "gradients and moments")
   local tokens = math.tointeger(tonumber(e.hint:match "tokens_per_batch = (%d+)"))
   local globs = e.hint:match 'freeze = { "([^}]*)" }'
   check.contains(e.hint, "recompute = true")
   check.contains(e.hint, "--memory")
   check.contains(globs, "encoder.embed.*")
   for _, changes in ipairs { { tokens_per_batch = tokens }, { recompute = true }, { freeze = { globs:match '^([^"]*)' } } } do
      ok, e = try(f.peak - (8 << 20), changes)
      check.is_true(ok, not ok and tostring(e.message or e) or nil)
   end
end)

check.done()
