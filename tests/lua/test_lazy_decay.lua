-- tests/lua/test_lazy_decay.lua - words that no text had only decay, and AdamW leaves that until somebody looks: whoever does, and
-- however, finds the bits of a table that was decayed at every update.

local check = require "check"
local graph = require "ftpipe.core.graph"
local pack = require "ftpipe.core.pack"
local store = require "ftpipe.core.store"
local sys = require "ftpipe.core.sys"
local tensor = require "ftpipe.core.tensor"
local text = require "ftpipe.core.text"
local model = require "ftpipe.model"
local nn = require "ftpipe.nn"

check.suite "lazy_decay"

local CONFIG = { model_type = "bert", vocab_size = 700, hidden_size = 32, num_hidden_layers = 1, num_attention_heads = 2,
   intermediate_size = 64, max_position_embeddings = 64 }
local WORDS = "encoder.embed.word.weight"

local function fresh()
   return model.replace_head(model.blank(CONFIG), { head = "classification", pool = "cls", labels = { "a", "b" } }, 1)
end

-- Trains m; each(k, table of words) is called after update k.
local function train(m, updates, each, first)
   local opt = nn.adamw(m, { lr = 1e-2, weight_decay = 0.1, clip = 1 })
   local words = m.by_name[WORDS]
   for k = first or 1, updates do
      local tokens, ids = text.tokens(), {}
      for i = 1, 6 do ids[i] = 5 + (k * 37 + i * i * 11) % (k < 100 and 40 or 350) end
      tokens:add(ids)
      graph.begin("train", 5, k)
      graph.backward(nn.cross_entropy(m:forward(tokens:batch { 1 }), tensor.from({ k % 2 }, nil, "i32")), 1)
      opt:step { index = k, total = 1000 }
      each(k, words, opt)
   end
   graph.begin "eval"
   opt.core:close()
   return words:tensor():bytes()
end

local function nothing() end
local function look(_, words) words:tensor():get(1) end

-- More updates than factors can be noted for, and words that come for the first time late.
check.test("words_that_are_read_late_have_decayed_as_often", function()
   local want = train(fresh(), 300, look)
   check.is_true(train(fresh(), 300, nothing) == want, "other bits after 300 updates")
end)

local path = assert(sys.getenv "TMPDIR") .. "/words.safetensors"
local readers = {
   bytes = function(t) return t:bytes() end,
   table = function(t) return table.concat(t:table(), " ") end,
   get = function(t) return t:get(600 * 32 + 7) end,
   clone = function(t) return t:clone():bytes() end,
   convert = function(t) return t:convert("bf16"):bytes() end,
   view = function(t) return t:view(600 * 32 + 1, { 32 }):bytes() end,
   take_rows = function(t) return t:take_rows({ 601, 2 }):bytes() end,
   write = function(t)
      assert(store.write(path, { words = t }))
      return store.open(path):tensor("words"):bytes()
   end,
   digest = function(t) return pack.digests { t }[1] end,
   op = function(t)
      graph.begin "eval"
      return nn.sum(graph.variable(t), 2):tensor():bytes()
   end,
}

check.test("every_way_to_read_finds_what_was_put_off", function()
   for name, read in pairs(readers) do
      local function at(k, words)
         if k == 20 then return read(words:tensor()) end
      end
      local want, got
      train(fresh(), 21, function(k, words)
         look(k, words)
         want = at(k, words) or want
      end)
      train(fresh(), 21, function(k, words) got = at(k, words) or got end)
      check.is_true(want ~= nil and got == want, name .. " finds other bits")
   end
end)

check.test("a_view_taken_before_finds_it_too", function()
   local function seen(each)
      local view
      train(fresh(), 30, function(k, words)
         if k == 1 then view = words:tensor():view(600 * 32 + 1, { 32 }) end
         each(k, words)
      end)
      return view:bytes()
   end
   check.is_true(seen(nothing) == seen(look), "other bits")
end)

check.test("weights_put_in_do_not_decay_for_the_past", function()
   for _, how in ipairs { "copy", "adopt", "set_rows", "fill", "normal" } do
      local function put(k, words)
         if k ~= 12 then return end
         local t = tensor.new({ 700, 32 })
         for i = 1, 700 do t:set(i * 32, i / 7) end
         if how == "copy" then words:tensor():copy(t)
         elseif how == "adopt" then words:adopt(t)
         elseif how == "set_rows" then words:tensor():set_rows(300, t:take_rows { 1, 2, 3 })
         elseif how == "fill" then words:tensor():fill(0.25)
         else words:normal(3, 0.5) end
      end
      local want = train(fresh(), 25, function(k, words)
         look(k, words)
         put(k, words)
      end)
      check.is_true(train(fresh(), 25, put) == want, how .. ": other bits")
   end
end)

-- Moments of another training put back: some words wake, others fall asleep.
check.test("moments_put_back_settle_first", function()
   local kept = {}
   train(fresh(), 9, function(k, _, opt)
      if k < 9 then return end
      for i, own in ipairs(opt.core:moments()) do kept[i] = { own[1]:clone(), own[2]:clone() } end
   end)
   local function put(k, _, opt)
      if k ~= 130 then return end
      for i, own in ipairs(opt.core:moments()) do
         for j = 1, 2 do own[j]:copy(kept[i][j]) end
      end
   end
   local want = train(fresh(), 150, function(k, words, opt)
      look(k, words)
      put(k, words, opt)
   end, 100)
   check.is_true(train(fresh(), 150, put, 100) == want, "other bits")
end)

check.done()
