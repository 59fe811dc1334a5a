--- Cached output of a model's frozen stages.
--
-- A frozen encoder gives the same hidden states in every epoch (dropout is off in it), so they are computed once.
-- A head that reads one vector per row caches (N, H); one that reads all tokens caches (total tokens, H), as long as
-- that stays below the budget.

local fs = require "ftpipe.core.fs"
local graph = require "ftpipe.core.graph"
local json = require "ftpipe.core.json"
local pack = require "ftpipe.core.pack"
local tensor = require "ftpipe.core.tensor"
local scoring = require "ftpipe.scoring"

local features = {}
features.__index = features

features.BUDGET = 2 << 30     -- bytes in memory
features.KEPT = 512 << 20     -- bytes that are also kept for other runs

--- Bytes that the features of these tokens take.
function features.size(model, tokens, done)
   local rows, total = tokens:count()
   return 4 * model.dims.hidden * (model:features_per_row(done) and rows or total)
end

-- Where each example's rows are, around a tensor that holds them.
local function around(model, tokens, done, values)
   local per_row = model:features_per_row(done)
   local self = setmetatable({ done = done, per_row = per_row, tokens = tokens, first = {}, length = {}, store = values }, features)
   local at = 1
   for i = 1, (tokens:count()) do
      self.first[i], self.length[i] = per_row and i or at, per_row and 1 or tokens:length(i)
      at = at + tokens:length(i)
   end
   return self
end

--- What decides about them: the frozen weights, how they are put together, the tokens.
function features.identity(model, tokens, done)
   local frozen, names, tensors = {}, {}, {}
   for _, p in ipairs(model:parameters()) do
      local name = p:name()
      if name:find "^encoder%." and (done >= 2 or not name:find "^encoder%.pool%.") then
         names[#names + 1], tensors[#tensors + 1] = name, p:tensor()
      end
   end
   for i, digest in ipairs(pack.digests(tensors)) do frozen[names[i]] = digest end
   local precision = model:precision()
   return { weights = fs.sha256(json.encode(frozen)), config = model.config, pooling = model.pooling, done = done,
      precision = precision ~= "f32" and precision or nil, per_row = model:features_per_row(done), tokens = tokens:digest() }
end

--- Those that were kept: the tensor of another time.
function features.from(model, tokens, done, values) return around(model, tokens, done, values) end

--- Compute them for all examples of a data set.
---@param tick? fun(done: integer, total: integer) tokens
function features.compute(model, tokens, done, tick)
   local rows, total = tokens:count()
   local self = around(model, tokens, done, tensor.new { model:features_per_row(done) and rows or total, model.dims.hidden })
   local finished = 0
   for _, index in ipairs(scoring.batches(tokens, 4096)) do
      scoring.stop_if_asked()
      model:begin()
      local batch = tokens:batch(index)
      local h <close> = model:features(batch, done):tensor()
      local row = 1
      for _, i in ipairs(index) do
         local n = self.length[i]
         local own <close> = h:view((row - 1) * model.dims.hidden + 1, { n, model.dims.hidden })
         self.store:set_rows(self.first[i], own)
         row = row + n
      end
      finished = finished + batch.rows:tokens()
      if tick then tick(finished, total) end
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
