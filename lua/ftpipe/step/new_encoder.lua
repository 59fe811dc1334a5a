--- ft.new_encoder: an encoder of random weights for a tokeniser, to be trained from scratch.

local failure = require "ftpipe.failure"
local model = require "ftpipe.model"

local step = { kind = "new_encoder", version = 1, exact = true, stored = false, inputs = { vocabulary = "required" } }

step.params = {
   hidden = { type = "integer", default = 256, min = 1 },
   layers = { type = "integer", default = 4, min = 1 },
   heads = { type = "integer", default = 4, min = 1, help = "of attention; a divisor of hidden" },
   inner = { type = "integer", min = 1, help = "of the feed-forward block; four times hidden unless said" },
   positions = { type = "integer", default = 512, min = 3, help = "tokens of the longest row" },
   like = { type = "boolean", default = false, help = "the architecture of the encoder that the vocabulary is from instead" },
   dropout = { type = "number", default = 0.1, min = 0, max = 0.9 },
}

--- vocabulary: what ft.vocabulary or ft.pretrained gave.
function step.run(_, inputs, p)
   local tokenizer = inputs.vocabulary.tokenizer
   if p.like then
      if not inputs.vocabulary.config then
         failure.raise("usage", "like = true needs the vocabulary of an encoder, from ft.pretrained")
      end
      return model.blank(inputs.vocabulary.config, tokenizer)
   end
   return model.blank({ model_type = "bert", vocab_size = tokenizer:vocab_size(), hidden_size = p.hidden,
      num_hidden_layers = p.layers, num_attention_heads = p.heads, intermediate_size = p.inner or 4 * p.hidden,
      max_position_embeddings = p.positions, type_vocab_size = 2, hidden_act = "gelu", layer_norm_eps = 1e-12,
      hidden_dropout_prob = p.dropout, attention_probs_dropout_prob = p.dropout, initializer_range = 0.02,
      pad_token_id = tokenizer:special "pad" }, tokenizer)
end

return step
