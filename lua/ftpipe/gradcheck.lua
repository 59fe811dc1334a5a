--- Check a function's gradients against finite differences: for heads and losses of one's own.

local graph = require "ftpipe.core.graph"
local param = require "ftpipe.core.param"

local gradcheck = {}

local function total(values)
   local sum = 0
   for _, x in ipairs(values) do sum = sum + x end
   return sum
end

--- f(variables...) must give a vector (one value per row). inputs: shapes or tensors. Compares every gradient of the sum
-- with central differences; raises an error that names input and element when they differ by more than the tolerance
-- (relative to the largest gradient). Returns the largest relative difference.
---@param f function
---@param inputs table[] shapes ({2,3}) or tensors to differentiate by
---@param opts? { step: number?, tolerance: number?, seed: integer? }
function gradcheck.check(f, inputs, opts)
   opts = opts or {}
   local h, tolerance, seed = opts.step or 1e-2, opts.tolerance or 1e-2, opts.seed or 1
   local set, ps = param.set(), {}
   for i, input in ipairs(inputs) do
      local shape = type(input) == "table" and input or input:shape()
      ps[i] = set:add("input_" .. i, shape)
      if type(input) == "table" then ps[i]:normal(seed, 1) else ps[i]:tensor():copy(input) end
   end
   local optim = param.optim("sgd")
   optim:add(ps, 0, 0)
   local function value(mode)
      graph.begin(mode, seed, 0)
      local variables = {}
      for i, p in ipairs(ps) do variables[i] = graph.variable(p) end
      return f(table.unpack(variables))
   end
   graph.backward(value "train", 1)
   local worst = 0
   for i, p in ipairs(ps) do
      local grad = p:grad() and p:grad():table() or {}
      local t = p:tensor()
      local scale = 1e-3
      for _, g in ipairs(grad) do scale = math.max(scale, math.abs(g)) end
      for k = 1, t:count() do
         local x = t:get(k)
         t:set(k, x + h)
         local up = total(value("train"):tensor():table())
         t:set(k, x - h)
         local down = total(value("train"):tensor():table())
         t:set(k, x)
         local want = (up - down) / (2 * h)
         local off = math.abs(want - (grad[k] or 0)) / scale
         worst = math.max(worst, off)
         if off > tolerance then
            error(("gradcheck: input %d, element %d: gradient %g, finite difference %g"):format(i, k, grad[k] or 0, want), 2)
         end
      end
   end
   graph.begin("eval")
   optim:close()
   return worst
end

return gradcheck
