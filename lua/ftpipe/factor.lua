--- Embeddings of fewer channels that give what a larger table gives: BERT's embeddings as ELECTRA's, which are normalised at
-- their own width and brought to the encoder's by an affine map.
--
-- What the layers of the large encoder see of a token (its embeddings after LayerNorm, mean over some positions) is projected
-- on the directions of largest variance, tokens weighted by the square root of their supposed frequency (Zipf: 1 / rank).
-- ELECTRA's LayerNorm would take away each vector's mean and length, so none has any: a vector is written in a basis
-- orthogonal to (1, ..., 1), and one channel of that basis, which the map does not read, fills all up to the same length.

local graph = require "ftpipe.core.graph"
local tensor = require "ftpipe.core.tensor"
local nn = require "ftpipe.nn"

local factor = {}

local ITERATIONS = 30      -- of the subspace: nearer the variance changes in the fifth digit
local PLACES = { 1, 4, 9, 16, 25, 36, 49, 64, 81, 100 }
local COMMON = 400         -- tokens whose mean tells what a position adds

local function filled(n, value) return tensor.new({ n }, "i32"):fill(value) end

-- Embeddings after LayerNorm (N, H) of tokens (0-based) at one position.
local function seen(embed, ids, place, kind)
   local n = #ids
   return nn.scope(function()
      return embed.norm(graph.apply("embed_sum", nil, tensor.from(ids, nil, "i32"), embed.word.weight, filled(n, place),
         embed.position.weight, filled(n, kind), embed.type.weight))
   end)
end

-- Their mean over some positions.
local function seen_on_average(embed, ids, positions)
   local sum, n
   for _, place in ipairs(PLACES) do
      if place < positions then
         sum = sum and nn.scope(function() return sum + seen(embed, ids, place, 0) end) or seen(embed, ids, place, 0)
         n = (n or 0) + 1
      end
   end
   return nn.scale(sum, 1 / n)
end

local function shares(ids)
   local out, total = {}, 0
   for k, id in ipairs(ids) do
      out[k] = 1 / math.sqrt(id + 1)
      total = total + out[k]
   end
   for k = 1, #ids do out[k] = out[k] / total end
   return out
end

-- Columns of a flat (H, r) made orthonormal, one after the other (modified Gram-Schmidt).
local function orthonormal(u, h, r)
   for a = 1, r do
      for b = 1, a - 1 do
         local dot = 0
         for i = 0, h - 1 do dot = dot + u[i * r + a] * u[i * r + b] end
         for i = 0, h - 1 do u[i * r + a] = u[i * r + a] - dot * u[i * r + b] end
      end
      local norm = 0
      for i = 0, h - 1 do norm = norm + u[i * r + a] ^ 2 end
      norm = math.sqrt(norm)
      for i = 0, h - 1 do u[i * r + a] = norm > 1e-20 and u[i * r + a] / norm or 0 end
   end
   return u
end

--- The r directions of largest variance of a symmetric matrix (H, H), and the share of the variance that they hold.
---@param gram userdata tensor
function factor.directions(gram, r)
   local h, values = gram:shape()[1], gram:table()
   local start, trace = {}, 0
   for i = 0, h - 1 do
      trace = trace + values[i * h + i + 1]
      for a = 1, r do start[i * r + a] = values[i * h + a] + (i + 1 == a and 1e-6 or 0) end
   end
   local u = tensor.from(orthonormal(start, h, r), { h, r })
   for _ = 1, ITERATIONS do
      graph.begin "eval"
      u = tensor.from(orthonormal(nn.matmul(gram, u):tensor():table(), h, r), { h, r })
   end
   graph.begin "eval"
   local kept = nn.sum(nn.mul(nn.matmul(gram, u), u)):tensor():table()[1]
   return u, trace > 0 and kept / trace or 1
end

-- Rows of an orthonormal basis (E - 1, E) of what is orthogonal to (1, ..., 1): Helmert's.
local function helmert(e)
   local out = {}
   for j = 1, e - 1 do
      local a = 1 / math.sqrt(j * (j + 1))
      for k = 1, e do out[(j - 1) * e + k] = k <= j and a or k == j + 1 and -j * a or 0 end
   end
   return tensor.from(out, { e - 1, e })
end

-- What each position (or, at position 1, type) adds to what is seen of common tokens (n, H).
local function additions(embed, ids, weights, base, n, at)
   local out = {}
   for k = 0, n - 1 do
      graph.begin "eval"
      local place, kind = at(k)
      local row = nn.matmul(weights, nn.sub(seen(embed, ids, place, kind), base)):tensor():table()
      table.move(row, 1, #row, #out + 1, out)
   end
   return tensor.from(out, { n, #out // n })
end

--- embed: the modules of BERT's embeddings; ids: tokens that stay (0-based); e: channels. Gives tensors by the name of the
-- parameter below encoder.embed, and the share of the variance that is kept.
---@param ids integer[]
---@return table<string, userdata>, number
function factor.fit(embed, ids, positions, types, e)
   local r, n, weights = e - 2, #ids, shares(ids)
   graph.begin "eval"
   local x = seen_on_average(embed, ids, positions):tensor():clone()
   local w = tensor.from(weights, { 1, n })
   local mean = nn.matmul(w, x):tensor():clone()
   local weighted = nn.mul(nn.sub(x, mean), nn.sqrt(nn.reshape(w, { n, 1 })))
   local gram = nn.matmul(weighted, weighted, { true }):tensor():clone()
   local u, kept = factor.directions(gram, r)

   graph.begin "eval"
   local basis = helmert(e)
   local c = nn.matmul(nn.sub(x, mean), u)
   local squares = nn.sum(nn.square(c), 2, true)
   local length = 1.0001 * nn.max(squares):tensor():table()[1]
   local out = { ["word.weight"] = nn.matmul(nn.concat(2, c, nn.sqrt(nn.scale(squares, -1, length))), basis):tensor():clone() }
   out["project.weight"] = nn.matmul(u, nn.slice(basis, 1, 1, r)):tensor():clone()
   out["project.bias"] = mean:view(1, { mean:count() }):clone()
   out["norm.weight"] = tensor.new({ e }):fill(math.sqrt(length / e))
   out["norm.bias"] = tensor.new({ e }):fill(0)

   local common, few = table.move(ids, 1, math.min(COMMON, n), 1, {}), {}
   local of_common = shares(common)
   for k = 1, #common do few[k] = k end
   local base, cw = x:take_rows(few), tensor.from(of_common, { 1, #common })
   local function put(name, count, at)
      local added = additions(embed, common, cw, base, count, at)
      graph.begin "eval"
      out[name] = nn.matmul(nn.matmul(added, u), nn.slice(basis, 1, 1, r)):tensor():clone()
   end
   put("position.weight", positions, function(k) return k, 0 end)
   put("type.weight", types, function(k) return 1, k end)
   return out, kept
end

return factor
