--- RoBERTa (Liu et al. 2019, arXiv:1907.11692), and what has its layout: XLM-RoBERTa (Conneau et al. 2020, arXiv:1911.02116)
-- and CamemBERT.
--
-- BERT's layers under BERT's names. A row's first token has position pad_token_id + 1, so that the table has more rows than
-- a row may have tokens; all tokens are of type 0, of pairs as well. The classifier has a dense layer of its own on the first
-- token; a pooler that a checkpoint brings along is not read.

local nn = require "ftpipe.nn"
local bert = require "ftpipe.arch.bert"

local roberta = { name = "roberta", model_types = { "roberta", "xlm-roberta", "camembert" }, prefix = "roberta.", version = 1,
   class = { roberta = "Roberta", ["xlm-roberta"] = "XLMRoberta", camembert = "Camembert" },
   keys = bert.keys, ignored = bert.ignored, aliases = bert.aliases, weights = bert.body_weights }

--- The published classification head.
roberta.classifier = { dense = "classifier.dense", out = "classifier.out_proj", activation = "tanh", drops_first = true }

--- The published masked-LM head.
roberta.masked_lm = { dense = "lm_head.dense", norm = "lm_head.layer_norm", bias = "lm_head.bias", also = "lm_head.decoder.bias",
   tied = "lm_head.decoder.weight", activation = "gelu" }

--- The sizes of an encoder from config.json; raises when a field is missing or not supported.
function roberta.dimensions(config)
   local pad = math.tointeger(config.pad_token_id) or 1
   return bert.dimensions(config, nil, pad + 1)
end

--- The tree of modules: embed and layer[1..n].
function roberta.build(config)
   local d = roberta.dimensions(config)
   return { embed = bert.build_embeddings(d), layer = bert.build_layers(d) }
end

--- Hidden states (T, H) of the last layer, or (M, H) of the tokens at `places` alone (i32, 0-based, ascending).
function roberta.forward(encoder, d, batch, places)
   return bert.run_layers(encoder, d, nn.scope(bert.embed, encoder.embed, d, batch), batch, places)
end

return roberta
