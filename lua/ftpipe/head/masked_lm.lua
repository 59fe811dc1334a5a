--- What a masked language model guesses with: a dense layer, activation, LayerNorm, and scores over the vocabulary by the
-- word embeddings themselves (tied) and a bias. As transformers' BertForMaskedLM; logits at the masked places only.

local graph = require "ftpipe.core.graph"
local nn = require "ftpipe.nn"

local head = { name = "masked_lm", version = 1, architecture = "ForMaskedLM", continues = true, at_places = true }

function head.build(c)
   local opts = { std = c.std }
   return { dense = nn.linear(c.hidden, c.hidden, opts), norm = nn.layer_norm(c.hidden, c.eps),
      out = nn.module { kind = "bias", specs = { bias = { shape = { c.vocab }, init = "zeros" } },
         forward = function(self, x, table_of_words) return nn.affine(x, table_of_words, self.bias) end } }
end

--- h (M, H), the tokens at batch.places (all without it) -> logits (M, vocabulary).
function head.forward(self, h, _, c, encoder)
   local x = graph.apply(c.activation, nil, nn.affine(h, self.dense.weight), self.dense.bias)
   return self.out(self.norm(x), encoder.embed.word.weight)
end

--- Canonical name -> checkpoint name (beside the encoder's prefix).
head.weights = {
   ["head.dense.weight"] = "cls.predictions.transform.dense.weight",
   ["head.dense.bias"] = "cls.predictions.transform.dense.bias",
   ["head.norm.weight"] = "cls.predictions.transform.LayerNorm.weight",
   ["head.norm.bias"] = "cls.predictions.transform.LayerNorm.bias",
   ["head.out.bias"] = "cls.predictions.bias",
}

--- Another name of the same tensor.
head.aliases = { ["cls.predictions.bias"] = "cls.predictions.decoder.bias" }

return head
