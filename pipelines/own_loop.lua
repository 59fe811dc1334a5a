-- A training loop of one's own: what ft.finetune does in stage two, written out. Its weights equal ft.finetune's bit for
-- bit, and an interrupted run goes on in the middle of the loop, because ctx:updates remembers the place.

local ft = require "ftpipe"
local nn = ft.nn

local p = ft.params {
   model  = { type = "path", default = "builtin:mini", help = "encoder directory, or builtin:mini" },
   data   = { type = "path", required = true, help = "CSV, TSV or JSONL, split 80/10/10" },
   lr     = { default = 1e-4, min = 0 },
   epochs = { default = 3, min = 1 },
   batch  = { default = 16, min = 1, help = "rows of an update" },
   written_out = { default = true, help = "false: let ft.finetune do the same" },
}

local rows    = ft.split        { rows = ft.read { from = p.data } }
local encoder = ft.pretrained   { from = p.model }
local data    = ft.tokenize     { rows = rows, with = encoder }
local fresh   = ft.replace_head { on = encoder, labels = data }

local train = ft.step { name = "train", version = 1, run = function(ctx, model, set)
   local opt = nn.adamw(model, { lr = p.lr, weight_decay = 0.01, schedule = "linear", warmup = 0.1, clip = 1 })
   for update in ctx:updates(set.train, { batch = p.batch, epochs = p.epochs }) do      -- the cursor resumes
      for batch in update:batches() do                                                 -- micro-batches
         update:backward(nn.cross_entropy(model(batch), batch.labels))
      end
      opt:step(update)
      if update.ends_epoch then ctx:keep_best(model, ft.score(model, set.valid)) end   -- accuracy; ties: lower loss
   end
   return ctx:best()
end }

local tuned
if p.written_out then
   tuned = train(fresh, data)
else
   tuned = ft.finetune { name = "train", model = fresh, data = data, lr = p.lr, epochs = p.epochs, batch = p.batch, patience = 0 }
end

return ft.pipeline {
   name = "own_loop", api = 1, seed = 1,
   model = tuned,
   report = ft.evaluate { data = data, models = { one = tuned } },
}
