--- ft.shrink: a small encoder cut from a large one, for ft.distill to heal: some of its layers (as DistilBERT was begun, Sanh et
-- al. 2019, arXiv:1910.01108), the feed-forward channels of largest weights, the more frequent tokens, the first positions.
--
-- The vocabulary loses tokens from its end: published WordPiece vocabularies list them by frequency. Words whose token is
-- gone are cut into smaller pieces, so single letters, digits and signs stay.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local tensor = require "ftpipe.core.tensor"
local text = require "ftpipe.core.text"
local failure = require "ftpipe.failure"
local model = require "ftpipe.model"

local step = { kind = "shrink", version = 1, exact = true, seedless = true, stored = false, inputs = { on = "required" } }

step.params = {
   layers = { type = "list", help = "numbers of the layers that stay, from 1 on; all unless said" },
   inner = { type = "integer", min = 1, help = "channels of the feed-forward blocks; all unless said" },
   vocabulary = { type = "integer", min = 100, help = "tokens; all unless said" },
   positions = { type = "integer", min = 3, help = "tokens of the longest row; as before unless said" },
}

-- ==== Vocabulary ====

-- One character (in ASCII), alone or behind "##".
local function is_sign(token) return token:find "^[\33-\126]$" ~= nil or token:find "^##[\33-\126]$" ~= nil end

-- Ids (from 0) of the tokens that stay, in ascending order.
local function kept_tokens(tokenizer, n)
   local signs, others, special = {}, {}, {}
   for _, name in ipairs { "pad", "unk", "cls", "sep", "mask" } do
      local id = tokenizer:special(name)
      if id then special[id] = true end
   end
   for id = 0, tokenizer:vocab_size() - 1 do
      local token = tokenizer:token(id)
      if token and (special[id] or is_sign(token)) then signs[#signs + 1] = id
      elseif token and not token:find "^%[unused" and (utf8.len((token:gsub("^##", ""))) or 0) > 1 then others[#others + 1] = id end
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

function step.run(ctx, inputs, params)
   local on = inputs.on
   local d = on.dims
   local layers = params.layers or range(d.layers)
   for k, l in ipairs(layers) do layers[k] = math.tointeger(tonumber(l)) or l end
   check_layers(layers, d.layers)
   local inner, positions = math.min(params.inner or d.inner, d.inner), math.min(params.positions or d.positions, d.positions)
   local tokenizer, ids = on.tokenizer, range(d.vocab)
   if params.vocabulary then
      local kept = kept_tokens(on.tokenizer, params.vocabulary)
      tokenizer = smaller_tokenizer(ctx, on, kept)
      for k = 1, math.max(#kept, #ids) do ids[k] = kept[k] and kept[k] + 1 end
   end
   local config = {}
   for k, v in pairs(on.config) do config[k] = v end
   local keys = on.unit.keys
   config[keys.layers], config[keys.inner], config[keys.vocab] = #layers, inner, #ids
   config[keys.positions] = d.first_position + positions
   if tokenizer ~= on.tokenizer then config.pad_token_id = tokenizer:special "pad" end

   local large = model.replace_head(on, { head = "hidden_states", width = 1 }, ctx.seed)
   local small = model.replace_head(model.blank(config, tokenizer), { head = "hidden_states", width = 1 }, ctx.seed)
   for _, p in ipairs(small:parameters()) do
      local name = p:name()
      if name:find "^encoder%.embed%." then
         local rows = name == "encoder.embed.word.weight" and ids or name == "encoder.embed.position.weight"
            and range(d.first_position + positions)
         p:tensor():copy(rows and weights_of(large, name):take_rows(rows) or weights_of(large, name))
      end
   end
   for to, from in ipairs(layers) do cut_layer(large, small, from, to, inner) end
   local count = 0
   for _, p in ipairs(small:parameters()) do
      if p:name():find "^encoder%." then count = count + p:tensor():count() end
   end
   ctx:say(("%s: %d layers of %d, %d tokens of %d, %.1f million parameters"):format(ctx.step, #layers, d.layers, #ids, d.vocab,
      count / 1e6))
   return small:source()
end

return step
