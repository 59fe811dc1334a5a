-- tests/lua/test_shrink.lua - small encoders cut from large ones: what stays is what was, and nothing is cut without being asked.

local check = require "check"
local graph = require "ftpipe.core.graph"
local text = require "ftpipe.core.text"
local model = require "ftpipe.model"
local fs = require "ftpipe.core.fs"
local sys = require "ftpipe.core.sys"
local shrink = require "ftpipe.step.shrink"

check.suite "shrink"

local DIR = "tests/fixtures/bert/three_layers"
local ctx = { dir = (sys.getenv "TMPDIR" or "/tmp") .. "/shrink_test", step = "student", seed = 1, say = function() end }

local function cut(params) return shrink.run(ctx, { on = model.open(DIR) }, params) end

local function hidden(source, ids)
   local m = model.replace_head(source, { head = "hidden_states", width = 1 }, 1)
   m:set_dropout(0)
   local tokens = text.tokens()
   tokens:add(ids)
   graph.begin "eval"
   return m:hidden(tokens:batch { 1 }):tensor():table(), m
end

local IDS = { 2, 20, 31, 44, 3 }

check.test("all_layers_channels_and_tokens_give_the_same_encoder", function()
   check.equal(hidden(cut {}, IDS), (hidden(model.open(DIR), IDS)))
end)

check.test("as_many_channels_as_there_are_stay_in_their_order", function()
   check.equal(hidden(cut { inner = model.open(DIR).dims.inner }, IDS), (hidden(model.open(DIR), IDS)))
end)

check.test("layers_and_positions_that_stay_keep_their_weights", function()
   local _, small = hidden(cut { layers = { 1, 3 }, positions = 16 }, IDS)
   local _, large = hidden(model.open(DIR), IDS)
   local function same(a, b) check.equal(small.by_name[a]:tensor():table(), large.by_name[b]:tensor():table()) end
   same("encoder.layer.0.attn.qkv.weight", "encoder.layer.0.attn.qkv.weight")
   same("encoder.layer.1.attn.out.bias", "encoder.layer.2.attn.out.bias")
   same("encoder.layer.1.ffn.norm.weight", "encoder.layer.2.ffn.norm.weight")
   check.equal(small.by_name["encoder.embed.position.weight"]:shape()[1], 16)
   check.equal(small.by_name["encoder.layer.2.attn.qkv.weight"], nil)
end)

check.test("the_channels_of_smallest_weights_go", function()
   local source = model.open(DIR)
   local _, large = hidden(source, IDS)
   local up = large.by_name["encoder.layer.0.ffn.up.weight"]:tensor()
   local inner, h = table.unpack(up:shape())
   for k = 1, h do up:set(2 * h + k, 0) end      -- the third channel hears nothing
   local small = shrink.run(ctx, { on = large:source() }, { inner = inner - 1 })
   local _, m = hidden(small, IDS)
   local bias, before = m.by_name["encoder.layer.0.ffn.up.bias"]:tensor():table(),
      large.by_name["encoder.layer.0.ffn.up.bias"]:tensor():table()
   table.remove(before, 3)
   check.equal(bias, before)
end)

check.test("frequent_tokens_and_all_signs_stay_with_their_vectors", function()
   local on = model.open "tests/fixtures/bert/uncased_gelu"
   local before = on.tokenizer:vocab_size()
   local small = shrink.run(ctx, { on = on }, { vocabulary = 60 })
   local after = small.tokenizer
   check.is_true(after:vocab_size() <= 60 and after:vocab_size() < before, "fewer tokens")
   for _, token in ipairs { "[CLS]", "[MASK]", "a", "##s", "!", "the" } do
      check.is_true(after:id(token) ~= nil, token)
   end
   local _, m = hidden(small, { 2, 3 })
   local large = model.replace_head(on, { head = "hidden_states", width = 1 }, 1)
   local width = m.dims.hidden
   local function vector(of, id) return of.by_name["encoder.embed.word.weight"]:tensor():view(id * width + 1, { width }):table() end
   check.equal(vector(m, after:id "the"), vector(large, on.tokenizer:id "the"))
   fs.remove(ctx.dir)
end)

check.test("of_listed_tokens_none_goes_and_of_others_only_signs_stay", function()
   local on = model.open "tests/fixtures/bert/uncased_gelu"
   check.is_true(on.tokenizer:id "good" ~= nil and on.tokenizer:id "film" ~= nil, "in the fixture")
   fs.mkdirs(ctx.dir)
   fs.write(ctx.dir .. "/list.txt", "film\r\n[CLS]\nnot_a_token\n##er\n")
   local after = shrink.run(ctx, { on = on }, { tokens = ctx.dir .. "/list.txt" }).tokenizer
   for _, token in ipairs { "[CLS]", "[UNK]", "film", "##er", "a", "##s", "!" } do
      check.is_true(after:id(token) ~= nil, token)
   end
   for id = 0, after:vocab_size() - 1 do
      local token = after:token(id)
      local body = token:gsub("^##", "")
      check.is_true(#body == 1 or token:find "^%[%u+%]$" or token == "film" or token == "##er", token)
   end
   check.equal(after:id "good", nil)
   check.error_contains("nowhere.txt", shrink.run, ctx, { on = on }, { tokens = ctx.dir .. "/nowhere.txt" })
   fs.remove(ctx.dir)
end)

-- What the layers see of one row: hidden states of an encoder without layers.
local function seen(source, ids)
   local config = {}
   for k, v in pairs(source.config) do config[k] = v end
   config.num_hidden_layers = 0
   local bare = setmetatable({ config = config, dims = source.unit.dimensions(config) }, { __index = source })
   return (hidden(bare, ids))
end

local function distance(a, b)
   local sum, all = 0, 0
   for i, x in ipairs(b) do sum, all = sum + (a[i] - x) ^ 2, all + x ^ 2 end
   return sum / all
end

check.test("narrow_embeddings_give_what_wide_ones_give_the_nearer_the_wider", function()
   local teacher = model.open(DIR)
   local wanted, last = seen(teacher, IDS), math.huge
   for _, e in ipairs { 8, 16, teacher.dims.hidden - 1 } do
      local d = distance(seen(cut { embedding = e }, IDS), wanted)
      check.is_true(d < last, ("%d channels: %g after %g"):format(e, d, last))
      last = d
   end
   check.is_true(last < 0.25, ("with all but one channel: %g"):format(last))
end)

check.test("narrow_vectors_have_no_mean_and_one_length", function()
   local _, m = hidden(cut { embedding = 12 }, IDS)
   local t = m.by_name["encoder.embed.word.weight"]:tensor()
   local n, e = table.unpack(t:shape())
   local values, length = t:table(), nil
   for r = 0, n - 1 do
      local sum, squares = 0, 0
      for k = 1, e do sum, squares = sum + values[r * e + k], squares + values[r * e + k] ^ 2 end
      length = length or squares
      check.near(sum, 0, 1e-4)
      check.near(squares, length, 1e-3 * length)
   end
end)

check.test("narrow_embeddings_make_an_electra_of_the_same_layers", function()
   local small = cut { embedding = 12, layers = { 2 } }
   check.equal(small.config.model_type, "electra")
   check.equal(small.config.embedding_size, 12)
   local _, m = hidden(small, IDS)
   local _, large = hidden(model.open(DIR), IDS)
   check.equal(m.by_name["encoder.layer.0.ffn.up.weight"]:tensor():table(),
      large.by_name["encoder.layer.1.ffn.up.weight"]:tensor():table())
end)

check.test("embeddings_as_wide_as_the_encoder_are_refused", function()
   check.error_contains("has no narrower embeddings of that kind", cut, { embedding = model.open(DIR).dims.hidden })
end)

check.test("a_layer_that_is_not_there_is_refused", function()
   check.error_contains("there is no layer 4; the encoder has 3", cut, { layers = { 4 } })
end)

check.done()
