--- Where an answer begins and ends: two logits for each token, as transformers' BertForQuestionAnswering computes them
-- (Devlin et al. 2019, section 4.2). The pooler is not read; before the affine map only DistilBERT drops out.

local nn = require "ftpipe.nn"

local head = { name = "question_answering", version = 1, task = "question_answering", architecture = "ForQuestionAnswering" }

function head.build(c)
   return { out = nn.linear(c.hidden, c.labels, { std = c.std }) }
end

--- hidden states (T, H) -> start and end logits (T, 2)
function head.forward(self, h, batch, c)
   return self.out(c.drops_answers and nn.dropout(h, c.dropout, batch, "head.dropout") or h)
end

head.weights = { ["head.out.weight"] = "qa_outputs.weight", ["head.out.bias"] = "qa_outputs.bias" }

--- What the columns are: the labels of every model with this head.
head.labels = { "start", "end" }

return head
