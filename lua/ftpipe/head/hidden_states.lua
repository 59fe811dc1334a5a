--- A student's guess of a teacher's hidden states: an affine map of its own (Jiao et al. 2020, TinyBERT, arXiv:1909.10351).
-- Only distillation uses it; it is no part of the model that is saved. All tokens learnt alike, the first one no more than
-- others: so heads that come later should read their mean.

local nn = require "ftpipe.nn"

local head = { name = "hidden_states", version = 1, architecture = "Model", temporary = true,
   pool = "mean", at_places = true }

--- c.width: channels of the teacher.
function head.build(c) return { out = nn.linear(c.hidden, c.width, { std = c.std }) } end

--- h (M, H), the tokens at batch.places -> (M, width).
function head.forward(self, h) return self.out(h) end

head.weights = {}

return head
