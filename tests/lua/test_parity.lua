-- tests/lua/test_parity.lua - BERT against recorded runs of transformers in float64: hidden states, logits, losses, every
-- gradient, and whole optimiser traces. What the keys mean is in tests/record/README.md.

local check = require "check"
local fs = require "ftpipe.core.fs"
local graph = require "ftpipe.core.graph"
local json = require "ftpipe.core.json"
local param = require "ftpipe.core.param"
local store = require "ftpipe.core.store"
local tensor = require "ftpipe.core.tensor"
local text = require "ftpipe.core.text"
local model = require "ftpipe.model"
local nn = require "ftpipe.nn"

local FIXTURES = "tests/fixtures/bert/"
check.suite "parity"

local function load(name)
   local dir = FIXTURES .. name
   local expect = json.decode(assert(fs.read(dir .. "/expect.json")))
   local values = assert(store.open(dir .. "/expect.safetensors"))
   local function get(key) return assert(values:tensor(key)):table() end
   local tokens, at = text.tokens(), 1
   local ids, types, lengths = get "ids", get "types", get "lengths"
   for _, n in ipairs(lengths) do
      tokens:add({ table.unpack(ids, at, at + n - 1) }, { table.unpack(types, at, at + n - 1) })
      at = at + n
   end
   return { dir = dir, expect = expect, get = get, tokens = tokens, labels = get "labels", rows = #lengths, values = values }
end

local function range(n)
   local out = {}
   for i = 1, n do out[i] = i end
   return out
end

local function gold(case, rows)
   local ids = {}
   for k, i in ipairs(rows) do ids[k] = case.labels[i] end
   return tensor.from(ids, nil, "i32")
end

local function norm(a, b)
   local sum = 0
   for i = 1, #a do sum = sum + (a[i] - (b and b[i] or 0)) ^ 2 end
   return math.sqrt(sum)
end

local function largest(a, b)
   local most = 0
   for i = 1, #a do most = math.max(most, math.abs(a[i] - b[i])) end
   return #a == #b and most or math.huge
end

-- transformers' name -> the part of ours that it is, as a flat table
local function by_their_names(m, what)
   local out, names = {}, m.unit.weights(m.dims)
   for _, p in ipairs(m:parameters()) do
      local theirs = names[p:name()] or { m.head_names[p:name()] }
      local flat = what(p)
      local n = flat and #flat // #theirs
      for i, name in ipairs(theirs) do
         local full = names[p:name()] and "bert." .. name or name
         out[full] = flat and { table.unpack(flat, (i - 1) * n + 1, i * n) }
      end
   end
   return out
end

local function without_dropout(m)
   m.dims.dropout, m.dims.attention_dropout, m.c.dropout = 0, 0, 0
   return m
end

for _, name in ipairs { "uncased_gelu", "pairs_gelu_new", "cased_relu", "three_layers", "pairs_cased_sgd", "wide_gelu", "sharded",
   "half_f16", "half_bf16", "saved_by_transformers" } do
   check.test(name .. "_gives_the_recorded_hidden_states_logits_and_losses", function()
      local case = load(name)
      local m = without_dropout(model.load(case.dir))
      local b = case.expect.batch_rows
      graph.begin "eval"
      local batch = case.tokens:batch(range(b))
      local hidden = m:hidden(batch):tensor():table()
      check.is_true(largest(hidden, case.get "last_hidden_state") < 1e-4, "hidden states")
      local logits = m:forward(batch)
      check.is_true(largest(logits:tensor():table(), case.get "logits") < 1e-4, "logits")
      local losses = nn.cross_entropy(logits, gold(case, range(b))):tensor():table()
      for i = 1, b do
         local want = case.expect.losses[i]
         check.near(losses[i], want, 1e-5 * math.max(want, 1), "loss " .. i)
      end
   end)
end

for _, name in ipairs { "published_encoder", "published_masked_lm" } do
   check.test(name .. "_loads_under_its_old_names_and_lists_what_it_drops", function()
      local case = load(name)
      local m = without_dropout(model.replace_head(model.open(case.dir), { head = "classification", labels = { "a", "b" } }, 1))
      graph.begin "eval"
      local hidden = m:hidden(case.tokens:batch(range(case.expect.batch_rows))):tensor():table()
      check.is_true(largest(hidden, case.get "last_hidden_state") < 1e-4, "hidden states")
      local card = m:card()
      check.is_true(#card.dropped > 0 and table.concat(card.dropped, " "):find("cls.predictions", 1, true),
         "dropped heads are listed")
      check.equal(table.concat(card.new, " "):find("encoder.pool", 1, true) ~= nil, name == "published_encoder", "new pooler")
   end)
end

for _, name in ipairs { "uncased_gelu", "pairs_gelu_new", "cased_relu", "three_layers", "pairs_cased_sgd", "wide_gelu" } do
   check.test(name .. "_gives_every_recorded_gradient", function()
      local case = load(name)
      local m = without_dropout(model.load(case.dir))
      local b = case.expect.batch_rows
      local holder = param.optim "sgd"
      holder:add(m:parameters(), 0, 0)
      graph.begin("train", 1, 1)
      graph.backward(nn.cross_entropy(m:forward(case.tokens:batch(range(b))), gold(case, range(b))), 1 / b)
      local all = case.expect.grad_norm
      local seen = 0
      for their_name, g in pairs(by_their_names(m, function(p) return p:grad():table() end)) do
         local want = case.get("grad." .. their_name)
         seen = seen + 1
         if their_name:find("self.key.bias", 1, true) then
            check.is_true(norm(g) <= 1e-6 * all, their_name .. " should be 0")
         else
            local off = norm(g, want)
            check.is_true(off <= 1e-4 * math.max(norm(want), 1e-3 * all),
               ("%s: off by %g of %g"):format(their_name, off, norm(want)))
         end
      end
      check.is_true(seen > 20, "gradients were compared")
      graph.begin "eval"
      holder:close()
   end)
end

local function run_trace(name, kind, options)
   local case = load(name)
   local m = without_dropout(model.load(case.dir))
   local start = by_their_names(m, function(p) return p:tensor():table() end)
   local trace = case.expect.trace
   options.lr = 1
   options.schedule = function(k) return trace.lr[k] end
   local opt = nn[kind](m, options)
   for k, rows in ipairs(trace.rows) do
      local index = {}
      for i, r in ipairs(rows) do index[i] = r + 1 end
      graph.begin("train", 1, k)
      local loss = nn.cross_entropy(m:forward(case.tokens:batch(index)), gold(case, index))
      local sum = 0
      for _, x in ipairs(loss:tensor():table()) do sum = sum + x end
      check.near(sum / #index, trace.loss[k], 1e-4 * trace.loss[k], "loss of update " .. k)
      graph.backward(loss, 1 / #index)
      local _, grad_norm = opt:step { index = k, total = trace.updates }
      check.near(grad_norm, trace.grad_norm[k], 1e-3 * trace.grad_norm[k], "gradient norm of update " .. k)
   end
   for their_name, w in pairs(by_their_names(m, function(p) return p:tensor():table() end)) do
      local want = case.get(kind .. "." .. their_name)
      if their_name:find("self.key.bias", 1, true) then
         check.is_true(largest(w, want) < 5e-3, their_name)
      else
         local off, moved = norm(w, want), norm(want, start[their_name])
         check.is_true(off <= 1e-2 * moved + 1e-7, ("%s: off by %g, moved by %g"):format(their_name, off, moved))
      end
   end
   opt.core:close()
end

check.test("adamw_follows_the_recorded_trace_with_clipping_and_decay", function()
   run_trace("uncased_gelu", "adamw", { weight_decay = 0.01, clip = 1 })
end)

check.test("adamw_follows_the_recorded_trace_with_another_epsilon", function()
   run_trace("pairs_gelu_new", "adamw", { weight_decay = 0.01, clip = 1, eps = 1e-6 })
end)

check.test("sgd_follows_the_recorded_trace", function()
   run_trace("pairs_cased_sgd", "sgd", { momentum = 0.9 })
end)

check.test("raw_text_gives_the_recorded_token_ids_and_logits", function()
   local case = load "saved_by_transformers"
   local m = model.load(case.dir)
   local texts, pairs_of = {}, {}
   for i, row in ipairs(case.expect.rows) do texts[i], pairs_of[i] = row.text, row.pair or false end
   local tokens = m.tokenizer:encode_all(texts, pairs_of, {})
   check.equal(tokens:digest(), case.tokens:digest(), "token ids")
   local p = require("ftpipe.scoring").probabilities(m, tokens)
   for i, want in ipairs(case.expect.all_predicted) do
      local best = 1
      for k = 2, #p[i] do if p[i][k] > p[i][best] then best = k end end
      check.equal(m.options.labels[best], want, "row " .. i)
   end
end)

check.done()
