-- Adapt an encoder to your own unlabelled text by masked language modelling, then fine-tune it in two stages.
--
--   ftpipe run pipelines/adapt.lua --set model=DIR --set from=TEXTS --set data=reviews.csv
--   ftpipe run pipelines/adapt.lua --set model=DIR --set from=TEXTS --set data=reviews.csv --set compare=true
--   ftpipe run pipelines/adapt.lua --set model=DIR --set from=TEXTS                     (only the adapted encoder)

local ft = require "ftpipe"

local p = ft.params {
   model       = { type = "path", default = "builtin:mini", help = "encoder directory, or builtin:mini" },
   from        = { type = "list", required = true, help = "files and folders of unlabelled text" },
   format      = { default = "auto", choices = { "auto", "lines", "paragraphs", "doc", "csv", "tsv", "jsonl", "json" },
                   help = "where a document ends" },
   columns     = { default = { "text" }, help = "columns of unlabelled tables" },
   length      = { default = 128, min = 3, help = "tokens of a window" },
   valid       = { default = 0.05, min = 0, max = 0.5, help = "share of the documents that is held out" },
   adapt_lr    = { default = 1e-4, min = 0 },
   adapt_epochs = { default = 3, min = 1 },
   adapt_updates = { type = "integer", min = 1, help = "stop after so many" },
   adapt_batch = { default = 32, min = 1, help = "windows of an update" },
   whole_word  = { default = false, help = "mask all pieces of a word together" },
   precision   = { default = "f32", choices = { "auto", "f32", "bf16" }, help = "of the products of adaptation" },
   data        = { type = "path", help = "labelled rows, split 80/10/10" },
   train       = { type = "path", help = "or one file for each split" },
   valid_file  = { type = "path" },
   test        = { type = "path" },
   text        = { default = { "text" } },
   label       = { default = "label" },
   map         = { type = "map", help = "rename or drop labels: 1:neg,2:neg,4:pos,5:pos" },
   pool        = { default = "mean", choices = { "auto", "pooler", "cls", "mean" },
                   help = "what the head reads; adaptation does not train the pooler" },
   lr          = { default = "auto", min = 0 }, head_lr = { default = "auto", min = 0 },
   epochs      = { type = "integer", default = "auto", min = 1 }, head_epochs = { type = "integer", default = "auto", min = 1 },
   compare     = { default = false, help = "also fine-tune the encoder as it was" },
}

local encoder = ft.pretrained   { from = p.model }
local corpus  = ft.corpus       { from = p.from, format = p.format, text = p.columns, with = encoder, length = p.length,
                                  valid = p.valid }
local adapted = ft.pretrain     { name = "adapt", model = ft.replace_head { on = encoder, task = "masked_lm" }, data = corpus,
                                  lr = p.adapt_lr, epochs = p.adapt_epochs, updates = p.adapt_updates, batch = p.adapt_batch,
                                  whole_word = p.whole_word, precision = p.precision }

if not (p.data or p.train) then return ft.pipeline { name = "adapt", api = 1, seed = 1, model = adapted } end

local rows = ft.split    { rows = ft.read { from = p.data, train = p.train, valid = p.valid_file, test = p.test, text = p.text,
                                            label = p.label, map = p.map } }
local data = ft.tokenize { rows = rows, with = encoder }

local function two_stages(name, on)
   local fresh = ft.replace_head { on = on, labels = data, pool = p.pool }
   local head  = ft.finetune     { name = name .. "_head", model = fresh, data = data, freeze = "loaded", lr = p.head_lr,
                                   epochs = p.head_epochs }
   return ft.finetune            { name = name, model = head, data = data, lr = p.lr, epochs = p.epochs }
end

local tuned  = two_stages("tuned", adapted)
local models = { adapted = tuned }
if p.compare then models.plain = two_stages("plain", encoder) end

return ft.pipeline {
   name = "adapt", api = 1, seed = 1,
   model  = tuned,
   report = ft.evaluate { data = data, models = models, tuned = "adapted" },
}
