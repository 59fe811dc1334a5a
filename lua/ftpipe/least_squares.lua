--- The affine map of least squared distance: gathered batch by batch as normal equations, solved by Cholesky's factors.

local graph = require "ftpipe.core.graph"
local nn = require "ftpipe.nn"
local tensor = require "ftpipe.core.tensor"

local least_squares = {}
least_squares.__index = least_squares

--- From `width` to `out` channels.
function least_squares.new(width, out)
   return setmetatable({ n = width + 1, out = out, rows = 0, gram = tensor.new { width + 1, width + 1 },
      cross = tensor.new { width + 1, out } }, least_squares)
end

--- Rows x (M, width) and what they should give, y (M, out); tensors that are not kept.
function least_squares:add(x, y)
   graph.begin "eval"
   local m = x:shape()[1]
   local one = nn.concat(2, x, tensor.new({ m, 1 }):fill(1))
   self.gram:copy(nn.add(self.gram, nn.matmul(one, one, { true })):tensor())
   self.cross:copy(nn.add(self.cross, nn.matmul(one, y, { true })):tensor())
   self.rows = self.rows + m
   graph.begin "eval"
end

-- Lower factor of a symmetric positive matrix, in place, as flat rows.
local function factorise(a, n)
   for i = 0, n - 1 do
      local ri = i * n
      for j = 0, i do
         local rj, sum = j * n, a[ri + j + 1]
         for k = 1, j do sum = sum - a[ri + k] * a[rj + k] end
         a[ri + j + 1] = i == j and math.sqrt(math.max(sum, 1e-30)) or sum / a[rj + j + 1]
      end
   end
end

-- Solve L L' x = b for one right side.
local function solve(l, n, b)
   for i = 0, n - 1 do
      local sum, row = b[i + 1], i * n
      for k = 1, i do sum = sum - l[row + k] * b[k] end
      b[i + 1] = sum / l[row + i + 1]
   end
   for i = n - 1, 0, -1 do
      local x = b[i + 1] / l[i * n + i + 1]
      b[i + 1] = x
      local row = i * n
      for k = 1, i do b[k] = b[k] - l[row + k] * x end
   end
end

--- Weight (out, width) and bias (out). ridge: added to the diagonal, as a share of its mean.
---@param ridge number
function least_squares:solution(ridge)
   local n, a, cross = self.n, self.gram:table(), self.cross:table()
   local trace = 0
   for i = 0, n - 1 do trace = trace + a[i * n + i + 1] end
   for i = 0, n - 1 do a[i * n + i + 1] = a[i * n + i + 1] + ridge * trace / n end
   factorise(a, n)
   local weight, bias, width = {}, {}, n - 1
   for o = 1, self.out do
      local b = {}
      for i = 0, n - 1 do b[i + 1] = cross[i * self.out + o] end
      solve(a, n, b)
      table.move(b, 1, width, (o - 1) * width + 1, weight)
      bias[o] = b[n]
   end
   return tensor.from(weight, { self.out, width }), tensor.from(bias)
end

return least_squares
