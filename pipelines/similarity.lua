-- A number for each text or pair of texts (how alike they are, how many stars), in two stages: the new head alone on a frozen
-- encoder, then everything.
--
--   ftpipe run pipelines/similarity.lua --set model=DIR --set data=sts.tsv --set text=sentence1 --set pair=sentence2

local ft = require "ftpipe"

local p = ft.params {
   model        = { type = "path", default = "builtin:mini", help = "encoder directory, or builtin:mini" },
   data         = { type = "path", help = "CSV, TSV or JSONL, split 80/10/10" },
   train        = { type = "path", help = "or one file for each split" },
   valid        = { type = "path" },
   test         = { type = "path" },
   text         = { default = { "text" }, help = "columns, joined by a line break" },
   pair         = { type = "list", help = "columns of the second text" },
   label        = { default = "score", help = "column of the number" },
   delimiter    = { type = "string", help = "between columns of CSV where it is no comma: \";\", \"|\", tab" },
   encoding     = { type = "string", help = "of the files where it is not UTF-8: latin-1, utf-16" },
   bad          = { default = "error", choices = { "error", "quarantine" }, help = "what a bad row does" },
   head         = { default = "new", choices = { "new", "keep" }, help = "keep: go on from a model tuned for numbers" },
   pool         = { default = "auto", choices = { "auto", "pooler", "cls", "mean" },
                    help = "what the head reads; auto: the encoder's pooler, the mean where it has none" },
   max_length   = { type = "integer", default = "auto", min = 3, help = "tokens of a row, or of a window" },
   long         = { default = "head", choices = { "head", "head+tail", "windows" },
                    help = "of longer rows: their head, head and tail, or windows whose logits are averaged" },
   metric       = { default = "pearson", choices = { "pearson", "spearman" }, help = "what chooses the best epoch" },
   lr           = { default = "auto", min = 0, help = "learning rate of stage two" },
   epochs       = { type = "integer", default = "auto", min = 1, help = "most epochs of stage two" },
   batch        = { type = "integer", default = "auto", min = 1, help = "rows of an update" },
   head_lr      = { default = "auto", min = 0, help = "learning rate of stage one" },
   head_epochs  = { type = "integer", default = "auto", min = 1, help = "most epochs of stage one" },
   precision    = { default = "f32", choices = { "auto", "f32", "bf16" }, help = "of matrix products" },
   control      = { default = false, help = "also train in one stage, and compare" },
}

local task    = "regression"
local rows    = ft.read         { task = task, from = p.data, train = p.train, valid = p.valid, test = p.test,
                                  text = p.text, pair = p.pair, label = p.label, bad = p.bad,
                                  delimiter = p.delimiter, encoding = p.encoding }
local parts   = ft.split        { rows = rows, valid = 0.1, test = 0.1 }   -- given files win
local encoder = ft.pretrained   { from = p.model }
local data    = ft.tokenize     { rows = parts, with = encoder, max_length = p.max_length, long = p.long }
local fresh   = ft.replace_head { on = encoder, task = task, labels = data, pool = p.pool }

local function everything(name, from)
   return ft.finetune { name = name, model = from, data = data, lr = p.lr, epochs = p.epochs, batch = p.batch,
                        metric = p.metric, precision = p.precision }
end

local tuned, models, judged
if p.head == "keep" then
   local before = ft.replace_head { on = encoder, task = task, labels = data, head = "keep" }
   tuned = everything("tuned", before)
   models, judged = { before = before, tuned = tuned }, "tuned"
else
   local head  = ft.finetune { name = "head", model = fresh, data = data, freeze = "loaded",      -- stage one
                               lr = p.head_lr, epochs = p.head_epochs, batch = p.batch, metric = p.metric,
                               precision = p.precision }
   tuned = everything("tuned", head)                                                            -- stage two
   models = { head = head, two = tuned }
end
if p.control then models.one = everything("control", fresh) end

return ft.pipeline {
   name = "similarity", api = 1, seed = 1,
   model  = tuned,                                        -- what `model/` holds and `predict` uses
   report = ft.evaluate { data = data, models = models, metric = p.metric, tuned = judged },
}
