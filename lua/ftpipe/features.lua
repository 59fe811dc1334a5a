--- Cached output of a model's frozen stages.
--
-- A frozen encoder gives the same hidden states in every epoch (dropout is off in it), so they are computed once.
-- A head that reads one vector per row caches (N, H); one that reads all tokens caches (total tokens, H), as long as
-- that stays below the budget.

local graph = require "ftpipe.core.graph"
local tensor = require "ftpipe.core.tensor"
local scoring = require "ftpipe.scoring"

local features = {}
features.__index = features

features.BUDGET = 2 << 30     -- bytes

--- Bytes that the features of these tokens take.
function features.size(model, tokens, done)
   local rows, total = tokens:count()
   return 4 * model.dims.hidden * (model:features_per_row(done) and rows or total)
end

--- Compute them for all examples of a data set.
---@param tick? fun(done: integer, total: integer)
function features.compute(model, tokens, done, tick)
   local rows, total = tokens:count()
   local per_row = model:features_per_row(done)
   local self = setmetatable({ done = done, per_row = per_row, tokens = tokens, first = {}, length = {} }, features)
   self.store = tensor.new { per_row and rows or total, model.dims.hidden }
   local at = 1
   for i = 1, rows do
      self.first[i], self.length[i] = per_row and i or at, per_row and 1 or tokens:length(i)
      at = at + tokens:length(i)
   end
   local finished = 0
   for _, index in ipairs(scoring.batches(tokens, 4096)) do
      graph.begin("eval")
      local batch = tokens:batch(index)
      local h = model:features(batch, done):tensor()
      local row = 1
      for _, i in ipairs(index) do
         local n = self.length[i]
         self.store:set_rows(self.first[i], h:view((row - 1) * model.dims.hidden + 1, { n, model.dims.hidden }))
         row = row + n
      end
      finished = finished + #index
      if tick then tick(finished, rows) end
   end
   graph.begin("eval")
   return self
end

--- The features of some examples, end to end.
function features:take(index)
   if self.per_row then return self.store:take_rows(index) end
   return self.tokens:take(self.store, index)
end

return features
