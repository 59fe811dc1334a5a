-- tests/lua/test_model.lua - heads of one's own (how their text is cut out, compiled again and refused), gradients of the
-- example head and loss, and model directories.

local check = require "check"
local fs = require "ftpipe.core.fs"
local graph = require "ftpipe.core.graph"
local host = require "ftpipe.core.host"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"
local tensor = require "ftpipe.core.tensor"
local text = require "ftpipe.core.text"
local features = require "ftpipe.features"
local ft = require "ftpipe"
local gradcheck = require "ftpipe.gradcheck"
local heads = require "ftpipe.head"
local model = require "ftpipe.model"
local cache = require "ftpipe.cache"
local pipeline = require "ftpipe.pipeline"
local schedule = require "ftpipe.schedule"
local scoring = require "ftpipe.scoring"

local nn = ft.nn
check.suite "model"

local ENCODER = "tests/fixtures/bert/three_layers"
local LABELS = { "no", "perhaps", "yes" }

local function tokens_of(n)
   local tokens, index = text.tokens(), {}
   for i = 1, n do
      local ids = { 2 }
      for k = 1, 2 + i * 7 % 9 do ids[#ids + 1] = 5 + (i * 31 + k * 17) % 60 end
      ids[#ids + 1] = 3
      tokens:add(ids)
      index[i] = i
   end
   return tokens, index
end

local function with_head(unit) return model.replace_head(model.open(ENCODER), { head = unit, labels = LABELS }, 3) end

local function directory(name) return assert(sys.getenv "TMPDIR") .. "/" .. name end

-- Save and load again; the logits must be the same bits.
local function travels(unit, name)
   local m, tokens = with_head(unit), tokens_of(7)
   m:save(directory(name))
   local again = model.load(directory(name))
   check.equal(again.options.labels, LABELS)
   check.equal(scoring.probabilities(again, tokens), scoring.probabilities(m, tokens))
   return again
end

-- A pipeline file's chunk, evaluated with ft and nn.
local function evaluate(source)
   local name = "@made/up.lua"
   heads.remember(name, source)
   local chunk = assert(host.load(source, name, setmetatable({ ft = ft, nn = nn }, { __index = _G })))
   return chunk()
end

local function mean_head(width, scale)
   return heads.define { name = "mean",
      build = function(c) return { down = nn.linear(c.hidden, width), out = nn.linear(width, c.labels) } end,
      forward = function(self, h, batch) return self.out(self.down(nn.row_mean(h, batch)):tanh() * scale) end }
end

-- The parts of the example pipeline: its head unit and its loss.
local function example()
   local plan = pipeline.evaluate("pipelines/attention.lua", { set = { { name = "model", value = ENCODER },
      { name = "data", value = "tests/fixtures/bert/sentences.txt" } } })
   local unit, loss
   for _, step in ipairs(plan.steps) do
      unit = unit or step.params.head
      loss = loss or step.params.loss
   end
   return unit, loss, plan
end

-- ==== Heads of one's own ====

check.test("a_head_with_constants_from_outside_travels", function()
   local again = travels(mean_head(5, 1.5), "constants")
   check.equal(again.by_name["head.down.weight"]:tensor():shape(), { 5, 32 })
   local unit = mean_head(2, 1 / 3)
   check.equal(unit.source.build.outer, { nn = "nn", width = "2" })
   check.equal(unit.source.forward.outer.scale, ("%q"):format(1 / 3))
end)

check.test("the_same_head_under_other_constants_is_another_head", function()
   check.is_true(json.encode(mean_head(2, 1).source) ~= json.encode(mean_head(3, 1).source))
end)

check.test("build_and_forward_on_one_line_are_told_apart", function()
   local unit = evaluate('return ft.head { name = "short", build = function(c) return { out = nn.linear(c.hidden, c.labels) } end, '
      .. "forward = function(self, h, batch) return self.out(nn.row_mean(h, batch)) end }")
   check.contains(unit.source.build.text, "c.labels")
   check.contains(unit.source.forward.text, "row_mean")
   travels(unit, "one_line")
end)

check.test("named_functions_methods_and_inner_functions_are_cut_out_whole", function()
   local unit = evaluate [==[
local M = {}
local function build(c)   -- not the end of this function
   local function layer(n) return nn.linear(c.hidden, n) end
   return { out = layer(c.labels) }
end
function M:forward(h, batch) if not batch then return nil end
   local s = [[ function() end ]] return self.out(nn.row_max(h, batch)), s end
return ft.head { name = "named", build = build, forward = function(self, h, batch)
   local take = function(x) return nn.row_max(x, batch) end
   return self.out(take(h)) end }, ft.head { name = "method", build = build, forward = M.forward }
]==]
   travels(unit, "named")
   local _, method = evaluate [[
local M = {}
function M.build(c)
   return { out = nn.linear(c.hidden, c.labels) }
end
function M:forward(h, batch)
   return self.out(nn.row_max(h, batch))
end
return 0, ft.head { name = "method", build = M.build, forward = M.forward }
]]
   check.contains(method.source.forward.text, "function(self, h, batch)")
   travels(method, "method")
end)

check.test("functions_that_look_alike_on_one_line_are_refused", function()
   check.error_contains("another function begins on the same line", evaluate, [[
local a, b = function(c) return { out = nn.linear(c.hidden, 2) } end, function(c) return { out = nn.linear(c.hidden, 3) } end
return ft.head { name = "twins", build = b or a,
   forward = function(self, h, batch) return self.out(nn.row_mean(h, batch)) end }
]])
end)

check.test("an_outer_variable_that_is_no_constant_is_refused_by_its_name", function()
   for _, value in ipairs { "{}", "function() end", "nil", "ft.tensor" } do
      check.error_contains("build uses the outer variable 'helper'", evaluate, ([[
local helper = %s
return ft.head { name = "h", build = function(c) return helper and nn.linear(c.hidden, 1) end,
   forward = function(self, h) return h end }
]]):format(value))
   end
   check.error_contains("made/up.lua:2: head 'h': forward uses the outer variable 'cache'", evaluate, [[
local cache = {}
local unit = ft.head { name = "h", build = function(c) return { out = nn.linear(c.hidden, 1) } end,
   forward = function(self, h) cache.h = h return self.out(h) end }
return unit
]])
end)

check.test("a_name_that_exists_only_in_the_pipeline_fails_before_training_with_its_line", function()
   local unit = evaluate [[
local width <const> = 4
local unit = ft.head { name = "h",
   build = function(c) return { out = nn.linear(c.hidden, nothing_like_it or width) } end,
   forward = function(self, h) return self.out(h) end }
return unit
]]
   check.error_contains("up.lua:3: head 'h' uses 'nothing_like_it'", with_head, unit)
end)

check.test("a_head_whose_text_was_damaged_says_so", function()
   local unit = mean_head(2, 1)
   local m = with_head(unit)
   m:save(directory "damaged")
   local path = directory "damaged" .. "/ftpipe.json"
   local own = json.decode(assert(fs.read(path)))
   own.head_source.forward.text = "function(self, h"
   assert(fs.write(path, json.encode(own)))
   check.error_contains("head 'mean': forward cannot be compiled", model.load, directory "damaged")
   own.head_source.forward = nil
   assert(fs.write(path, json.encode(own)))
   check.error_contains("head 'mean': forward cannot be compiled", model.load, directory "damaged")
end)

check.test("the_example_head_travels_and_weighs_only_its_own_row", function()
   local m = travels((example()), "attention")
   local tokens, index = tokens_of(5)
   graph.begin "eval"
   local all = m:forward(tokens:batch(index)):tensor():table()
   for i = 1, 5 do
      graph.begin "eval"
      local one = m:forward(tokens:batch { i }):tensor():table()
      for k = 1, 3 do check.near(one[k], all[(i - 1) * 3 + k], 1e-5, ("row %d alone and among others"):format(i)) end
   end
end)

check.test("a_head_that_reads_all_tokens_has_features_of_all_tokens", function()
   local m = with_head((example()))
   m:freeze "loaded"
   check.equal(m:features_per_row(m:frozen_stages()), false)
   local tokens = tokens_of(9)
   local cached = features.compute(m, tokens, m:frozen_stages())
   local a, b = scoring.probabilities(m, tokens), scoring.probabilities(m, tokens, cached)
   for i = 1, 9 do check.near(a[i][1], b[i][1], 1e-6, "row " .. i) end
end)

-- ==== Gradients of the example ====

check.test("gradcheck_agrees_with_the_example_head", function()
   local unit = example()
   local tokens = text.tokens()
   for _, n in ipairs { 1, 3, 2 } do
      local ids = {}
      for k = 1, n do ids[k] = k end
      tokens:add(ids)
   end
   local off = gradcheck.check(function(h, key, gate, score, out)
      local rows = tokens:batch { 1, 2, 3 }.rows
      local self = { key = function(x) return nn.affine(x, key) end, gate = function(x) return nn.affine(x, gate) end,
         score = function(x) return nn.affine(x, score) end, out = function(x) return nn.affine(x, out) end }
      return nn.sum(unit.forward(self, h, { rows = rows }):square(), 2)
   end, { { 6, 4 }, { 5, 4 }, { 5, 4 }, { 1, 5 }, { 3, 4 } })
   check.is_true(off < 1e-2)
end)

check.test("gradcheck_agrees_with_the_example_loss", function()
   local _, focal = example()
   local gold = tensor.from({ 2, 0, 1, 1 }, nil, "i32")
   check.is_true(gradcheck.check(function(logits) return focal(logits, gold) end, { { 4, 3 } }) < 1e-2)
end)

check.test("the_example_loss_is_the_focal_loss_of_its_paper", function()
   local _, focal = example()
   graph.begin "eval"
   local logits = tensor.from({ 2, -1, 0.5, 0, 0, 3 }, { 2, 3 })
   local got = focal(graph.variable(logits), tensor.from({ 0, 1 }, nil, "i32")):tensor():table()
   local function want(z, k)
      local p = math.exp(z[k]) / (math.exp(z[1]) + math.exp(z[2]) + math.exp(z[3]))
      return -(1 - p) ^ 2 * math.log(p)
   end
   check.near(got[1], want({ 2, -1, 0.5 }, 1), 1e-6)
   check.near(got[2], want({ 0, 0, 3 }, 2), 1e-5)
end)

check.test("a_plan_with_other_parameters_is_another_plan", function()
   local function digest(gamma)
      local plan = pipeline.evaluate("pipelines/attention.lua", { set = { { name = "model", value = ENCODER },
         { name = "data", value = "tests/fixtures/bert/sentences.txt" }, { name = "gamma", value = gamma } } })
      return plan:digest(schedule.identities(plan, cache.open()))
   end
   check.equal(digest "2", digest "2")
   check.is_true(digest "2" ~= digest "3", "the loss sees gamma from outside")
end)

-- ==== Model directories ====

check.test("every_pooling_of_the_standard_head_survives_saving", function()
   for _, pool in ipairs { "pooler", "cls", "mean" } do
      local m = model.replace_head(model.open(ENCODER), { head = "classification", labels = LABELS, pool = pool }, 4)
      local tokens = tokens_of(6)
      m:save(directory("pool_" .. pool), { text = { "title", "body" } })
      local again = model.load(directory("pool_" .. pool))
      check.equal(again.pooling, pool)
      check.equal(again.options.labels, LABELS)
      check.equal(again.own.text, { "title", "body" })
      check.equal(scoring.probabilities(again, tokens), scoring.probabilities(m, tokens), pool)
   end
end)

check.test("labels_of_any_text_survive_saving", function()
   local labels = { "a b", "\u{e9}\u{4e2d}", "quote\"d", "1", "" }
   local m = model.replace_head(model.open(ENCODER), { head = "classification", labels = labels }, 4)
   m:save(directory "labels")
   check.equal(model.load(directory "labels").options.labels, labels)
   check.equal(json.decode(assert(fs.read(directory "labels" .. "/config.json"))).label2id["quote\"d"], 2)
end)

check.test("an_encoder_without_head_is_not_taken_for_a_tuned_model", function()
   check.error_contains("tests/fixtures/bert/published_encoder is an encoder without a tuned head", model.load,
      "tests/fixtures/bert/published_encoder")
end)

check.test("a_directory_that_is_none_says_so", function()
   check.error_contains("there is no directory nowhere", model.load, "nowhere")
   check.error_contains("README.md is not a directory", model.load, "README.md")
end)

check.test("a_copy_has_weights_of_its_own", function()
   local m = with_head "classification"
   local twin = m:copy()
   local before = m:weights()
   for _, p in ipairs(twin:parameters()) do
      check.is_true(p:tensor():bytes() == before[p:name()]:bytes(), p:name() .. " was not copied")
      p:tensor():fill(0.5)
   end
   for _, p in ipairs(m:parameters()) do check.is_true(p:tensor():bytes() == before[p:name()]:bytes(), p:name()) end
end)

check.done()
