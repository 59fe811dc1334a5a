-- tests/demo/encoders.lua - writes tiny random encoders other than BERT, as they are published: with tokenisers of their
-- families and another task's head. ftpipe lua tests/demo/encoders.lua DIR
--
-- DIR/roberta: byte-level BPE from vocab.json and merges.txt; DIR/xlm_roberta: Unigram; both with a masked-LM head.
-- DIR/distilbert: WordPiece from tokenizer.json, a question-answering head; DIR/electra: WordPiece from vocab.txt, a
-- generator's masked-LM head. The tokenisers are the recorded ones of tests/fixtures, so most words are several pieces.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local text = require "ftpipe.core.text"
local model = require "ftpipe.model"

local out = assert(arg and arg[1], "usage: ftpipe lua tests/demo/encoders.lua DIR")
local TOKENISERS, POSITIONS = "tests/fixtures/tokenizer/", 96

local sizes = { hidden_size = 32, num_hidden_layers = 2, num_attention_heads = 4, intermediate_size = 64, initializer_range = 0.1 }

local function config(model_type, more)
   local c = { model_type = model_type, max_position_embeddings = POSITIONS, type_vocab_size = 2 }
   for _, part in ipairs { sizes, more } do
      for k, v in pairs(part) do c[k] = v end
   end
   return c
end

local as_roberta = { type_vocab_size = 1, pad_token_id = 1, bos_token_id = 0, eos_token_id = 2, layer_norm_eps = 1e-5,
   max_position_embeddings = POSITIONS + 2 }

local function write(name, tokeniser, c, head)
   local tok = assert(text.load(TOKENISERS .. tokeniser))
   c.vocab_size = tok:vocab_size()
   local dir = out .. "/" .. name
   model.replace_head(model.blank(c, tok), { head = head, labels = {} }, 5):save(dir)
   assert(fs.remove(dir .. "/ftpipe.json"))      -- published checkpoints have none
   if fs.stat(dir .. "/vocab.json") or fs.stat(dir .. "/vocab.txt") then assert(fs.remove(dir .. "/tokenizer.json")) end
   local there = fs.read(dir .. "/tokenizer_config.json")
   local written = there and json.decode(there) or {}
   written.model_max_length = POSITIONS
   assert(fs.write(dir .. "/tokenizer_config.json", json.encode(written) .. "\n"))
end

write("roberta", "bytes", config("roberta", as_roberta), "masked_lm")
write("xlm_roberta", "unigram.json", config("xlm-roberta", as_roberta), "masked_lm")
write("electra", "lower", config("electra", { embedding_size = 16 }), "masked_lm")
write("distilbert", "json", { model_type = "distilbert", dim = 32, n_layers = 2, n_heads = 4, hidden_dim = 64,
   initializer_range = 0.1, max_position_embeddings = POSITIONS }, "question_answering")
return 0
