-- An encoder from scratch on unlabelled text: a vocabulary, then masked language modelling.
--
--   ftpipe run pipelines/pretrain.lua --set from=FOLDER --out encoder
--   ftpipe run pipelines/sentiment.lua --set model=encoder/model --set data=reviews.csv

local ft = require "ftpipe"

local p = ft.params {
   from       = { type = "list", required = true, help = "files and folders of text" },
   format     = { default = "auto", choices = { "auto", "lines", "paragraphs", "doc", "csv", "tsv", "jsonl", "json" },
                  help = "where a document ends" },
   text       = { default = { "text" }, help = "columns of tables" },
   vocabulary = { default = 8000, min = 100, help = "tokens" },
   alphabet   = { default = 1000, min = 1, help = "characters that the vocabulary keeps" },
   lowercase  = { default = true },
   hidden     = { default = 256, min = 1 },
   layers     = { default = 4, min = 1 },
   heads      = { default = 4, min = 1 },
   inner      = { type = "integer", min = 1, help = "of the feed-forward block; default: four times hidden" },
   positions  = { default = 512, min = 3, help = "tokens of the longest row that the encoder can read" },
   length     = { default = 128, min = 3, help = "tokens of a window" },
   dropout    = { default = 0, min = 0, max = 0.9, help = "in pre-training; config.json says 0.1, for fine-tuning" },
   valid      = { default = 0.01, min = 0, max = 0.5, help = "share of the documents that is held out" },
   lr         = { default = 1e-3, min = 0 },
   batch      = { default = 128, min = 1, help = "windows of an update" },
   epochs     = { default = 3, min = 1 },
   updates    = { type = "integer", min = 1, help = "stop after so many" },
   whole_word = { default = false, help = "mask all pieces of a word together" },
   evaluations = { default = 20, min = 1, help = "how often held-out text is scored" },
   precision  = { default = "f32", choices = { "auto", "f32", "bf16" } },
   weights    = { default = "f32", choices = { "f32", "f16", "bf16" }, help = "how the model's files store them" },
}

local words   = ft.vocabulary   { from = p.from, format = p.format, text = p.text, size = p.vocabulary,
                                  limit_alphabet = p.alphabet, lowercase = p.lowercase }
local encoder = ft.new_encoder  { vocabulary = words, hidden = p.hidden, layers = p.layers, heads = p.heads, inner = p.inner,
                                  positions = p.positions }
local corpus  = ft.corpus       { from = p.from, format = p.format, text = p.text, with = encoder, length = p.length,
                                  valid = p.valid }
local fresh   = ft.replace_head { on = encoder, task = "masked_lm" }
local trained = ft.pretrain     { model = fresh, data = corpus, lr = p.lr, batch = p.batch, epochs = p.epochs,
                                  updates = p.updates, dropout = p.dropout, whole_word = p.whole_word, evaluations = p.evaluations,
                                  precision = p.precision }

return ft.pipeline { name = "pretrain", api = 1, seed = 1, model = trained, weights = p.weights }
