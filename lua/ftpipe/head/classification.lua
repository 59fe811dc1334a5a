--- One label for each row: pooling, dropout, affine map. With pool = "pooler" it is what transformers'
-- BertForSequenceClassification computes; "cls" and "mean" skip the pooler's dense layer.

local nn = require "ftpipe.nn"

local head = { name = "classification", version = 1, pools = { "pooler", "cls", "mean" },
   architecture = "ForSequenceClassification" }

function head.build(c)
   return { out = nn.linear(c.hidden, c.labels, { std = c.std }) }
end

--- pooled (B, H) -> logits (B, labels)
function head.forward(self, pooled, batch, c)
   return self.out(nn.dropout(pooled, c.dropout, batch, "head.dropout"))
end

--- Canonical name -> checkpoint name (beside the encoder's prefix).
head.weights = { ["head.out.weight"] = "classifier.weight", ["head.out.bias"] = "classifier.bias" }

return head
