--- One label for each token: dropout, affine map, as transformers' BertForTokenClassification. The pooler is not read.

local nn = require "ftpipe.nn"

local head = { name = "token_classification", version = 1, task = "named_entities", architecture = "ForTokenClassification" }

function head.build(c)
   return { out = nn.linear(c.hidden, c.labels, { std = c.std }) }
end

--- hidden states (T, H) -> logits (T, labels)
function head.forward(self, h, batch, c)
   return self.out(nn.dropout(h, c.dropout, batch, "head.dropout"))
end

head.weights = { ["head.out.weight"] = "classifier.weight", ["head.out.bias"] = "classifier.bias" }

return head
