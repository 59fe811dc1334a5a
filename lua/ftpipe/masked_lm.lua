--- Masked language modelling: masks for training, drawn anew in each epoch, and the loss on held-out text, whose masks are
-- always the same ones (epoch 0).

local core = require "ftpipe.core.corpus"
local graph = require "ftpipe.core.graph"
local nn = require "ftpipe.nn"
local failure = require "ftpipe.failure"
local scoring = require "ftpipe.scoring"

local masked_lm = {}
masked_lm.__index = masked_lm

--- opts: seed, rate (share of the tokens, 0.15), whole_word.
function masked_lm.new(tokenizer, opts)
   return setmetatable({ masker = failure.try("usage", core.masker(tokenizer, opts)) }, masked_lm)
end

--- Mask a batch in place; batch.places and batch.labels say where and what.
function masked_lm:mask(batch, epoch)
   batch.places, batch.labels = self.masker:apply(batch.tokens, batch.rows, epoch)
   return batch
end

--- Masked tokens of these examples.
function masked_lm:count(split, examples, epoch) return self.masker:count(split.tokens, examples, epoch) end

--- One loss for each masked token of a batch.
function masked_lm.loss(model, batch) return nn.cross_entropy(model:forward(batch), batch.labels) end

--- Mean loss (nats for each masked token) of a split; perplexity is its exponential. Gives the number of tokens as well.
function masked_lm:evaluate(model, split)
   local sum, n = 0, 0
   for _, index in ipairs(scoring.batches(split.tokens, 4096)) do
      scoring.stop_if_asked()
      model:begin()
      local batch = self:mask(split.tokens:batch(index), 0)
      if batch.labels:count() > 0 then
         local losses <close> = masked_lm.loss(model, batch):tensor()
         for _, x in ipairs(losses:table()) do sum, n = sum + x, n + 1 end
      end
   end
   graph.begin "eval"
   return n > 0 and sum / n or 0, n
end

return masked_lm
