--- DistilBERT (Sanh et al. 2019, arXiv:1910.01108): BERT's layers under other names, without token types and pooler.
--
-- What attention gives is not dropped out before it is added to the residual. The classifier has a dense layer of its own
-- (pre_classifier) on the first token, and each head has a dropout rate of its own in config.json.

local bert = require "ftpipe.arch.bert"

local distilbert = { name = "distilbert", class = "DistilBert", model_types = { "distilbert" }, prefix = "distilbert.",
   version = 1, ignored = bert.ignored, aliases = bert.aliases, drops_answers = true }

--- What config.json calls the sizes.
distilbert.keys = { vocab = "vocab_size", hidden = "dim", layers = "n_layers", heads = "n_heads", inner = "hidden_dim",
   positions = "max_position_embeddings", activation = "activation", dropout = "dropout",
   attention_dropout = "attention_dropout" }

--- The published classification head.
distilbert.classifier = { dense = "pre_classifier", out = "classifier", activation = "relu" }

--- The published masked-LM head.
distilbert.masked_lm = { dense = "vocab_transform", norm = "vocab_layer_norm", bias = "vocab_projector.bias",
   tied = "vocab_projector.weight" }

--- The sizes of an encoder from config.json; raises when a field is missing or not supported.
function distilbert.dimensions(config)
   local d = bert.dimensions(config, distilbert.keys)
   d.types, d.eps, d.keeps_context = 0, 1e-12, true
   return d
end

--- The dropout rate in front of a head's last layer.
function distilbert.head_dropout(config, head)
   if head == "classification" then return config.seq_classif_dropout or 0.2 end
   if head == "question_answering" then return config.qa_dropout or 0.1 end
   return config.dropout or 0.1
end

--- The tree of modules: embed and layer[1..n].
function distilbert.build(config)
   local d = distilbert.dimensions(config)
   return { embed = bert.build_embeddings(d), layer = bert.build_layers(d) }
end

distilbert.forward = bert.forward

--- Canonical parameter name -> names in the checkpoint (several: joined along the first axis).
function distilbert.weights(d)
   local w = {
      ["encoder.embed.word.weight"] = { "embeddings.word_embeddings.weight" },
      ["encoder.embed.position.weight"] = { "embeddings.position_embeddings.weight" },
      ["encoder.embed.norm.weight"] = { "embeddings.LayerNorm.weight" },
      ["encoder.embed.norm.bias"] = { "embeddings.LayerNorm.bias" },
   }
   for n = 0, d.layers - 1 do
      local ours, theirs = "encoder.layer." .. n, "transformer.layer." .. n
      for _, k in ipairs { "weight", "bias" } do
         local at = theirs .. ".attention."
         w[ours .. ".attn.qkv." .. k] = { at .. "q_lin." .. k, at .. "k_lin." .. k, at .. "v_lin." .. k }
         w[ours .. ".attn.out." .. k] = { at .. "out_lin." .. k }
         w[ours .. ".attn.norm." .. k] = { theirs .. ".sa_layer_norm." .. k }
         w[ours .. ".ffn.up." .. k] = { theirs .. ".ffn.lin1." .. k }
         w[ours .. ".ffn.down." .. k] = { theirs .. ".ffn.lin2." .. k }
         w[ours .. ".ffn.norm." .. k] = { theirs .. ".output_layer_norm." .. k }
      end
   end
   return w
end

return distilbert
