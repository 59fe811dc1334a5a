-- tests/lua/test_masked_lm.lua - masked language modelling: against recorded runs of transformers' BertForMaskedLM in
-- float64, and corpora, masks and weights on their way between models.

local check = require "check"
local core = require "ftpipe.core.corpus"
local fs = require "ftpipe.core.fs"
local graph = require "ftpipe.core.graph"
local json = require "ftpipe.core.json"
local store = require "ftpipe.core.store"
local sys = require "ftpipe.core.sys"
local tensor = require "ftpipe.core.tensor"
local text = require "ftpipe.core.text"
local masked_lm = require "ftpipe.masked_lm"
local model = require "ftpipe.model"
local nn = require "ftpipe.nn"
local source = require "ftpipe.source"
local unlabelled = require "ftpipe.unlabelled"

local DIR = "tests/fixtures/bert/masked_lm"
check.suite "masked_lm"

local expect = json.decode(assert(fs.read(DIR .. "/expect.json")))
local values = assert(store.open(DIR .. "/expect.safetensors"))
local function get(key) return assert(values:tensor(key)):table() end

local function temporary(name) return ("%s/masked_lm_test.%s"):format(sys.getenv "TMPDIR" or "/tmp", name) end

local function load() return model.replace_head(model.open(DIR), { head = "masked_lm" }, 1) end

local tokens, all_ids, at = text.tokens(), get "ids", 1
for _, n in ipairs(get "lengths") do
   tokens:add { table.unpack(all_ids, at, at + n - 1) }
   at = at + n
end

local function batch()
   local b = tokens:batch { 1, 2, 3, 4, 5, 6, 7, 8 }
   b.places, b.labels = tensor.from(get "places", nil, "i32"), tensor.from(get "labels", nil, "i32")
   return b
end

local function far(a, b)
   local most = 0
   for i = 1, #a do most = math.max(most, math.abs(a[i] - b[i])) end
   return #a == #b and most or math.huge
end

check.test("logits_and_losses_are_the_recorded_ones", function()
   local m, b = load(), batch()
   graph.begin "eval"
   check.is_true(far(m:forward(b):tensor():table(), get "logits") < 1e-4, "logits")
   check.is_true(far(masked_lm.loss(m, b):tensor():table(), get "losses") < 1e-5, "losses")
end)

check.test("the_head_goes_on_from_the_checkpoint", function()
   local card = load():card()
   check.equal(#card.new, 0)
   check.equal(#card.dropped, 0)
end)

-- transformers' gradient of each of our parameters
local function wanted(m, p)
   local names = m.unit.weights(m.dims)[p:name()]
   local out = {}
   for _, name in ipairs(names or { m.head_names[p:name()] }) do
      local part = get("grad." .. (names and "bert." or "") .. name)
      table.move(part, 1, #part, #out + 1, out)
   end
   return out
end

local function norm(list)
   local sum = 0
   for _, x in ipairs(list) do sum = sum + x * x end
   return math.sqrt(sum)
end

check.test("every_gradient_is_the_recorded_one_the_tied_embedding's_too", function()
   local m, b = load(), batch()
   m:set_dropout(0)
   local opt = nn.sgd(m, { lr = 0 })
   graph.begin("train", 1, 1)
   graph.backward(masked_lm.loss(m, b), 1 / b.labels:count())
   local seen = 0
   for _, p in ipairs(m:parameters()) do
      local want, got = wanted(m, p), p:grad():table()
      check.equal(#want, #got, p:name())
      check.is_true(far(got, want) <= 1e-4 * math.max(norm(want), 1e-3 * expect.norms[1]), p:name())
      seen = seen + 1
   end
   check.equal(seen, #m:parameters())
   graph.begin "eval"
   opt.core:close()
end)

check.test("an_adamw_trace_is_the_recorded_one", function()
   local m = load()
   m:set_dropout(0)
   local opt = nn.adamw(m, { lr = 1, weight_decay = expect.weight_decay, clip = expect.clip,
      schedule = function(k) return expect.rates[k] end })
   for k = 1, #expect.losses do
      graph.begin("train", 1, k)
      local b = batch()
      local loss = masked_lm.loss(m, b)
      local sum = 0
      for _, x in ipairs(loss:tensor():table()) do sum = sum + x end
      check.near(sum / b.labels:count(), expect.losses[k], 1e-4 * expect.losses[k], "loss " .. k)
      graph.backward(loss, 1 / b.labels:count())
      opt:step { index = k, total = #expect.losses }
   end
   graph.begin "eval"
   check.is_true(far(m.by_name["encoder.embed.word.weight"]:tensor():table(),
      get "after.bert.embeddings.word_embeddings.weight") < 1e-4, "tied embedding")
   check.is_true(far(m.by_name["head.out.bias"]:tensor():table(), get "after.cls.predictions.bias") < 1e-4, "bias")
   opt.core:close()
end)

check.test("what_was_saved_opens_again_with_its_head_and_the_same_logits", function()
   local dir = temporary "saved"
   local m, b = load(), batch()
   m:save(dir)
   local config = json.decode(fs.read(dir .. "/config.json"))
   check.equal(config.architectures[1], "BertForMaskedLM")
   check.contains(fs.read(dir .. "/ftpipe.json"), '"labels":[]')
   local again = model.replace_head(model.open(dir), { head = "masked_lm" }, 2)
   graph.begin "eval"
   check.is_true(far(again:forward(b):tensor():table(), m:forward(b):tensor():table()) == 0, "same logits")
   graph.begin "eval"
   fs.remove(dir)
end)

check.test("a_model_is_the_source_of_the_next_and_keeps_an_unread_pooler", function()
   local start = model.open "tests/fixtures/bert/published_masked_lm"
   local adapted = model.replace_head(start, { head = "masked_lm" }, 1)
   check.equal(#adapted:card().new, 0)
   adapted.by_name["encoder.embed.norm.bias"]:tensor():fill(0.25)
   local tuned = model.replace_head(adapted:source(), { head = "classification", labels = { "a", "b" } }, 1)
   check.equal(table.concat(tuned:card().new, " "), "head.out.bias head.out.weight")
   check.equal(tuned.by_name["encoder.embed.norm.bias"]:tensor():get(1), 0.25)
   local pooler = assert(start.checkpoint:tensor "bert.pooler.dense.weight"):table()
   check.is_true(far(tuned.by_name["encoder.pool.dense.weight"]:tensor():table(), pooler) == 0, "pooler")
end)

check.test("a_new_head_on_long_word_vectors_begins_no_worse_than_guessing", function()
   local m = model.replace_head(model.open(source.path "builtin:mini"), { head = "masked_lm" }, 1)
   local ids, rows = {}, text.tokens()
   for i = 1, 64 do ids[i] = 999 + 37 * i end
   rows:add(ids)
   graph.begin "eval"
   local losses, sum = nn.cross_entropy(m:forward(rows:batch { 1 }), tensor.from(ids, nil, "i32")):tensor():table(), 0
   for _, x in ipairs(losses) do sum = sum + x end
   check.is_true(sum / #losses < math.log(m.dims.vocab) + 1, "loss " .. sum / #losses)
   graph.begin "eval"
end)

-- ==== Masks ====

local tokenizer = assert(text.load(DIR))

local function masked_ids(index, opts, epoch)
   local masks = masked_lm.new(tokenizer, opts)
   local b = masks:mask(tokens:batch(index), epoch)
   return b.tokens:table(), b.places:table(), b.labels:table(), masks:count({ tokens = tokens }, index, epoch)
end

check.test("masks_depend_on_the_example_and_the_epoch_and_not_on_the_batch", function()
   local both, places = masked_ids({ 3, 7 }, { seed = 5, rate = 0.5 }, 2)
   local first = masked_ids({ 3 }, { seed = 5, rate = 0.5 }, 2)
   local second = masked_ids({ 7 }, { seed = 5, rate = 0.5 }, 2)
   table.move(second, 1, #second, #first + 1, first)
   check.equal(both, first)
   check.is_true(#places > 0)
   local later = masked_ids({ 3, 7 }, { seed = 5, rate = 0.5 }, 3)
   check.is_true(far(both, later) > 0, "another epoch")
end)

check.test("the_count_is_that_of_the_places_and_labels_are_the_former_ids", function()
   local ids, places, labels, count = masked_ids({ 2, 4, 8 }, { seed = 9, rate = 0.4 }, 1)
   local before = tokens:batch({ 2, 4, 8 }).tokens:table()
   check.equal(#places, count)
   local changed = {}
   for k, place in ipairs(places) do
      check.equal(labels[k], before[place + 1])
      changed[place + 1] = true
   end
   for i = 1, #ids do
      if not changed[i] then check.equal(ids[i], before[i]) end
   end
end)

check.test("a_rate_that_cannot_be_is_refused", function()
   for _, rate in ipairs { 0, -1, 1.5 } do
      check.error_contains("share of masked tokens", masked_lm.new, tokenizer, { rate = rate })
   end
end)

-- ==== Unlabelled text ====

local function documents(name, content, opts)
   local path = temporary "text" .. name
   assert(fs.write(path, content))
   local out = { "" }
   unlabelled.each(path, opts or {}, function(piece)
      if piece then out[#out] = out[#out] .. "[" .. piece .. "]"
      elseif out[#out] ~= "" then out[#out + 1] = "" end
   end)
   fs.remove(path)
   return table.concat(out, " ")
end

check.test("documents_end_where_their_format_says", function()
   check.equal(documents(".txt", "one\n\ntwo\n  \nthree"), "[one] [two] [three] ")
   check.equal(documents(".txt", "a\nb\n\n\nc\n", { format = "paragraphs" }), "[a][b] [c] ")
   check.equal(documents("", '<doc id="1">\nT\n\nx y\n</doc>\n<doc id="2">\nz\n</doc>\n'), "[T][x y] [z] ")
   check.equal(documents(".csv", "text,label\nfirst,1\n\"se,cond\",0\n,1\n"), "[first] [se,cond] ")
   check.equal(documents(".jsonl", '{"title":"t","body":"b"}\n', { text = { "title", "body" } }), "[t\nb] ")
end)

check.test("a_corpus_is_cut_into_full_windows_and_read_back_from_its_file", function()
   local path = temporary "corpus"
   local packer = assert(core.packer(path, tokenizer, 8))
   assert(packer:add({ "the film is good", "and the sound", false, "bad" }, 4))
   local windows, total, docs = packer:finish()
   check.equal(docs, 2)
   local again = assert(core.open(path, 8, tokenizer:vocab_size()))
   local n, sum = again:count()
   check.equal(n, windows)
   check.equal(sum, total)
   local words = {}
   for i = 1, n do
      for _, id in ipairs(again:ids(i)) do words[#words + 1] = tokenizer:token(id) end
   end
   check.equal(table.concat(words, " "), "[CLS] the film is good and the [SEP] [CLS] sound [SEP] bad [SEP]")
   check.error_contains("none can be added", again.add, again, { 1 })
   local bad, message = core.open(path, 8, 5)
   check.equal(bad, nil)
   check.is_true(message:find("is none of the 5 tokens", 1, true) ~= nil, message)
   again:close()
   fs.remove(path)
end)

check.done()
