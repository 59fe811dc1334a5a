--- What a masked language model guesses with: a dense layer, activation, LayerNorm, and scores over the vocabulary by the
-- word embeddings themselves (tied) and a bias. As transformers' BertForMaskedLM; logits at the masked places only. Other
-- encoders name the weights in c.masked_lm, which may also fix the activation.

local graph = require "ftpipe.core.graph"
local nn = require "ftpipe.nn"

local head = { name = "masked_lm", version = 1, architecture = "ForMaskedLM", continues = true, at_places = true }

function head.build(c)
   local opts = { std = c.std }
   return { dense = nn.linear(c.hidden, c.embedding, opts), norm = nn.layer_norm(c.embedding, c.eps),
      out = nn.module { kind = "bias", specs = { bias = { shape = { c.vocab }, init = "zeros" } },
         forward = function(self, x, table_of_words) return nn.affine(x, table_of_words, self.bias) end } }
end

--- h (M, H), the tokens at batch.places (all without it) -> logits (M, vocabulary).
function head.forward(self, h, _, c, encoder)
   local activation = c.masked_lm and c.masked_lm.activation or c.activation
   local x = graph.apply(activation, nil, nn.affine(h, self.dense.weight), self.dense.bias)
   return self.out(self.norm(x), encoder.embed.word.weight)
end

--- A new head on words that have learnt already: its LayerNorm gives channels of unit size, so that a table of long vectors
-- (those of builtin:mini) would begin with scores of hundreds, and the loss far above that of guessing. The gain begins where
-- scores have a variance of 1; that of short vectors, as new ones are, stays 1.
---@param table_of_words tensor (vocabulary, E)
function head.begin(self, table_of_words)
   local square = nn.mean(nn.mul(table_of_words, table_of_words)):tensor():get(1) * table_of_words:shape()[2]
   if square > 1 then self.norm.weight:tensor():fill(1 / math.sqrt(square)) end
end

local bert = { dense = "cls.predictions.transform.dense", norm = "cls.predictions.transform.LayerNorm",
   bias = "cls.predictions.bias", also = "cls.predictions.decoder.bias", tied = "cls.predictions.decoder.weight" }

--- Canonical name -> checkpoint name (beside the encoder's prefix).
function head.weights(c)
   local own = c.masked_lm or bert
   return { ["head.dense.weight"] = own.dense .. ".weight", ["head.dense.bias"] = own.dense .. ".bias",
      ["head.norm.weight"] = own.norm .. ".weight", ["head.norm.bias"] = own.norm .. ".bias", ["head.out.bias"] = own.bias }
end

--- Another name of a tensor, or nil.
function head.alias(c, name)
   local own = c.masked_lm or bert
   return name == own.bias and own.also or nil
end

--- Tensors that say again what another one says: the word embeddings, the bias.
function head.repeats(c, name)
   local own = c.masked_lm or bert
   return name == own.tied or name == own.also
end

return head
