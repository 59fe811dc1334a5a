-- tests/lua/test_nn.lua - what nn adds to the operations: operators and methods of variables, functions on each row's own
-- tokens, gradients, modules and their parameters, schedules, optimiser settings.

local check = require "check"
local graph = require "ftpipe.core.graph"
local param = require "ftpipe.core.param"
local sys = require "ftpipe.core.sys"
local tensor = require "ftpipe.core.tensor"
local text = require "ftpipe.core.text"
local gradcheck = require "ftpipe.gradcheck"
local model = require "ftpipe.model"
local nn = require "ftpipe.nn"

check.suite "nn"

local function variable(values, shape) return graph.variable(tensor.from(values, shape)) end

local function near(got, want, what)
   local values = got:tensor():table()
   check.equal(#values, #want, (what or "values") .. ": count")
   for i = 1, #want do check.near(values[i], want[i], 1e-5, (what or "value") .. " " .. i) end
end

-- Rows of 1, 3 and 2 tokens.
local function three_rows()
   local tokens = text.tokens()
   for _, ids in ipairs { { 1 }, { 1, 2, 3 }, { 1, 2 } } do tokens:add(ids) end
   return { rows = tokens:batch { 1, 2, 3 }.rows }
end

-- ==== Operators ====

check.test("operators_take_variables_and_numbers_on_either_side", function()
   graph.begin "eval"
   local x, y = variable { 1, 2, -4 }, variable { 2, -1, 8 }
   near(x + y, { 3, 1, 4 }, "x + y")
   near(x - y, { -1, 3, -12 }, "x - y")
   near(x * y, { 2, -2, -32 }, "x * y")
   near(x / y, { 0.5, -2, -0.5 }, "x / y")
   near(x + 1, { 2, 3, -3 }, "x + 1")
   near(1 + x, { 2, 3, -3 }, "1 + x")
   near(x - 1, { 0, 1, -5 }, "x - 1")
   near(1 - x, { 0, -1, 5 }, "1 - x")
   near(x * 3, { 3, 6, -12 }, "x * 3")
   near(3 * x, { 3, 6, -12 }, "3 * x")
   near(x / 2, { 0.5, 1, -2 }, "x / 2")
   near(2 / x, { 2, 1, -0.5 }, "2 / x")
   near(-x, { -1, -2, 4 }, "-x")
   near(x ^ 2, { 1, 4, 16 }, "x ^ 2")
   near(-(1 - x) ^ 2 * x, { 0, -2, 100 }, "precedence")
   check.error_contains("exponent must be a constant number", function() return x ^ y end)
end)

check.test("methods_are_the_functions_of_the_same_name", function()
   graph.begin "eval"
   local x = variable({ 1, -2, 3, 0.5, 0, -1 }, { 2, 3 })
   for _, name in ipairs { "exp", "tanh", "sigmoid", "relu", "softmax", "log_softmax", "square", "abs" } do
      near(x[name](x), nn[name](x):tensor():table(), name)
   end
   near(x:pick(tensor.from({ 2, 0 }, nil, "i32")), { 3, 0.5 }, "pick")
   near(x:sum(1), { 1.5, -2, 2 }, "sum over rows")
   near(x:sum(2), { 2, -0.5 }, "sum over columns")
   near(x:max(2), { 3, 0.5 }, "max over columns")
   near(x:mean(), { 0.25 }, "mean of all")
   check.equal(nn.sum(x, 2, true):shape(), { 2, 1 })
   near(nn.slice(x, 2, 2, 2), { -2, 3, 0, -1 }, "slice")
   near(nn.clamp(x, -1, 1), { 1, -1, 1, 0.5, 0, -1 }, "clamp")
   near(nn.where(nn.greater(x, 0), x, x * 0), { 1, 0, 3, 0.5, 0, 0 }, "where")
   check.equal(nn.concat(1, x, x):shape(), { 4, 3 })
   near(nn.matmul(x, x, { false, true }), { 14, -2.5, -2.5, 1.25 }, "matmul")
end)

check.test("functions_of_rows_stay_within_each_row", function()
   graph.begin "eval"
   local batch = three_rows()
   local x = variable({ 5, 1, 2, 3, -1, 1 }, { 6, 1 })
   near(nn.row_sum(x, batch), { 5, 6, 0 }, "row_sum")
   near(nn.row_mean(x, batch), { 5, 2, 0 }, "row_mean")
   near(nn.row_max(x, batch), { 5, 3, 1 }, "row_max")
   near(nn.row_first(x, batch), { 5, 1, -1 }, "row_first")
   local a = nn.row_softmax(x, batch)
   near(nn.row_sum(a, batch), { 1, 1, 1 }, "row_softmax sums to one in every row")
   local e = math.exp
   near(a, { 1, e(1) / (e(1) + e(2) + e(3)), e(2) / (e(1) + e(2) + e(3)), e(3) / (e(1) + e(2) + e(3)), 1 / (1 + e(2)),
      e(2) / (1 + e(2)) }, "row_softmax")
end)

-- ==== Gradients ====

local function smooth(name) return function(x) return nn.sum(nn[name](x):square(), 2) end end

for _, name in ipairs { "neg", "exp", "square", "gelu", "gelu_tanh", "silu", "tanh", "sigmoid", "softmax", "log_softmax" } do
   check.test("the_gradient_of_" .. name .. "_is_right", function()
      check.is_true(gradcheck.check(smooth(name), { { 2, 3 } }) < 1e-2)
   end)
end

check.test("gradients_of_operators_broadcast_and_sum_back", function()
   check.is_true(gradcheck.check(function(x, column, row)
      return nn.sum((x * column - row / 3) ^ 2 + 2 * x / (column:square() + 1), 2)
   end, { { 3, 4 }, { 3, 1 }, { 4 } }) < 1e-2)
end)

check.test("gradients_of_functions_of_rows_are_right", function()
   for _, name in ipairs { "row_sum", "row_mean", "row_max", "row_first", "row_softmax" } do
      local off = gradcheck.check(function(x) return nn.sum(nn[name](x, three_rows()):square(), 2) end, { { 6, 2 } })
      check.is_true(off < 1e-2, name)
   end
end)

check.test("gradients_of_modules_functions_are_right", function()
   local gold = tensor.from({ 1, 0, -100 }, nil, "i32")
   check.is_true(gradcheck.check(function(x, w, b, gain, bias)
      return nn.cross_entropy(nn.affine(nn.layer_norm_of(x, gain, bias, 1e-5), w, b), gold, 0.1)
   end, { { 3, 4 }, { 2, 4 }, { 2 }, { 4 }, { 4 } }) < 1e-2)
end)

-- The loss's gradient takes the place of logits that nothing else reads.
check.test("logits_that_are_read_elsewhere_too_have_right_gradients", function()
   local gold, other = tensor.from({ 1, 0, -100 }, nil, "i32"), tensor.from({ 0, 2, 1 }, nil, "i32")
   local losses = {
      two_losses = function(l) return nn.cross_entropy(l, gold) + 0.5 * nn.cross_entropy(l, other) end,
      read_before = function(l)
         local squares = nn.sum(l:square(), 2)
         return squares + nn.cross_entropy(l, gold)
      end,
      read_after = function(l)
         local loss = nn.cross_entropy(l, gold)
         return loss + nn.sum(l:square(), 2)
      end,
      kept_by_its_maker = function(l) return nn.cross_entropy(nn.tanh(l), gold) end,
      of_a_view = function(l) return nn.cross_entropy(nn.reshape(l * 2, { 3, 3 }), gold) end,
   }
   for name, loss in pairs(losses) do
      local off = gradcheck.check(function(x, w) return loss(nn.affine(x, w)) end, { { 3, 4 }, { 3, 4 } })
      check.is_true(off < 1e-2, name)
   end
end)

check.test("gradcheck_refuses_a_function_whose_gradient_stops", function()
   check.error_contains("gradcheck: input 2, element 1", gradcheck.check, function(x, w)
      return nn.sum(x * w:detach(), 2)
   end, { { 2, 2 }, { 2, 2 } })
end)

-- ==== Modules ====

local function tree()
   return { out = nn.linear(3, 2), [1] = nn.layer_norm(3), [2] = nn.linear(3, 3, { bias = false, std = 1 }),
      table = nn.embedding(5, 3) }
end

check.test("binding_names_parameters_by_their_place_in_a_fixed_order", function()
   local names, set = {}, param.set()
   for i, p in ipairs(nn.bind(tree(), set, "head", 1)) do names[i] = p:name() end
   check.equal(names, { "head.0.bias", "head.0.weight", "head.1.weight", "head.out.bias", "head.out.weight", "head.table.weight" })
end)

check.test("initial_values_follow_seed_and_name_alone", function()
   local function values(seed, order)
      local t, set, out = tree(), param.set(), {}
      if order == "fewer" then t[1], t.table = nil, nil end
      for _, p in ipairs(nn.bind(t, set, "head", seed)) do out[p:name()] = p:tensor():table() end
      return out
   end
   local a, b, c = values(1), values(1, "fewer"), values(2)
   check.equal(a["head.out.weight"], b["head.out.weight"])
   check.is_true(a["head.out.weight"][1] ~= c["head.out.weight"][1], "another seed, other values")
   check.equal(a["head.0.weight"], { 1, 1, 1 })
   check.equal(a["head.out.bias"], { 0, 0 })
   check.is_true(math.abs(a["head.1.weight"][1]) > 2 * math.abs(a["head.out.weight"][1]) or math.abs(a["head.1.weight"][2]) > 0.1,
      "std is that of the module")
end)

check.test("modules_compute_what_they_are_called", function()
   local t, set = tree(), param.set()
   nn.bind(t, set, "m", 1)
   t.out.weight:tensor():copy(tensor.from({ 1, 0, 2, 0, 1, 0 }, { 2, 3 }))
   t.out.bias:tensor():copy(tensor.from { 10, 20 })
   graph.begin "eval"
   near(t.out(variable({ 1, 2, 3 }, { 1, 3 })), { 17, 22 }, "linear")
   near(t[1](variable({ 1, 2, 3 }, { 1, 3 })), { -1.224745, 0, 1.224745 }, "layer_norm")
   near(t.table(tensor.from({ 4 }, nil, "i32")), { table.unpack(t.table.weight:tensor():table(), 13, 15) }, "embedding")
   check.equal(nn.is_module(t.out) and not nn.is_module(t), true)
   check.error_contains("a module needs a forward function", nn.module, {})
end)

-- ==== Schedules and optimisers ====

check.test("every_schedule_warms_up_and_ends_where_it_should", function()
   for _, kind in ipairs { "constant", "linear", "cosine" } do
      local share = nn.schedule(kind, 0.25)
      for k = 1, 10 do check.near(share(k, 40), k / 10, 1e-12, kind .. " at update " .. k) end
      check.near(share(11, 40), 1, 1e-12, kind .. " at the top")
      check.near(nn.schedule(kind, 0)(1, 40), 1, 1e-12, kind .. " without warm-up")
   end
   for k = 1, 10 do check.near(nn.schedule("cosine", 1)(k, 10), k / 10, 1e-12, "nothing but warm-up, update " .. k) end
   check.near(nn.schedule("linear", 0.25)(26, 40), 0.5, 1e-12)
   check.near(nn.schedule("cosine", 0.25)(26, 40), 0.5, 1e-12)
   check.near(nn.schedule("cosine", 0)(11, 40), 0.5 * (1 + math.cos(math.pi / 4)), 1e-12)
   check.near(nn.schedule("constant", 0)(40, 40), 1, 1e-12)
end)

local function tiny()
   local set, m = param.set(), { glob = model.glob }
   m.list = nn.bind({ a = nn.linear(2, 2, { std = 1 }), b = nn.linear(2, 2, { std = 1 }) }, set, "m", 3)
   function m.parameters() return m.list end
   for _, p in ipairs(m.list) do m[p:name()] = p end
   return m, set
end

-- One update from the gradient 1 everywhere; how far each parameter's first value moved.
local function moved(kind, opts, change)
   local m, set = tiny()
   if change then change(m, set) end
   local opt, before, out = nn[kind](m, opts), {}, {}
   for _, p in ipairs(m.list) do before[p:name()] = p:tensor():get(1) end
   graph.begin("train", 1, 1)
   local sum
   for _, p in ipairs(m.list) do
      local part = nn.reshape(graph.variable(p), { 1, -1 })
      sum = sum and sum + nn.sum(part, 2) or nn.sum(part, 2)
   end
   graph.backward(sum, 1)
   local update = { index = 1, total = 4 }
   opt:step(update)
   opt.core:close()
   for _, p in ipairs(m.list) do out[p:name()] = before[p:name()] - p:tensor():get(1) end
   return out, update
end

check.test("groups_give_the_first_match_its_learning_rate", function()
   local by = moved("sgd", { lr = 0.5, groups = { { match = "m.a.*", lr = 0.25 }, { match = "*.bias", lr = 0.125 } } })
   check.near(by["m.a.weight"], 0.25, 1e-6)
   check.near(by["m.a.bias"], 0.25, 1e-6)
   check.near(by["m.b.bias"], 0.125, 1e-6)
   check.near(by["m.b.weight"], 0.5, 1e-6)
end)

check.test("a_schedule_may_be_a_function_and_is_told_to_the_log", function()
   local by, update = moved("sgd", { lr = 0.5, schedule = function(k, total) return k / total end })
   check.near(by["m.b.weight"], 0.125, 1e-6)
   check.near(update.lr, 0.125, 1e-12)
   check.near(update.grad_norm, math.sqrt(12), 1e-5)
end)

check.test("clipping_is_over_all_parameters_together", function()
   local by = moved("sgd", { lr = 1, clip = 1 })
   for name, d in pairs(by) do check.near(d, 1 / math.sqrt(12), 1e-5, name) end
   by = moved("sgd", { lr = 1, clip = 100 })
   for name, d in pairs(by) do check.near(d, 1, 1e-5, name) end
end)

check.test("frozen_parameters_are_neither_moved_nor_decayed", function()
   local by, update = moved("adamw", { lr = 0.1, weight_decay = 0.5 }, function(_, set) set:freeze "m.a.*" end)
   check.equal(by["m.a.weight"], 0.0)
   check.is_true(math.abs(by["m.b.weight"]) > 0.01)
   check.near(update.grad_norm, math.sqrt(6), 1e-5, "the norm is that of what is trained")
end)

check.test("globs_match_whole_names_and_take_dots_literally", function()
   check.equal(model.glob("encoder.*", "encoder.layer.0"), true)
   check.equal(model.glob("encoder.layer.?", "encoder.layer.1"), true)
   check.equal(model.glob("encoder.layer.1", "encoder.layer.10"), false)
   check.equal(model.glob("encoder.layer", "encoder_layer"), false)
   check.equal(model.glob("*.bias", "head.out.bias"), true)
end)

-- Five updates of two micro-batches that look up a few rows of a table each; in the third the table is a linear map as well.
-- dense: the gradient is handed out after each micro-batch, after which all of it counts as written.
local function looked_up(kind, dense)
   local set, parts = param.set(), { table = nn.embedding(3000, 50), out = nn.linear(50, 4) }
   nn.bind(parts, set, "m", 3)
   local weight, norms = parts.table.weight, {}
   local holder = param.optim(kind)
   holder:add({ weight, parts.out.weight, parts.out.bias }, 0.05, 0.01)
   for update = 1, 5 do
      for part = 1, 2 do
         local ids, labels = {}, {}
         for k = 1, 12 do
            ids[k], labels[k] = sys.random(7, "ids", 100 * update + 20 * part + k, 3000), k % 4
         end
         graph.begin("train", 1, update)
         local x = parts.table(tensor.from(ids, nil, "i32"))
         local losses = nn.cross_entropy(parts.out(x), tensor.from(labels, nil, "i32"))
         if update == 3 then losses = losses + 0.1 * nn.cross_entropy(nn.affine(x, weight), tensor.from(ids, nil, "i32")) end
         graph.backward(nn.sum(losses), 1 / 24)
         if dense then weight:grad() end
      end
      if update == 5 then norms.last = weight:grad():bytes() end
      norms[update] = holder:step(1, 0.5)
   end
   local bytes = weight:tensor():bytes()
   graph.begin "eval"
   holder:close()
   return bytes, norms
end

check.test("rows_of_a_table_that_were_never_looked_up_are_left_alone_to_the_same_bits", function()
   for _, kind in ipairs { "adamw", "sgd" } do
      local few, norms = looked_up(kind, false)
      local all, others = looked_up(kind, true)
      check.is_true(few == all, kind .. ": weights")
      check.is_true(norms.last == others.last, kind .. ": the gradient of the last update")
      for k = 1, 5 do check.equal(norms[k], others[k], kind .. ": norm " .. k) end
   end
end)

check.done()
