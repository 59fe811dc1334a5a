-- tests/demo/encoder.lua - writes a tiny random BERT in Hugging Face layout, beside whatever tokeniser files are there.

local bert = require "ftpipe.arch.bert"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local nn = require "ftpipe.nn"
local param = require "ftpipe.core.param"
local store = require "ftpipe.core.store"

local encoder = {}

--- A configuration of two layers for so many tokens and positions.
function encoder.config(vocab_size, positions)
   return { model_type = "bert", vocab_size = vocab_size, hidden_size = 32, num_hidden_layers = 2, num_attention_heads = 4,
      intermediate_size = 64, max_position_embeddings = positions, type_vocab_size = 2, hidden_act = "gelu",
      hidden_dropout_prob = 0.1, attention_probs_dropout_prob = 0.1, layer_norm_eps = 1e-12, initializer_range = 0.1 }
end

--- config.json and model.safetensors of random weights.
---@param dir string
---@param config table
function encoder.write(dir, config)
   assert(fs.mkdirs(dir))
   local set, tensors = param.set(), {}
   local tree, d = bert.build(config, true)
   local names = bert.weights(d)
   for _, p in ipairs(nn.bind(tree, set, "encoder", 7)) do
      local theirs, t = names[p:name()], p:tensor()
      local shape = t:shape()
      shape[1] = shape[1] // #theirs
      for i, name in ipairs(theirs) do tensors[name] = t:view((i - 1) * (t:count() // #theirs) + 1, shape) end
   end
   assert(store.write(dir .. "/model.safetensors", tensors, { format = "pt" }))
   assert(fs.write(dir .. "/config.json", json.encode(config) .. "\n"))
end

return encoder
