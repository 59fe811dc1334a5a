-- tests/lua/test_encoders.lua - encoders other than BERT against recorded runs of transformers in float64: hidden states,
-- logits, losses and every gradient under each published head, and what is written and read again. What the keys mean is in
-- tests/record/README.md.

local check = require "check"
local fs = require "ftpipe.core.fs"
local graph = require "ftpipe.core.graph"
local json = require "ftpipe.core.json"
local param = require "ftpipe.core.param"
local store = require "ftpipe.core.store"
local sys = require "ftpipe.core.sys"
local tensor = require "ftpipe.core.tensor"
local text = require "ftpipe.core.text"
local model = require "ftpipe.model"
local nn = require "ftpipe.nn"
local pretrained = require "ftpipe.step.pretrained"

local FIXTURES = "tests/fixtures/encoders/"
local HEADS = { "classification", "token_classification", "question_answering", "masked_lm" }
check.suite "encoders"

local function directory(name) return assert(sys.getenv "TMPDIR") .. "/" .. name end

local function load(name)
   local dir = FIXTURES .. name
   local values = assert(store.open(dir .. "/expect.safetensors"))
   local function get(key) return assert(values:tensor(key)):table() end
   local tokens, at, ids, types = text.tokens(), 1, get "ids", get "types"
   local index = {}
   for i, n in ipairs(get "lengths") do
      tokens:add({ table.unpack(ids, at, at + n - 1) }, { table.unpack(types, at, at + n - 1) })
      at, index[i] = at + n, i
   end
   return { dir = dir, expect = json.decode(assert(fs.read(dir .. "/expect.json"))), get = get, values = values,
      batch = function() return tokens:batch(index) end }
end

local function without_dropout(m)
   m:set_dropout(0)
   return m
end

local function tuned(dir, head)
   return without_dropout(head == "masked_lm" and model.replace_head(model.open(dir), { head = head }, 1) or model.load(dir))
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

local function i32(list, shape) return tensor.from(list, shape, "i32") end

-- Losses, and how many of them count.
local function losses_of(logits, head, gold, batch)
   if head == "question_answering" then return nn.row_cross_entropy(logits, i32(gold, { #gold // 2, 2 }), batch), #gold end
   local counted = 0
   for _, label in ipairs(gold) do counted = counted + (label >= 0 and 1 or 0) end
   return nn.cross_entropy(logits, i32(gold)), counted
end

-- transformers' gradient of a parameter
local function wanted(case, m, p)
   local names, out = m.unit.weights(m.dims)[p:name()], {}
   for _, name in ipairs(names or { m.head_names[p:name()] }) do
      local key = (names and "grad." .. m.unit.prefix or "grad.") .. name
      local part = case.get(key)
      table.move(part, 1, #part, #out + 1, out)
   end
   return out
end

local function check_gradients(case, m, head)
   local holder = param.optim "sgd"
   holder:add(m:parameters(), 0, 0)
   graph.begin("train", 1, 1)
   local batch = case.batch()
   local losses, n = losses_of(m:forward(batch), head, case.get "labels", batch)
   graph.backward(losses, 1 / n)
   for _, p in ipairs(m:parameters()) do
      local got, want = p:grad():table(), wanted(case, m, p)
      local off = norm(got, want)      -- the bias of keys has none but for rounding, which the second bound covers
      check.equal(#got, #want, p:name())
      check.is_true(off <= 1e-4 * math.max(norm(want), 1e-3 * case.expect.grad_norm), ("%s: off by %g of %g"):format(p:name(),
         off, norm(want)))
   end
   graph.begin "eval"
   holder:close()
end

local ENCODERS = { "electra", "electra_square", "distilbert", "roberta", "xlm_roberta", "camembert" }

for _, encoder in ipairs(ENCODERS) do
   for _, head in ipairs(HEADS) do
      local name = encoder .. "_" .. head
      check.test(name .. "_gives_the_recorded_hidden_states_logits_loss_and_gradients", function()
         local case = load(name)
         local m = tuned(case.dir, head)
         check.equal(m.head_unit.name, head)
         graph.begin "eval"
         local batch = case.batch()
         check.is_true(largest(m:hidden(batch):tensor():table(), case.get "last_hidden_state") < 1e-4, "hidden states")
         local logits = m:forward(batch)
         check.is_true(largest(logits:tensor():table(), case.get "logits") < 1e-4, "logits")
         local losses, n = losses_of(logits, head, case.get "labels", batch)
         check.near(nn.sum(losses):tensor():table()[1] / n, case.expect.loss, 1e-5 * case.expect.loss, "loss")
         check.equal(#m:card().new, 0)
         check.equal(#m:card().dropped, 0)
         check_gradients(case, m, head)
      end)

      check.test(name .. "_is_written_under_the_names_it_was_read_from", function()
         local case = load(name)
         local m = tuned(case.dir, head)
         m:save(directory(name))
         local before, after = assert(store.open_dir(case.dir)), assert(store.open_dir(directory(name)))
         local names = after:names()
         check.equal(table.concat(names, "\n"), table.concat(before:names(), "\n"))
         for _, n in ipairs(names) do check.is_true(before:tensor(n):bytes() == after:tensor(n):bytes(), n) end
         local was = json.decode(assert(fs.read(case.dir .. "/config.json")))
         local is = json.decode(assert(fs.read(directory(name) .. "/config.json")))
         check.equal(is.architectures, was.architectures)
      end)
   end

   check.test(encoder .. "_of_another_task_is_a_pretrained_encoder_and_its_head_is_dropped", function()
      local case = load(encoder .. "_question_answering")
      local m = model.replace_head(model.open(case.dir), { head = "classification", labels = { "a", "b" }, pool = "auto" }, 1)
      local card = m:card()
      check.equal(card.dropped, { "qa_outputs.bias", "qa_outputs.weight" })
      check.equal(m.pooling, "pooler")
      check.equal(card.new, { "head.dense.bias", "head.dense.weight", "head.out.bias", "head.out.weight" })
      graph.begin "eval"
      check.is_true(largest(without_dropout(m):hidden(case.batch()):tensor():table(), case.get "last_hidden_state") < 1e-4)
   end)

   check.test(encoder .. "_tuned_for_the_task_gives_its_encoder_alone_to_a_new_head", function()
      local m = model.replace_head(model.open(FIXTURES .. encoder .. "_classification"),
         { head = "classification", labels = { "a", "b" }, pool = "auto" }, 1)
      check.equal(#m:card().new, 4)
      check.equal(#m:card().dropped, 4)
      m:freeze "loaded"
      check.equal(m:frozen_stages(), 2)
   end)

   for _, pool in ipairs { "pooler", "cls", "mean" } do
      check.test(encoder .. "_survives_saving_with_pool_" .. pool, function()
         local case = load(encoder .. "_question_answering")
         local m = model.replace_head(model.open(case.dir), { head = "classification", labels = { "a", "b" }, pool = pool }, 1)
         m:save(directory(encoder .. pool))
         local again = model.load(directory(encoder .. pool))
         graph.begin "eval"
         local want = m:forward(case.batch()):tensor():bytes()
         check.is_true(again:forward(case.batch()):tensor():bytes() == want, "as it was")
         check.is_true(m:copy():forward(case.batch()):tensor():bytes() == want, "a copy")
         check.equal(#model.replace_head(m:source(), { head = "masked_lm" }, 1):card().dropped, pool == "pooler" and 4 or 2)
      end)
   end
end

check.test("electra_discriminator_loads_as_an_encoder", function()
   local case = load "electra_discriminator"
   local m = without_dropout(model.replace_head(model.open(case.dir), { head = "token_classification", labels = { "O" } }, 1))
   graph.begin "eval"
   check.is_true(largest(m:hidden(case.batch()):tensor():table(), case.get "last_hidden_state") < 1e-4)
   check.contains(table.concat(m:card().dropped, " "), "discriminator_predictions.dense.weight")
   check.equal(#model.replace_head(model.open(case.dir), { head = "masked_lm" }, 1):card().new, 5)
end)

local function logits_of(dir, case)
   local m = tuned(dir, "masked_lm")
   graph.begin "eval"
   return m, m:forward(case.batch()):tensor():bytes()
end

for _, form in ipairs { "one", "legacy", "shards" } do
   check.test("pytorch_model.bin_holds_the_same_model_" .. form, function()
      local case, dir = load "roberta_masked_lm", "tests/fixtures/torch/" .. form
      local _, want = logits_of(case.dir, case)
      local m, got = logits_of(dir, case)
      check.is_true(got == want, "logits")
      check.equal(m:card().new, {})
      check.equal(m:card().dropped, {})      -- neither position_ids nor what repeats the word embeddings
      local files = table.concat(pretrained.files { from = dir }, " ")
      check.contains(files, form == "shards" and "pytorch_model-00002-of-00002.bin" or "pytorch_model.bin")
      check.contains(files, form == "shards" and "pytorch_model.bin.index.json" or "pytorch_model.bin")
   end)
end

check.test("a_pickle_that_calls_is_refused_by_the_name_it_calls", function()
   local dir = directory "hostile"
   assert(fs.mkdirs(dir))
   for _, name in ipairs { "config.json", "vocab.txt", "tokenizer_config.json" } do
      assert(fs.write(dir .. "/" .. name, assert(fs.read("tests/fixtures/torch/one/" .. name))))
   end
   assert(fs.write(dir .. "/pytorch_model.bin", assert(fs.read "tests/fixtures/torch/system_zip.bin")))
   check.error_contains("pytorch_model.bin: system_zip/data.pkl: byte 169: refers to 'posix.system'", model.open, dir)
end)

check.test("an_unknown_model_type_names_the_nearest", function()
   check.error_contains("model_type 'elektra' is not supported (did you mean 'electra'?)", model.random,
      { model_type = "elektra" }, {})
   check.error_contains("model_type 'nil' is not supported", model.random, {}, {})
end)

check.done()
