--- BERT (Devlin et al. 2019), hence MiniLM and every checkpoint whose config.json says model_type "bert".
--
-- Post-norm encoder: sums of word, position and type embeddings, then layers of attention and a
-- feed-forward block, each followed by dropout, residual and LayerNorm. The three attention
-- projections are one parameter (3H, H), so `weights` names three checkpoint tensors for it.
-- Other encoders of the family (ELECTRA) have the same layers under the same names, and build on the functions here.

local nn = require "ftpipe.nn"
local graph = require "ftpipe.core.graph"

local bert = { name = "bert", class = "Bert", model_types = { "bert" }, prefix = "bert.", version = 1 }

local activations = { gelu = "gelu", gelu_new = "gelu_tanh", gelu_pytorch_tanh = "gelu_tanh", relu = "relu",
   silu = "silu", swish = "silu", tanh = "tanh" }

--- What config.json calls the sizes.
bert.keys = { vocab = "vocab_size", hidden = "hidden_size", layers = "num_hidden_layers", heads = "num_attention_heads",
   inner = "intermediate_size", positions = "max_position_embeddings", activation = "hidden_act",
   dropout = "hidden_dropout_prob", attention_dropout = "attention_probs_dropout_prob" }

--- The sizes of an encoder from config.json; raises when a field is missing or not supported. first_position: what the
-- position of a row's first token is, and how many rows of the table no token has.
---@param keys? table<string, string> those of another encoder
---@param first_position? integer
function bert.dimensions(config, keys, first_position)
   keys = keys or bert.keys
   local function need(what)
      local v = config[keys[what]]
      if type(v) ~= "number" then error(("config.json: '%s' is missing or not a number"):format(keys[what]), 0) end
      return v
   end
   local act, first = config[keys.activation] or "gelu", first_position or 0
   if not activations[act] then
      error(("config.json: %s '%s' is not supported"):format(keys.activation, tostring(act)), 0)
   end
   local position = config.position_embedding_type or "absolute"
   if position ~= "absolute" then
      error(("config.json: position_embedding_type '%s' is not supported, only 'absolute'"):format(position), 0)
   end
   local d = {
      vocab = need "vocab", hidden = need "hidden", embedding = need "hidden", layers = need "layers",
      heads = need "heads", inner = need "inner", positions = need "positions" - first, first_position = first,
      types = config.type_vocab_size or 2,
      eps = config.layer_norm_eps or 1e-12, activation = activations[act],
      dropout = config[keys.dropout] or 0.1, attention_dropout = config[keys.attention_dropout] or 0.1,
      std = config.initializer_range or 0.02,
   }
   if d.hidden % d.heads ~= 0 then
      error(("config.json: %s %d is not a multiple of %s %d"):format(keys.hidden, d.hidden, keys.heads, d.heads), 0)
   end
   return d
end

--- The modules of the embeddings, which have d.embedding channels.
function bert.build_embeddings(d)
   local opts = { std = d.std }
   return { word = nn.embedding(d.vocab, d.embedding, opts),
      position = nn.embedding(d.first_position + d.positions, d.embedding, opts),
      type = d.types > 0 and nn.embedding(d.types, d.embedding, opts) or nil, norm = nn.layer_norm(d.embedding, d.eps) }
end

--- The modules of the layers, from 1 on.
function bert.build_layers(d)
   local opts, layer = { std = d.std }, {}
   for n = 1, d.layers do
      layer[n] = {
         attn = { qkv = nn.linear(d.hidden, 3 * d.hidden, opts), out = nn.linear(d.hidden, d.hidden, opts),
            norm = nn.layer_norm(d.hidden, d.eps) },
         ffn = { up = nn.linear(d.hidden, d.inner, opts), down = nn.linear(d.inner, d.hidden, opts),
            norm = nn.layer_norm(d.hidden, d.eps) },
      }
   end
   return layer
end

--- The tree of modules: embed, layer[1..n] and, if asked for, pool; and the sizes.
function bert.build(config, with_pool)
   local d = bert.dimensions(config)
   return { embed = bert.build_embeddings(d), layer = bert.build_layers(d),
      pool = with_pool and { dense = nn.linear(d.hidden, d.hidden, { std = d.std }) } or nil }, d
end

-- With `places`, only the lines of those tokens: all of them are keys and values still.
local function layer_forward(layer, d, h, batch, site, places)
   local attn, ffn = layer.attn, layer.ffn
   local context = nn.self_attention(h, attn.qkv, batch, d.heads, d.attention_dropout, site .. ".attn.probs", places)
   if places then h = nn.gather(h, places) end
   h = nn.residual_layer_norm(nn.affine(context, attn.out.weight), h, attn.norm, attn.out.bias, batch,
      d.keeps_context and 0 or d.dropout, site .. ".attn.out", places)
   return nn.residual_layer_norm(nn.feed_forward(h, ffn.up, ffn.down, d.activation), h, ffn.norm, ffn.down.bias, batch,
      d.dropout, site .. ".ffn.out", places)
end

--- Sum of the embeddings, normalised (T, embedding). Without `types` all tokens are of type 0.
function bert.embed(embed, d, batch, types)
   local first = { i = { 0, d.first_position, 0 } }
   local sum
   if embed.type then
      sum = graph.apply("embed_sum", first, batch.tokens, embed.word.weight, batch.positions, embed.position.weight,
         types, embed.type.weight)
   else
      sum = graph.apply("embed_sum", first, batch.tokens, embed.word.weight, batch.positions, embed.position.weight)
   end
   return nn.dropout(embed.norm(sum), d.dropout, batch, "encoder.embed")
end

--- h (T, H) through all layers: (T, H), or (M, H) of the tokens at `places` alone (i32, 0-based, ascending).
function bert.run_layers(encoder, d, h, batch, places)
   for n = 1, d.layers do
      h = nn.layer(d, layer_forward, encoder.layer[n], d, h, batch, "encoder.layer." .. n - 1, n == d.layers and places or nil)
   end
   return places and d.layers == 0 and nn.gather(h, places) or h
end

--- Hidden states (T, H) of the last layer, or (M, H) of the tokens at `places` alone (i32, 0-based, ascending).
function bert.forward(encoder, d, batch, places)
   return bert.run_layers(encoder, d, nn.scope(bert.embed, encoder.embed, d, batch, batch.types), batch, places)
end

--- tanh of an affine map of each row's first token (B, H).
function bert.pool(encoder, first) return nn.tanh(encoder.pool.dense(first)) end

--- Names of embeddings and layers, as `weights` gives them.
function bert.body_weights(d)
   local w = {
      ["encoder.embed.word.weight"] = { "embeddings.word_embeddings.weight" },
      ["encoder.embed.position.weight"] = { "embeddings.position_embeddings.weight" },
      ["encoder.embed.type.weight"] = { "embeddings.token_type_embeddings.weight" },
      ["encoder.embed.norm.weight"] = { "embeddings.LayerNorm.weight" },
      ["encoder.embed.norm.bias"] = { "embeddings.LayerNorm.bias" },
   }
   for n = 0, d.layers - 1 do
      local ours, theirs = "encoder.layer." .. n, "encoder.layer." .. n
      for _, k in ipairs { "weight", "bias" } do
         local at = theirs .. ".attention."
         w[ours .. ".attn.qkv." .. k] = { at .. "self.query." .. k, at .. "self.key." .. k, at .. "self.value." .. k }
         w[ours .. ".attn.out." .. k] = { at .. "output.dense." .. k }
         w[ours .. ".attn.norm." .. k] = { at .. "output.LayerNorm." .. k }
         w[ours .. ".ffn.up." .. k] = { theirs .. ".intermediate.dense." .. k }
         w[ours .. ".ffn.down." .. k] = { theirs .. ".output.dense." .. k }
         w[ours .. ".ffn.norm." .. k] = { theirs .. ".output.LayerNorm." .. k }
      end
   end
   return w
end

--- Canonical parameter name -> names in the checkpoint (several: joined along the first axis).
function bert.weights(d)
   local w = bert.body_weights(d)
   w["encoder.pool.dense.weight"], w["encoder.pool.dense.bias"] = { "pooler.dense.weight" }, { "pooler.dense.bias" }
   return w
end

--- Tensors of a checkpoint that no computation reads.
function bert.ignored(name) return name == "embeddings.position_ids" end

--- Older names of the same tensor, tried in order.
function bert.aliases(name)
   if name:find("LayerNorm.weight", 1, true) then return { (name:gsub("LayerNorm%.weight", "LayerNorm.gamma")) } end
   if name:find("LayerNorm.bias", 1, true) then return { (name:gsub("LayerNorm%.bias", "LayerNorm.beta")) } end
   return {}
end

return bert
