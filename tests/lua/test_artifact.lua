-- tests/lua/test_artifact.lua - of a tuned model only what training changed is stored, also where the weights were pages of a file
-- whose digests wait until then.

local check = require "check"
local artifact = require "ftpipe.artifact"
local graph = require "ftpipe.core.graph"
local sys = require "ftpipe.core.sys"
local fs = require "ftpipe.core.fs"
local tensor = require "ftpipe.core.tensor"
local text = require "ftpipe.core.text"
local model = require "ftpipe.model"
local nn = require "ftpipe.nn"

check.suite "artifact"

local CONFIG = { model_type = "bert", vocab_size = 4000, hidden_size = 128, num_hidden_layers = 1, num_attention_heads = 2,
   intermediate_size = 600, max_position_embeddings = 64 }
local WORDS, UP, DOWN = "encoder.embed.word.weight", "encoder.layer.0.ffn.up.weight", "encoder.layer.0.ffn.down.weight"
local dir = assert(sys.getenv "TMPDIR")

do
   local list = { "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]" }
   for k = #list + 1, CONFIG.vocab_size do list[k] = "w" .. k end
   assert(fs.mkdirs(dir .. "/words"))
   assert(fs.write(dir .. "/words/vocab.txt", table.concat(list, "\n") .. "\n"))
   local tokenizer = assert(text.load(dir .. "/words"))
   model.replace_head(model.blank(CONFIG, tokenizer), { head = "classification", pool = "cls", labels = { "a", "b" } }, 1)
      :save(dir .. "/saved", { text = { "text" } })
end

local function loaded() return model.load(dir .. "/saved") end

local function train(m)
   local opt = nn.adamw(m, { lr = 1e-2, clip = 1 })
   for k = 1, 2 do
      local tokens = text.tokens()
      tokens:add { 5, 6, 7, 8 + k }
      graph.begin("train", 5, k)
      graph.backward(nn.cross_entropy(m:forward(tokens:batch { 1 }), tensor.from({ 1 }, nil, "i32")), 1)
      opt:step { index = k, total = 9 }
   end
   graph.begin "eval"
   opt.core:close()
end

local function bytes_of(m)
   local out = {}
   for _, p in ipairs(m:parameters()) do out[p:name()] = p:tensor():bytes() end
   return out
end

-- Stores m, changed by `change`, beside its input; gives what was stored of it and the model as it is read back.
local function stored(m, change)
   local place = dir .. "/out"
   fs.remove(place)
   assert(fs.mkdirs(place))
   local before = artifact.before { model = m }
   change(m)
   local record = artifact.save(place, m, {}, { model = m }, before, function() return "" end)
   local back = artifact.load(place, record, {}, function() return loaded() end)
   local names = require("ftpipe.core.store").open(place .. "/weights.safetensors"):names()
   local there = {}
   for _, name in ipairs(names) do there[name] = true end
   return there, back
end

check.test("what_training_changed_is_stored_and_nothing_else", function()
   local m = loaded()
   check.is_true(m.by_name[WORDS]:tensor():origin() ~= nil, "the words are pages of the file")
   m:freeze "encoder.embed.*"
   local there, back = stored(m, train)
   check.equal({ there[WORDS], there[UP], there[DOWN] }, { nil, true, true })
   check.is_true(there["head.out.weight"])
   check.equal(bytes_of(back), bytes_of(m))
   check.is_true(bytes_of(m)[UP] ~= bytes_of(loaded())[UP])
end)

check.test("all_weights_trained_are_all_stored", function()
   local m = loaded()
   local there, back = stored(m, train)
   check.is_true(there[WORDS] and there[UP] and there[DOWN])
   check.equal(bytes_of(back), bytes_of(m))
end)

check.test("what_is_written_in_place_counts_as_changed", function()
   local writers = {
      set = function(t) t:set(77, 3) end,
      fill = function(t) t:fill(0.5) end,
      view = function(t) t:view(50, { 4 }):fill(2) end,
      copy = function(t) t:copy(tensor.new(t:shape())) end,
      set_rows = function(t) t:set_rows(3, t:take_rows { 1, 2 }) end,
   }
   for name, write in pairs(writers) do
      local m = loaded()
      local there, back = stored(m, function() write(m.by_name[UP]:tensor()) end)
      check.equal({ name, there[UP], there[DOWN], there[WORDS] }, { name, true })
      check.equal(bytes_of(back), bytes_of(m))
   end
   local m = loaded()
   local there, back = stored(m, function() m.by_name[UP]:normal(3, 0.1) end)
   check.equal({ there[UP], there[DOWN] }, { true })
   check.equal(bytes_of(back), bytes_of(m))
end)

check.test("what_was_written_before_is_compared_as_it_was_then", function()
   local m = loaded()
   m.by_name[UP]:tensor():set(5, 9)
   check.equal(m.by_name[UP]:tensor():origin(), nil)
   m:freeze "encoder.*"
   local place = dir .. "/again"
   assert(fs.mkdirs(place))
   local before = artifact.before { model = m }
   train(m)
   artifact.save(place, m, {}, { model = m }, before, function() return "" end)
   local names = table.concat(require("ftpipe.core.store").open(place .. "/weights.safetensors"):names(), " ")
   check.is_true(names:find("head.out.weight", 1, true) ~= nil and not names:find(UP, 1, true), names)
end)

check.done()
