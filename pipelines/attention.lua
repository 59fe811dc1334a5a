-- A head and a loss of one's own: gated attention pooling over each row's tokens, and the focal loss.
--
-- The head weighs every token of a row (softmax of a gated score over the row's own tokens) and classifies the weighted
-- sum (Ilse et al. 2018, arXiv 1802.04712). The focal loss gives less weight to rows that are right already (Lin et al.
-- 2017, arXiv 1708.02002). Both are put together from differentiable operations; the head's source travels in the model.

local ft = require "ftpipe"
local nn = ft.nn

local p = ft.params {
   model = { type = "path", default = "builtin:mini", help = "encoder directory, or builtin:mini" },
   data  = { type = "path", required = true, help = "CSV, TSV or JSONL, split 80/10/10" },
   text  = { default = { "text" } },
   label = { default = "label" },
   gamma = { default = 2.0, min = 0, help = "focus of the loss on rows that are wrong; 0: cross-entropy" },
   lr    = { default = "auto", min = 0 }, head_lr = { default = "auto", min = 0 },
   epochs = { type = "integer", default = "auto", min = 1 }, head_epochs = { type = "integer", default = "auto", min = 1 },
}

local Attention = ft.head { name = "attention",
   build = function(c)
      return { key = nn.linear(c.hidden, 64), gate = nn.linear(c.hidden, 64), score = nn.linear(64, 1),
         out = nn.linear(c.hidden, c.labels) }
   end,
   forward = function(self, h, batch)                       -- h (T, H): the tokens of all rows, end to end
      local gated = self.key(h):tanh() * self.gate(h):sigmoid()
      local a = nn.row_softmax(self.score(gated), batch)    -- (T, 1), sums to 1 over each row's own tokens
      return self.out(nn.row_sum(a * h, batch))             -- (B, labels)
   end }

local function focal(logits, gold)                          -- one value per row, never a mean
   local lp = nn.log_softmax(logits):pick(gold)
   return -(1 - lp:exp()) ^ p.gamma * lp
end

local rows    = ft.split        { rows = ft.read { from = p.data, text = p.text, label = p.label } }
local encoder = ft.pretrained   { from = p.model }
local data    = ft.tokenize     { rows = rows, with = encoder }
local fresh   = ft.replace_head { on = encoder, head = Attention, labels = data }
local head    = ft.finetune     { name = "head", model = fresh, data = data, freeze = "loaded", loss = focal,
                                  lr = p.head_lr, epochs = p.head_epochs }
local tuned   = ft.finetune     { name = "tuned", model = head, data = data, loss = focal, lr = p.lr, epochs = p.epochs }

return ft.pipeline {
   name = "attention", api = 1, seed = 1,
   model = tuned,
   report = ft.evaluate { data = data, models = { head = head, two = tuned } },
}
