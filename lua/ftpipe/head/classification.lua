--- One label for each row: pooling, dropout, affine map. With pool = "pooler" it is what transformers'
-- ...ForSequenceClassification computes: encoders without a pooler bring c.classifier, a dense layer on the first token that
-- belongs to the head. "cls" and "mean" skip either dense layer.

local nn = require "ftpipe.nn"

local head = { name = "classification", version = 1, pools = { "pooler", "cls", "mean" },
   architecture = "ForSequenceClassification" }

function head.build(c)
   local opts = { std = c.std }
   return { dense = c.classifier and nn.linear(c.hidden, c.hidden, opts) or nil, out = nn.linear(c.hidden, c.labels, opts) }
end

--- pooled (B, H) -> logits (B, labels)
function head.forward(self, pooled, batch, c)
   local own, x = c.classifier, pooled
   if own then
      if own.drops_first then x = nn.dropout(x, c.dropout, batch, "head.dropout.dense") end
      x = nn[own.activation](self.dense(x))
   end
   return self.out(nn.dropout(x, c.dropout, batch, "head.dropout"))
end

--- Canonical name -> checkpoint name (beside the encoder's prefix).
function head.weights(c)
   local own, w = c.classifier or { out = "classifier" }, {}
   for _, k in ipairs { "weight", "bias" } do
      w["head.out." .. k] = own.out .. "." .. k
      if own.dense then w["head.dense." .. k] = own.dense .. "." .. k end
   end
   return w
end

return head
