-- tests/bench/transfer.lua - one cell of the table in a model card: an encoder in two stages, or the same architecture from
-- random weights in one stage, on given files. tests/bench/transfer.sh runs it for every size and seed.

local ft = require "ftpipe"

local p = ft.params {
   model   = { type = "path", required = true },
   train   = { type = "path", required = true }, valid = { type = "path", required = true },
   test    = { type = "path", required = true },
   text    = { default = { "text" } }, label = { default = "label" },
   scratch = { default = false, help = "random weights of the same architecture and vocabulary" },
   lr      = { default = "auto", min = 0 }, epochs = { type = "integer", default = "auto", min = 1 },
   head_epochs = { type = "integer", default = "auto", min = 1 },
   precision = { default = "auto", choices = { "auto", "f32", "bf16" } },
}

local rows    = ft.read       { train = p.train, valid = p.valid, test = p.test, text = p.text, label = p.label }
local encoder = ft.pretrained { from = p.model }
local data    = ft.tokenize   { rows = rows, with = encoder }
local start

if p.scratch then
   start = ft.replace_head { on = ft.new_encoder { vocabulary = encoder, like = true }, labels = data, pool = "mean" }
else
   local fresh = ft.replace_head { on = encoder, labels = data, pool = "mean" }
   start = ft.finetune { name = "head", model = fresh, data = data, freeze = "loaded", epochs = p.head_epochs }
end
local tuned = ft.finetune { name = "tuned", model = start, data = data, lr = p.lr, epochs = p.epochs, patience = 3,
                            precision = p.precision }

return ft.pipeline { name = "transfer", api = 1, seed = 1, model = tuned,
   report = ft.evaluate { data = data, models = { two = tuned } } }
