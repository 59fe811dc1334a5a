--- ft.pretrained: an encoder directory in Hugging Face layout: config.json, model.safetensors or pytorch_model.bin, tokeniser
--- files.

local model = require "ftpipe.model"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local arch = require "ftpipe.arch"
local checkpoint_files = require "ftpipe.checkpoint_files"
local source = require "ftpipe.source"

local step = { kind = "pretrained", version = 1, exact = true, seedless = true, stored = false, inputs = {} }

step.params = { from = { type = "string", required = true, help = "directory, hf:OWNER/NAME[@REVISION], or an archive with one" } }

function step.files(params)
   local out, from = {}, source.path(params.from, "models")
   for _, name in ipairs { "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt",
      "vocab.json", "merges.txt", "ftpipe.json" } do
      out[#out + 1] = from .. "/" .. name
   end
   local weights = checkpoint_files.weights(function(name) return fs.stat(from .. "/" .. name) ~= nil end,
      function(name) return fs.read(from .. "/" .. name, checkpoint_files.INDEX) end)
   for _, name in ipairs(#weights > 0 and weights or { "model.safetensors" }) do out[#out + 1] = from .. "/" .. name end
   return out
end

function step.run(_, _, params) return model.open(source.path(params.from, "models")) end

local sizes = setmetatable({}, { __mode = "k" })      -- by parameters: many steps may ask for the same encoder

local function measure(params)
   local text = fs.read(source.path(params.from, "models") .. "/config.json")
   local config = text and json.decode(text)
   if type(config) ~= "table" then return nil end
   local ok, d = pcall(function() return arch.find(config.model_type).dimensions(config) end)
   if not ok then return nil end
   local h, e = d.hidden, d.embedding
   local embeddings = (d.vocab + d.positions + d.types) * e + (e ~= h and (e + 1) * h or 0)
   return embeddings + d.layers * (4 * h * h + 2 * h * d.inner + 9 * h + d.inner) + h * h, d.positions
end

--- Parameters of the encoder and its positions, from config.json alone; nil if it cannot be read.
function step.size(params)
   local known = sizes[params]
   if not known then
      known = table.pack(measure(params))
      sizes[params] = known
   end
   return table.unpack(known, 1, known.n)
end

return step
