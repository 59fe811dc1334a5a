--- ELECTRA (Clark et al. 2020, arXiv:2003.10555): BERT's layers, without a pooler, over embeddings that may be narrower.
--
-- Words, positions and types have embedding_size channels and are normalised at that width; an affine map brings them to
-- hidden_size where the two differ. The classifier has a dense layer of its own on the first token. What is published for
-- fine-tuning is the discriminator; only the generator has a masked-LM head, which guesses at embedding_size.

local nn = require "ftpipe.nn"
local bert = require "ftpipe.arch.bert"

local electra = { name = "electra", class = "Electra", model_types = { "electra" }, prefix = "electra.", version = 1,
   keys = bert.keys, ignored = bert.ignored, aliases = bert.aliases }

--- The published classification head (Head "classification" under pool = "pooler").
electra.classifier = { dense = "classifier.dense", out = "classifier.out_proj", activation = "gelu", drops_first = true }

--- The published masked-LM head.
electra.masked_lm = { dense = "generator_predictions.dense", norm = "generator_predictions.LayerNorm",
   bias = "generator_lm_head.bias", tied = "generator_lm_head.weight", activation = "gelu" }

--- The sizes of an encoder from config.json; raises when a field is missing or not supported.
function electra.dimensions(config)
   local d = bert.dimensions(config)
   d.embedding = config.embedding_size or 128
   return d
end

--- The tree of modules: embed (with project where the widths differ) and layer[1..n].
function electra.build(config)
   local d = electra.dimensions(config)
   local embed = bert.build_embeddings(d)
   if d.embedding ~= d.hidden then embed.project = nn.linear(d.embedding, d.hidden, { std = d.std }) end
   return { embed = embed, layer = bert.build_layers(d) }
end

local function embedded(embed, d, batch)
   local h = bert.embed(embed, d, batch, batch.types)
   return embed.project and embed.project(h) or h
end

--- Hidden states (T, H) of the last layer, or (M, H) of the tokens at `places` alone (i32, 0-based, ascending).
function electra.forward(encoder, d, batch, places)
   return bert.run_layers(encoder, d, nn.scope(embedded, encoder.embed, d, batch), batch, places)
end

--- Canonical parameter name -> names in the checkpoint (several: joined along the first axis).
function electra.weights(d)
   local w = bert.body_weights(d)
   w["encoder.embed.project.weight"], w["encoder.embed.project.bias"] =
      { "embeddings_project.weight" }, { "embeddings_project.bias" }
   return w
end

return electra
