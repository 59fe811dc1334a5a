-- Named entities in two stages: the new head alone on a frozen encoder, then everything.
--
--   ftpipe run pipelines/ner.lua --set model=DIR --set train=train.conll --set valid=dev.conll --set test=test.conll
--   ftpipe run pipelines/ner.lua --set model=DIR --set data=export.json --set format=labelstudio --set control=true

local ft = require "ftpipe"

local p = ft.params {
   model        = { type = "path", default = "builtin:mini", help = "encoder directory, or builtin:mini" },
   data         = { type = "path", help = "CoNLL columns, JSONL or JSON, split 80/10/10" },
   train        = { type = "path", help = "or one file for each split" },
   valid        = { type = "path" },
   test         = { type = "path" },
   format       = { default = "auto", choices = { "auto", "conll", "jsonl", "json", "doccano", "labelstudio", "prodigy" },
                    help = "auto: by the file's name" },
   text         = { default = "text", help = "field of the text, or number of the column of words" },
   label        = { default = "label", help = "field of tags or spans, or number of the column of tags" },
   map          = { type = "map", help = "rename types: from:to,from:to; others are dropped" },
   overlap      = { default = "error", choices = { "error", "longest" }, help = "of two entities that overlap" },
   offsets      = { default = "auto", choices = { "auto", "characters", "units", "bytes" },
                    help = "what places of entities count: code points, UTF-16 units or bytes" },
   head         = { default = "new", choices = { "new", "keep" }, help = "keep: go on from a model tuned for entities" },
   encoding     = { type = "string", help = "of the files where it is not UTF-8: latin-1, utf-16" },
   bad          = { default = "error", choices = { "error", "quarantine" }, help = "what a bad row does" },
   max_length   = { type = "integer", default = "auto", min = 8, help = "tokens of a window" },
   stride       = { type = "integer", default = "auto", min = 0, help = "tokens that windows of a row share" },
   metric       = { default = "f1", choices = { "f1", "macro_f1" }, help = "what chooses the best epoch" },
   lr           = { default = "auto", min = 0, help = "learning rate of stage two" },
   epochs       = { type = "integer", default = "auto", min = 1, help = "most epochs of stage two" },
   batch        = { type = "integer", default = "auto", min = 1, help = "windows of an update" },
   head_lr      = { default = "auto", min = 0, help = "learning rate of stage one" },
   head_epochs  = { type = "integer", default = "auto", min = 1, help = "most epochs of stage one" },
   precision    = { default = "f32", choices = { "auto", "f32", "bf16" }, help = "of matrix products" },
   control      = { default = false, help = "also train in one stage, and compare" },
}

if not (p.data or p.train) then p.data = "builtin:entities" end

local task    = "named_entities"
local rows    = ft.read         { task = task, from = p.data, train = p.train, valid = p.valid, test = p.test,
                                  format = p.format, text = { p.text }, label = p.label, map = p.map, overlap = p.overlap,
                                  offsets = p.offsets, bad = p.bad, encoding = p.encoding }
local parts   = ft.split        { rows = rows, valid = 0.1, test = 0.1 }   -- given files win
local encoder = ft.pretrained   { from = p.model }
local data    = ft.tokenize     { rows = parts, with = encoder, max_length = p.max_length, stride = p.stride }
local fresh   = ft.replace_head { on = encoder, task = task, labels = data }

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
   name = "ner", api = 1, seed = 1,
   model  = tuned,                                        -- what `model/` holds and `predict` uses
   report = ft.evaluate { data = data, models = models, metric = p.metric, tuned = judged },
}
