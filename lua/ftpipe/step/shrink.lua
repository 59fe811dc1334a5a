--- ft.shrink: a small encoder cut from a large one, for ft.distill to heal: some of its layers (as DistilBERT was begun, Sanh et
-- al. 2019, arXiv:1910.01108), the feed-forward channels of largest weights, the more frequent tokens, the first positions,
-- and embeddings of fewer channels (the student is then an ELECTRA).
--
-- The vocabulary loses tokens from its end: published WordPiece vocabularies list them by frequency. Or a file says which may
-- stay. Words whose token is gone are cut into smaller pieces, so single letters, digits and signs stay.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local tensor = require "ftpipe.core.tensor"
local text = require "ftpipe.core.text"
local failure = require "ftpipe.failure"
local factor = require "ftpipe.factor"
local model = require "ftpipe.model"

local step = { kind = "shrink", version = 1, exact = true, seedless = true, stored = false, inputs = { on = "required" } }

step.params = {
   layers = { type = "list", help = "numbers of the layers that stay, from 1 on; all unless said" },
   inner = { type = "integer", min = 1, help = "channels of the feed-forward blocks; all unless said" },
   vocabulary = { type = "integer", min = 100, help = "tokens; all unless said" },
   tokens = { type = "path", help = "file with the tokens that may stay, one a line (a vocab.txt); all unless said" },
   positions = { type = "integer", min = 3, help = "tokens of the longest row; as before unless said" },
   embedding = { type = "integer", min = 3, help = "channels of the embeddings, fewer than the encoder has; as many unless said" },
}

function step.files(params) return { params.tokens } end

-- ==== Vocabulary ====

-- One character (in ASCII), alone or behind "##".
local function is_sign(token) return token:find "^[\33-\126]$" ~= nil or token:find "^##[\33-\126]$" ~= nil end

-- Whether a token is on the list; everything is on none.
local function listed_by(file)
   if not file then return function() return true end end
   local listed = {}
   for token in failure.try("data", fs.read(file)):gmatch "[^\r\n]+" do listed[token] = true end
   return function(token) return listed[token] end
end

-- Ids (from 0) of the tokens that stay, in ascending order.
local function kept_tokens(tokenizer, n, listed)
   local signs, others, special = {}, {}, {}
   for _, name in ipairs { "pad", "unk", "cls", "sep", "mask" } do
      local id = tokenizer:special(name)
      if id then special[id] = true end
   end
   for id = 0, tokenizer:vocab_size() - 1 do
      local token = tokenizer:token(id)
      if token and (special[id] or is_sign(token)) then signs[#signs + 1] = id
      elseif token and listed(token) and not token:find "^%[unused" and (utf8.len((token:gsub("^##", ""))) or 0) > 1 then
         others[#others + 1] = id
      end
   end
   local out = table.move(others, 1, math.min(#others, math.max(0, n - #signs)), #signs + 1, signs)
   table.sort(out)
   return out
end

-- Whether the tokeniser of a folder lower-cases: what its files say.
local function lowercases(dir)
   local function field(file, ...)
      local value = fs.read(dir .. "/" .. file)
      value = value and json.decode(value)
      for _, key in ipairs { ... } do value = type(value) == "table" and value[key] end
      return value
   end
   local said = field("tokenizer.json", "normalizer", "lowercase")
   if type(said) ~= "boolean" then said = field("tokenizer_config.json", "do_lower_case") end
   return said ~= false
end

local function smaller_tokenizer(ctx, on, ids)
   local list = {}
   for k, id in ipairs(ids) do
      list[k] = on.tokenizer:token(id)
      if list[k]:find "\n" then failure.raise("data", ("token %d holds a line break"):format(id)) end
   end
   if not fs.stat(on.dir .. "/vocab.txt") and not (fs.read(on.dir .. "/tokenizer.json") or ""):find '"type"%s*:%s*"WordPiece"' then
      failure.raise("usage", "shrink cuts WordPiece vocabularies only; leave `vocabulary` unsaid")
   end
   local dir = ctx.dir .. "/tokenizer"
   failure.try("system", fs.mkdirs(dir))
   failure.try("system", fs.write(dir .. "/vocab.txt", table.concat(list, "\n") .. "\n"))
   failure.try("system", fs.write(dir .. "/tokenizer_config.json", json.encode { tokenizer_class = "BertTokenizer",
      do_lower_case = lowercases(on.dir) }))
   return failure.try("data", text.load(dir))
end

-- ==== Weights ====

local function weights_of(m, name) return m.by_name[name]:tensor() end

-- Columns of (R, C) by 1-based index.
local function take_columns(t, index)
   local rows, columns = table.unpack(t:shape())
   local values, out = t:table(), {}
   for r = 0, rows - 1 do
      for k, c in ipairs(index) do out[r * #index + k] = values[r * columns + c] end
   end
   return tensor.from(out, { rows, #index })
end

-- Elements of (N) by 1-based index.
local function take(t, index)
   local values, out = t:table(), {}
   for k, i in ipairs(index) do out[k] = values[i] end
   return tensor.from(out, { #index })
end

-- The n channels between the two maps whose weights are largest: the product of the norms of what goes in and out.
local function largest_channels(up, down, n)
   local h = down:shape()[1]
   local inner = up:shape()[1]
   local into, from, order = up:table(), down:table(), {}
   local size = {}
   for c = 1, inner do
      local a, b = 0, 0
      for k = 1, h do
         a = a + into[(c - 1) * h + k] ^ 2
         b = b + from[(k - 1) * inner + c] ^ 2
      end
      size[c], order[c] = a * b, c
   end
   table.sort(order, function(x, y)
      if size[x] ~= size[y] then return size[x] > size[y] end
      return x < y
   end)
   local out = table.move(order, 1, n, 1, {})
   table.sort(out)
   return out
end

local function cut_layer(large, small, from, to, inner)
   local a, b = ("encoder.layer.%d."):format(from - 1), ("encoder.layer.%d."):format(to - 1)
   for _, p in ipairs(large:parameters()) do
      local rest = p:name():sub(1, #a) == a and p:name():sub(#a + 1)
      if rest and not rest:find "^ffn%.[ud]" then weights_of(small, b .. rest):copy(p:tensor()) end
   end
   local up, down = weights_of(large, a .. "ffn.up.weight"), weights_of(large, a .. "ffn.down.weight")
   local channels = largest_channels(up, down, inner)
   weights_of(small, b .. "ffn.up.weight"):copy(up:take_rows(channels))
   weights_of(small, b .. "ffn.up.bias"):copy(take(weights_of(large, a .. "ffn.up.bias"), channels))
   weights_of(small, b .. "ffn.down.weight"):copy(take_columns(down, channels))
   weights_of(small, b .. "ffn.down.bias"):copy(weights_of(large, a .. "ffn.down.bias"))
end

local function range(n)
   local out = {}
   for i = 1, n do out[i] = i end
   return out
end

local function check_layers(layers, n)
   for _, l in ipairs(layers) do
      if math.type(l) ~= "integer" or l < 1 or l > n then
         failure.raise("usage", ("there is no layer %s; the encoder has %d"):format(tostring(l), n))
      end
   end
end

-- The student's config.json.
local function config_of(on, layers, sizes, tokenizer)
   local config = {}
   for k, v in pairs(on.config) do config[k] = v end
   local keys = on.unit.keys
   config[keys.layers], config[keys.inner], config[keys.vocab] = #layers, sizes.inner, sizes.vocab
   config[keys.positions] = on.dims.first_position + sizes.positions
   if tokenizer ~= on.tokenizer then config.pad_token_id = tokenizer:special "pad" end
   if sizes.embedding then config.model_type, config.embedding_size = "electra", sizes.embedding end
   return config
end

local function check_embedding(on, e)
   if on.unit.name ~= "bert" or e >= on.dims.hidden then
      failure.raise("usage", ("embedding = %d: an encoder of type %s with %d channels has no narrower embeddings of that kind")
         :format(e, on.unit.name, on.dims.hidden), "a BERT, and fewer channels than it has")
   end
end

-- Rows of the teacher's tables, or their factors.
local function cut_embeddings(ctx, large, small, ids, sizes)
   if sizes.embedding then
      local zero_based = {}
      for k, id in ipairs(ids) do zero_based[k] = id - 1 end
      local fitted, kept = factor.fit(large.encoder.embed, zero_based, sizes.positions, small.dims.types, sizes.embedding)
      for name, t in pairs(fitted) do weights_of(small, "encoder.embed." .. name):copy(t) end
      ctx:say(("%s: embeddings of %d channels keep %.1f %% of the variance of %d"):format(ctx.step, sizes.embedding, 100 * kept,
         large.dims.hidden))
      return
   end
   for _, p in ipairs(small:parameters()) do
      local name = p:name()
      if name:find "^encoder%.embed%." then
         local rows = name == "encoder.embed.word.weight" and ids or name == "encoder.embed.position.weight"
            and range(large.dims.first_position + sizes.positions)
         p:tensor():copy(rows and weights_of(large, name):take_rows(rows) or weights_of(large, name))
      end
   end
end

function step.run(ctx, inputs, params)
   local on = inputs.on
   local d = on.dims
   local layers = params.layers or range(d.layers)
   for k, l in ipairs(layers) do layers[k] = math.tointeger(tonumber(l)) or l end
   check_layers(layers, d.layers)
   if params.embedding then check_embedding(on, params.embedding) end
   local tokenizer, ids = on.tokenizer, range(d.vocab)
   if params.vocabulary or params.tokens then
      local kept = kept_tokens(on.tokenizer, params.vocabulary or d.vocab, listed_by(params.tokens))
      tokenizer = smaller_tokenizer(ctx, on, kept)
      for k = 1, math.max(#kept, #ids) do ids[k] = kept[k] and kept[k] + 1 end
   end
   local sizes = { inner = math.min(params.inner or d.inner, d.inner), embedding = params.embedding, vocab = #ids,
      positions = math.min(params.positions or d.positions, d.positions) }
   local large = model.replace_head(on, { head = "hidden_states", width = 1 }, ctx.seed)
   local small = model.replace_head(model.blank(config_of(on, layers, sizes, tokenizer), tokenizer),
      { head = "hidden_states", width = 1 }, ctx.seed)
   large:set_dropout(0)
   cut_embeddings(ctx, large, small, ids, sizes)
   for to, from in ipairs(layers) do cut_layer(large, small, from, to, sizes.inner) end
   local count = 0
   for _, p in ipairs(small:parameters()) do
      if p:name():find "^encoder%." then count = count + p:tensor():count() end
   end
   ctx:say(("%s: %d layers of %d, %d tokens of %d, %.1f million parameters"):format(ctx.step, #layers, d.layers, #ids, d.vocab,
      count / 1e6))
   return small:source()
end

return step
