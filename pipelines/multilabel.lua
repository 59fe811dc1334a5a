-- Any number of labels for each text (topics, emotions, kinds of abuse), in two stages: the new head alone on a frozen encoder,
-- then everything. Labels are a column such as "joy;hope", a JSON array, or a column of 0 and 1 for each label.
--
--   ftpipe run pipelines/multilabel.lua --set model=DIR --set data=posts.csv --set label=topics
--   ftpipe run pipelines/multilabel.lua --set model=DIR --set data=posts.csv --set labels=toxic,insult --set thresholds=each

local ft = require "ftpipe"

local p = ft.params {
   model        = { type = "path", default = "builtin:mini", help = "encoder directory, or builtin:mini" },
   data         = { type = "path", help = "CSV, TSV or JSONL, split 80/10/10" },
   train        = { type = "path", help = "or one file for each split" },
   valid        = { type = "path" },
   test         = { type = "path" },
   text         = { default = { "text" }, help = "columns, joined by a line break" },
   pair         = { type = "list", help = "columns of a second text" },
   label        = { default = "labels", help = "column of the labels: delimited, or a JSON array" },
   labels       = { type = "list", help = "or columns of 0 and 1, one for each label" },
   separator    = { default = "auto", help = "what stands between labels; auto: the first of | ; , that occurs" },
   map          = { type = "map", help = "rename or drop labels: sad:sadness,joy:joy" },
   bad          = { default = "error", choices = { "error", "quarantine" }, help = "what a bad row does" },
   head         = { default = "new", choices = { "new", "keep" }, help = "keep: go on from a model tuned for these labels" },
   thresholds   = { default = "half", choices = { "half", "one", "each" },
                    help = "when a label is said: from one half, or tuned, one for all or each" },
   label_smoothing = { type = "number", default = 0, min = 0, max = 0.9, help = "draws the labels towards one half" },
   pool         = { default = "auto", choices = { "auto", "pooler", "cls", "mean" },
                    help = "what the head reads; auto: the encoder's pooler, the mean where it has none" },
   max_length   = { type = "integer", default = "auto", min = 3, help = "tokens of a row, or of a window" },
   long         = { default = "head", choices = { "head", "head+tail", "windows" },
                    help = "of longer rows: their head, head and tail, or windows whose logits are averaged" },
   metric       = { default = "micro_f1", choices = { "micro_f1", "macro_f1", "subset_accuracy" },
                    help = "what chooses the best epoch" },
   lr           = { default = "auto", min = 0, help = "learning rate of stage two" },
   epochs       = { type = "integer", default = "auto", min = 1, help = "most epochs of stage two" },
   batch        = { type = "integer", default = "auto", min = 1, help = "rows of an update" },
   head_lr      = { default = "auto", min = 0, help = "learning rate of stage one" },
   head_epochs  = { type = "integer", default = "auto", min = 1, help = "most epochs of stage one" },
   precision    = { default = "f32", choices = { "auto", "f32", "bf16" }, help = "of matrix products" },
   control      = { default = false, help = "also train in one stage, and compare" },
}

local task    = "multi_label"
local rows    = ft.read         { task = task, from = p.data, train = p.train, valid = p.valid, test = p.test,
                                  text = p.text, pair = p.pair, label = p.label, labels = p.labels, separator = p.separator,
                                  map = p.map, bad = p.bad }
local parts   = ft.split        { rows = rows, valid = 0.1, test = 0.1 }   -- given files win
local encoder = ft.pretrained   { from = p.model }
local data    = ft.tokenize     { rows = parts, with = encoder, max_length = p.max_length, long = p.long }
local fresh   = ft.replace_head { on = encoder, task = task, labels = data, pool = p.pool }

local function everything(name, from)
   return ft.finetune { name = name, model = from, data = data, lr = p.lr, epochs = p.epochs, batch = p.batch,
                        metric = p.metric, thresholds = p.thresholds, label_smoothing = p.label_smoothing,
                        precision = p.precision }
end

local tuned, models, judged
if p.head == "keep" then
   local before = ft.replace_head { on = encoder, task = task, labels = data, head = "keep" }
   tuned = everything("tuned", before)
   models, judged = { before = before, tuned = tuned }, "tuned"
else
   local head  = ft.finetune { name = "head", model = fresh, data = data, freeze = "loaded",      -- stage one
                               lr = p.head_lr, epochs = p.head_epochs, batch = p.batch, metric = p.metric,
                               thresholds = p.thresholds, label_smoothing = p.label_smoothing,
                               precision = p.precision }
   tuned = everything("tuned", head)                                                            -- stage two
   models = { head = head, two = tuned }
end
if p.control then models.one = everything("control", fresh) end

return ft.pipeline {
   name = "multilabel", api = 1, seed = 1,
   model  = tuned,                                        -- what `model/` holds and `predict` uses
   report = ft.evaluate { data = data, models = models, metric = p.metric, tuned = judged },
}
