-- tests/lua/test_last_layer.lua - the last layer is computed for the tokens that a head reads, and for no others: the same
-- numbers as where everything is computed, and fewer operations. (To the last bit they agree op by op, which tests/ops holds;
-- a library's product rounds a row differently among few rows than among many.) The model is a small BERT of random weights.

local check = require "check"
local graph = require "ftpipe.core.graph"
local tensor = require "ftpipe.core.tensor"
local text = require "ftpipe.core.text"
local model = require "ftpipe.model"
local nn = require "ftpipe.nn"

check.suite "last_layer"

local CONFIG = { model_type = "bert", vocab_size = 70, hidden_size = 32, num_hidden_layers = 3, num_attention_heads = 2,
   intermediate_size = 48, max_position_embeddings = 160, initializer_range = 0.1 }
local LENGTHS = { 7, 1, 60, 3, 12, 150 }

local function batch_of(lengths)
   local tokens, index, random = text.tokens(), {}, check.random(11)
   for i, n in ipairs(lengths) do
      local ids = {}
      for k = 1, n do ids[k] = 5 + random(60) end
      tokens:add(ids)
      index[i] = i
   end
   return tokens:batch(index)
end

local function fresh(opts)
   return model.replace_head(model.blank(CONFIG), { head = opts.head, pool = opts.pool, labels = { "a", "b", "c" }, width = 5 }, 3)
end

-- The same model, computing every line of the last layer and throwing most of them away.
local function wasteful(m)
   local forward = m.unit.forward
   m.unit = setmetatable({ forward = function(encoder, d, batch, places)
      local h = forward(encoder, d, batch)
      return places and nn.gather(h, places) or h
   end }, { __index = m.unit })
   return m
end

-- Some tokens of every row but the fourth, far more than one to a row.
local function some_places()
   local out, first = {}, 0
   for i, n in ipairs(LENGTHS) do
      for k = 0, n - 1 do if i ~= 4 and (k * 7 + i) % 5 < 2 then out[#out + 1] = first + k end end
      first = first + n
   end
   return out
end

-- The largest distance of two tensors, measured by the largest number of the second.
local function apart(a, b)
   local most, largest = 0, 1e-12
   for i = 1, #b do most, largest = math.max(most, math.abs(a[i] - b[i])), math.max(largest, math.abs(b[i])) end
   return #a == #b and most / largest or math.huge
end

-- The logits and every gradient, and what forward cost.
local function run(m, places)
   local batch = batch_of(LENGTHS)
   if places then batch.places = tensor.from(places, nil, "i32") end
   local opt = nn.sgd(m, { lr = 0 })
   graph.begin("train", 5, 9)
   local logits = m:forward(batch)
   local cost, out = graph.cost().flops, { logits = logits:tensor():table() }
   graph.backward(nn.sum(nn.square(logits), 2), 1)
   for _, p in ipairs(m:parameters()) do out[p:name()] = p:grad() and p:grad():table() or {} end
   opt.core:close()
   return out, cost
end

local cases = {
   { head = "classification", pool = "pooler" }, { head = "classification", pool = "cls" },
   { head = "masked_lm", places = some_places() }, { head = "hidden_states", places = some_places() },
   { head = "masked_lm", places = { 70 } },
}

for k, case in ipairs(cases) do
   check.test(("%s_%s_has_the_numbers_of_computing_everything_%d"):format(case.head, case.pool or "at_places", k), function()
      local got, cost = run(fresh(case), case.places)
      local want, all = run(wasteful(fresh(case)), case.places)
      for name, values in pairs(want) do check.is_true(apart(got[name], values) < 2e-5, name) end
      check.is_true(cost < all, "fewer operations")
   end)
end

check.test("what_reads_all_tokens_costs_what_it_did", function()
   local _, cost = run(fresh { head = "classification", pool = "mean" })
   local _, all = run(wasteful(fresh { head = "classification", pool = "mean" }))
   check.equal(cost, all)
end)

check.test("evaluation_and_features_are_the_same_too", function()
   for _, pool in ipairs { "pooler", "cls" } do
      local m, w = fresh { head = "classification", pool = pool }, wasteful(fresh { head = "classification", pool = pool })
      graph.begin "eval"
      local got = { m:forward(batch_of(LENGTHS)):tensor():table() }
      for done = 1, 2 do got[done + 1] = m:features(batch_of(LENGTHS), done):tensor():table() end
      graph.begin "eval"
      check.is_true(apart(got[1], w:forward(batch_of(LENGTHS)):tensor():table()) < 2e-5)
      for done = 1, 2 do
         check.is_true(apart(got[done + 1], w:features(batch_of(LENGTHS), done):tensor():table()) < 2e-5)
      end
   end
end)

-- Multiply-adds of one layer's products: those of queries, keys and values stay, the others are those of the rows read.
check.test("operations_are_counted_to_the_last", function()
   local m = fresh { head = "classification", pool = "cls" }
   local H, F, T, B = m.dims.hidden, m.dims.inner, 0, #LENGTHS
   for _, n in ipairs(LENGTHS) do T = T + n end
   graph.profile(true)
   graph.begin "eval"
   m:forward(batch_of(LENGTHS))
   local flops = 0
   for _, op in ipairs(graph.profile()) do if op.op == "linear" then flops = op.flops end end
   graph.profile(false)
   local whole, last = 2 * T * H * (4 * H + 2 * F), 2 * T * 3 * H * H + 2 * B * H * (H + 2 * F)
   check.equal(flops, (m.dims.layers - 1) * whole + last + 2 * B * H * 3)
end)

check.test("a_row_without_tokens_is_computed_as_before", function()
   local m = fresh { head = "classification", pool = "cls" }
   local rows = tensor.ragged { 2, 0 }
   check.equal(rows:firsts(), nil)
   local one = tensor.ragged { 2 }
   check.equal(one:firsts():table(), { 0 })
   graph.begin "eval"
   local ids, zeros = tensor.from({ 5, 6 }, nil, "i32"), tensor.from({ 0, 0 }, nil, "i32")
   local function logits(r)
      return m:forward { tokens = ids, types = zeros, positions = tensor.from({ 0, 1 }, nil, "i32"), rows = r }:tensor():table()
   end
   local with, alone = logits(rows), logits(one)
   for c = 1, 3 do check.near(with[c], alone[c], 1e-5) end
end)

check.test("places_that_do_not_ascend_are_refused", function()
   local m, batch = fresh { head = "masked_lm" }, batch_of(LENGTHS)
   graph.begin "eval"
   for _, places in ipairs { { 3, 3 }, { 4, 2 }, { -1 }, { 233 } } do
      batch.places = tensor.from(places, nil, "i32")
      check.error_contains("attention: place", function() m:forward(batch) end)
   end
end)

check.done()
