-- Product-review sentiment in two stages: the new head alone on a frozen encoder, then everything.
--
--   ftpipe run pipelines/sentiment.lua --set model=DIR                  (on the reviews that come with ftpipe)
--   ftpipe run pipelines/sentiment.lua --set model=DIR --set data=reviews.csv
--   ftpipe run pipelines/sentiment.lua --set model=DIR --set train=F --set valid=F --set test=F --set control=true

local ft = require "ftpipe"

local p = ft.params {
   model        = { type = "path", default = "builtin:mini",
                    help = "encoder: directory, hf:OWNER/NAME[@REVISION], or builtin:mini" },
   data         = { type = "path",
                    help = "CSV, TSV, JSONL, \"*.csv\" or a folder by label, split 80/10/10; nothing said: builtin:reviews" },
   train        = { type = "path", help = "or one file for each split" },
   valid        = { type = "path" },
   test         = { type = "path" },
   text         = { default = { "text" }, help = "columns, joined by a line break" },
   pair         = { type = "list", help = "columns of a second text (inference, paraphrases)" },
   label        = { default = "label", help = "column; names or numbers" },
   map          = { type = "map", help = "rename or drop labels: 1:neg,2:neg,4:pos,5:pos" },
   delimiter    = { type = "string", help = "between columns of CSV where it is no comma: \";\", \"|\", tab" },
   encoding     = { type = "string", help = "of the files where it is not UTF-8: latin-1, utf-16" },
   bad          = { default = "error", choices = { "error", "quarantine" }, help = "what a bad row does" },
   head         = { default = "new", choices = { "new", "keep" }, help = "keep: go on from a model tuned for these labels" },
   label_smoothing = { type = "number", default = 0, min = 0, max = 0.9, help = "of the labels that are learnt" },
   class_weights = { type = "string", help = "balanced, or label:weight,label:weight" },
   pool         = { default = "auto", choices = { "auto", "pooler", "cls", "mean" },
                    help = "what the head reads; auto: the encoder's pooler, the mean where it has none" },
   max_length   = { type = "integer", default = "auto", min = 3, help = "tokens of a row, or of a window" },
   long         = { default = "head", choices = { "head", "head+tail", "windows" },
                    help = "of longer rows: their head, head and tail, or windows whose logits are averaged" },
   lr           = { default = "auto", min = 0, help = "learning rate of stage two" },
   epochs       = { type = "integer", default = "auto", min = 1, help = "most epochs of stage two" },
   batch        = { type = "integer", default = "auto", min = 1, help = "rows of an update" },
   head_lr      = { default = "auto", min = 0, help = "learning rate of stage one" },
   head_epochs  = { type = "integer", default = "auto", min = 1, help = "most epochs of stage one" },
   precision    = { default = "f32", choices = { "auto", "f32", "bf16" }, help = "of matrix products" },
   control      = { default = false, help = "also train in one stage, and compare" },
}

if not (p.data or p.train) then p.data = "builtin:reviews" end

local rows    = ft.read         { from = p.data, train = p.train, valid = p.valid, test = p.test,
                                  text = p.text, pair = p.pair, label = p.label, map = p.map, bad = p.bad,
                                  delimiter = p.delimiter, encoding = p.encoding }
local parts   = ft.split        { rows = rows, valid = 0.1, test = 0.1 }   -- given files win
local encoder = ft.pretrained   { from = p.model }
local data    = ft.tokenize     { rows = parts, with = encoder, max_length = p.max_length, long = p.long }
local fresh   = ft.replace_head { on = encoder, task = "classification", labels = data, pool = p.pool }

local function everything(name, from)
   return ft.finetune { name = name, model = from, data = data, lr = p.lr, epochs = p.epochs, batch = p.batch,
                        class_weights = p.class_weights, label_smoothing = p.label_smoothing,
                        precision = p.precision }
end

local tuned, models, judged
if p.head == "keep" then
   local before = ft.replace_head { on = encoder, task = "classification", labels = data, head = "keep" }
   tuned = everything("tuned", before)
   models, judged = { before = before, tuned = tuned }, "tuned"
else
   local head  = ft.finetune { name = "head", model = fresh, data = data, freeze = "loaded",      -- stage one
                               lr = p.head_lr, epochs = p.head_epochs, batch = p.batch,
                               class_weights = p.class_weights, label_smoothing = p.label_smoothing,
                               precision = p.precision }
   tuned = everything("tuned", head)                                                            -- stage two
   models = { head = head, two = tuned }
end
if p.control then models.one = everything("control", fresh) end

return ft.pipeline {
   name = "sentiment", api = 1, seed = 1,
   model  = tuned,                                        -- what `model/` holds and `predict` uses
   report = ft.evaluate { data = data, models = models, tuned = judged },
}
