--- Building blocks of models: differentiable functions, and modules that own parameters.
--
-- A function takes and gives variables of the current micro-batch (or parameters, tensors
-- and numbers, which become variables). A module is made without knowing its name; a model
-- binds it to a parameter set under its place in the tree ("head.score.weight").
-- Everything is ragged: activations are (T, H) over the tokens of all rows, and functions
-- named row_* work on each row's own tokens, told apart by `batch.rows`.

local graph = require "ftpipe.core.graph"
local tensor = require "ftpipe.core.tensor"
local param = require "ftpipe.core.param"
local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"

local nn = {}
local apply = graph.apply

-- ==== Functions ====

---@class ftpipe.variable a value of the current micro-batch; has +, -, *, /, ^, unary minus and the methods below

local unary = {
   "neg", "exp", "log", "sqrt", "abs", "square", "reciprocal",
   "gelu", "gelu_tanh", "relu", "silu", "tanh", "sigmoid", "softmax", "log_softmax",
}
for _, name in ipairs(unary) do
   nn[name] = function(x) return apply(name, nil, x) end
end

local binary = { "add", "sub", "mul", "div", "minimum", "maximum", "greater", "less", "equal" }
for _, name in ipairs(binary) do
   nn[name] = function(a, b) return apply(name, nil, a, b) end
end

--- x to a constant power.
---@param x ftpipe.variable
---@param exponent number
function nn.pow(x, exponent) return apply("pow", { f = { exponent } }, x) end

--- factor * x + offset, for constants.
function nn.scale(x, factor, offset) return apply("scale", { f = { factor, offset or 0 } }, x) end

--- Limit to [low, high].
function nn.clamp(x, low, high) return apply("clamp", { f = { low, high } }, x) end

local function reduction(name)
   --- Over one axis (1-based), or over all elements without an axis.
   return function(x, axis, keep)
      return apply(name, { i = { axis and axis - 1 or -1, keep and 1 or 0 } }, x)
   end
end
nn.sum, nn.mean, nn.max = reduction "sum", reduction "mean", reduction "max"

--- Matrix product; transposes[1] and [2] say that an operand is used transposed.
function nn.matmul(a, b, transposes)
   local t = transposes or {}
   return apply("matmul", { i = { t[1] and 1 or 0, t[2] and 1 or 0 } }, a, b)
end

function nn.transpose(x) return apply("transpose", nil, x) end

--- Same elements in another shape; one dimension may be -1.
function nn.reshape(x, shape)
   return apply("reshape", { i = { shape[1] or 0, shape[2] or 0, shape[3] or 0, shape[4] or 0, #shape } }, x)
end

--- `length` entries of `axis` (1-based) from `first` (1-based) on.
function nn.slice(x, axis, first, length) return apply("slice", { i = { axis - 1, first - 1, length } }, x) end

--- Join along an axis (1-based).
function nn.concat(axis, ...) return apply("concat", { i = { axis - 1 } }, ...) end

--- Rows of x by 0-based i32 index.
function nn.gather(x, index) return apply("gather", nil, x, index) end

--- One element of each row by 0-based i32 index: (R,C), (R) -> (R).
function nn.pick(x, index) return apply("pick", nil, x, index) end

--- a where condition is not 0, else b.
function nn.where(condition, a, b) return apply("where", nil, condition, a, b) end

--- Affine map of rows: x W^T + b.
function nn.affine(x, weight, bias) return apply("linear", nil, x, weight, bias) end

local fused = { gelu = 0, gelu_tanh = 1, silu = 2, relu = 3 } -- as in ops/activation.h

--- Two maps with an activation between them, the second without its bias. In bf16 what lies between stays in cache.
---@param x ftpipe.variable (R, H)
---@param up ftpipe.module a linear map
---@param down ftpipe.module a linear map of what `up` gives
---@param activation string "gelu", "relu", ...
function nn.feed_forward(x, up, down, activation)
   local kind, first, second = fused[activation], up.specs.weight.shape, down.specs.weight.shape
   if kind and up.bias and graph.rounds(first[1], first[2]) and graph.rounds(second[1], second[2]) then
      return apply("feed_forward", { i = { kind } }, x, up.weight, up.bias, down.weight)
   end
   return nn.affine(apply(activation, nil, nn.affine(x, up.weight), up.bias), down.weight)
end

function nn.layer_norm_of(x, gain, bias, eps) return apply("layer_norm", { f = { eps } }, x, gain, bias) end

--- LN(dropout(x + bias) + residual) in one pass. `places`: which tokens x has lines for, where not for all.
function nn.residual_layer_norm(x, residual, norm, bias, batch, p, site, places)
   return apply("residual_layer_norm", { f = { norm.eps, p }, rows = batch.rows, site = site },
      x, residual, norm.weight, norm.bias, bias, places)
end

--- Attention within each row over merged projections (T, 3H), dropout on the probabilities -> (T, H), or (M, H) of the
-- tokens at `places` (M, 0-based, ascending) alone.
function nn.attention(qkv, batch, heads, p, site, places)
   return apply("attention", { i = { heads }, f = { 0, p }, rows = batch.rows, site = site }, qkv, places)
end

--- The same from x (T, H) and the module `qkv` that maps it to the projections. In bf16 they stay in bf16 where the processor
--- multiplies tiles of it.
function nn.self_attention(x, qkv, batch, heads, p, site, places)
   local shape = qkv.specs.weight.shape
   if graph.tiles() and graph.rounds(shape[1], shape[2]) and qkv.bias then
      return apply("self_attention", { i = { heads }, f = { 0, p }, rows = batch.rows, site = site }, x, qkv.weight, qkv.bias,
         places)
   end
   return nn.attention(qkv(x), batch, heads, p, site, places)
end

--- Zero a share p of the elements and scale the rest; only while training. `site` names the place that draws.
function nn.dropout(x, p, batch, site)
   if p == 0 or not graph.trains() then return x end
   return apply("dropout", { f = { p }, rows = batch and batch.rows, site = site }, x)
end

--- One loss per row: -log p(label); label -100 gives 0. smoothing in [0, 1).
function nn.cross_entropy(logits, labels, smoothing)
   return apply("cross_entropy", { f = { smoothing or 0 } }, logits, labels)
end

--- One loss per row for labels that do not exclude each other: the mean over labels of the binary cross-entropy; labels i32
--- (B, C), each 0 or 1. smoothing draws them towards one half.
function nn.sigmoid_cross_entropy(logits, labels, smoothing)
   return apply("sigmoid_cross_entropy", { f = { smoothing or 0 } }, logits, labels)
end

--- Which of its own tokens each row points at: logits (T, C), 0-based i32 labels (B, C) -> losses (B, C); -100 gives 0.
function nn.row_cross_entropy(logits, labels, batch, smoothing)
   return apply("row_cross_entropy", { f = { smoothing or 0 }, rows = batch.rows }, logits, labels)
end

for _, name in ipairs { "row_first", "row_sum", "row_mean", "row_max", "row_softmax" } do
   nn[name] = function(x, batch) return apply(name, { rows = batch.rows }, x) end
end

--- Run f(...) and free, at its end, what neither the way back nor its results need.
function nn.scope(f, ...)
   local mark = graph.scope_begin()
   return graph.scope_end(mark, false, f(...))
end

--- A layer of an encoder: a scope, of which, where dims.recompute asks for it, only the results are kept for the way back,
-- which runs f's operations a second time, to the same bits.
---@param dims table of the encoder
function nn.layer(dims, f, ...)
   local mark = graph.scope_begin()
   return graph.scope_end(mark, dims.recompute, f(...))
end

-- ==== Operators on variables ====

-- A number on one side needs no constant: scale takes it.
local meta = graph.variable_meta
local methods = meta.__index
function meta.__add(a, b)
   if type(b) == "number" then return nn.scale(a, 1, b) end
   if type(a) == "number" then return nn.scale(b, 1, a) end
   return nn.add(a, b)
end
function meta.__sub(a, b)
   if type(b) == "number" then return nn.scale(a, 1, -b) end
   if type(a) == "number" then return nn.scale(b, -1, a) end
   return nn.sub(a, b)
end
function meta.__mul(a, b)
   if type(b) == "number" then return nn.scale(a, b, 0) end
   if type(a) == "number" then return nn.scale(b, a, 0) end
   return nn.mul(a, b)
end
function meta.__div(a, b)
   if type(b) == "number" then return nn.scale(a, 1 / b, 0) end
   return nn.div(a, b)
end
function meta.__unm(a) return nn.scale(a, -1, 0) end
function meta.__pow(a, b)
   if type(b) ~= "number" then error("the exponent must be a constant number", 2) end
   return nn.pow(a, b)
end
for _, list in ipairs { unary, binary, { "pow", "scale", "clamp", "sum", "mean", "max", "matmul", "transpose",
   "reshape", "slice", "gather", "pick" } } do
   for _, name in ipairs(list) do methods[name] = nn[name] end
end

-- ==== Modules ====

---@class ftpipe.module
---@field specs table<string, {shape: integer[], init: string, std: number?}> parameters by their own names

local module_meta = {}
module_meta.__index = module_meta
function module_meta.__call(self, ...) return self.forward(self, ...) end

--- A module with parameters `specs` (name -> { shape, init = "normal" | "zeros" | "ones", std }) and a forward function.
---@param t table
---@return ftpipe.module
function nn.module(t)
   assert(type(t.forward) == "function", "a module needs a forward function")
   t.specs = t.specs or {}
   return setmetatable(t, module_meta)
end

function nn.is_module(x) return getmetatable(x) == module_meta end

--- Affine map from `inputs` to `outputs` channels; weight (outputs, inputs).
---@param inputs integer
---@param outputs integer
---@param opts? { std: number?, bias: boolean? }
function nn.linear(inputs, outputs, opts)
   opts = opts or {}
   local specs = { weight = { shape = { outputs, inputs }, init = "normal", std = opts.std or 0.02 } }
   if opts.bias ~= false then specs.bias = { shape = { outputs }, init = "zeros" } end
   return nn.module { kind = "linear", specs = specs,
      forward = function(self, x) return nn.affine(x, self.weight, self.bias) end }
end

--- Table of `count` vectors of `width` channels.
function nn.embedding(count, width, opts)
   return nn.module { kind = "embedding",
      specs = { weight = { shape = { count, width }, init = "normal", std = opts and opts.std or 0.02 } },
      forward = function(self, ids) return apply("embed_sum", nil, ids, self.weight) end }
end

--- Layer normalisation over the last axis.
function nn.layer_norm(width, eps)
   return nn.module { kind = "layer_norm", eps = eps or 1e-12,
      specs = { weight = { shape = { width }, init = "ones" }, bias = { shape = { width }, init = "zeros" } },
      forward = function(self, x) return nn.layer_norm_of(x, self.weight, self.bias, self.eps) end }
end

local function sorted_keys(t)
   local keys = {}
   for k in pairs(t) do keys[#keys + 1] = k end
   table.sort(keys, function(a, b)
      if type(a) == "number" and type(b) == "number" then return a < b end
      return tostring(a) < tostring(b)
   end)
   return keys
end

-- Modules of a tree in a fixed order: keys sorted, numbers by size. Layer lists count from 0 in names.
local function walk(tree, prefix, visit)
   if nn.is_module(tree) then return visit(prefix, tree) end
   for _, key in ipairs(sorted_keys(tree)) do
      local child = tree[key]
      local name = type(key) == "number" and key - 1 or key
      if type(child) == "table" then walk(child, prefix .. "." .. name, visit) end
   end
end
nn.walk = walk

--- Create the parameters of a tree of modules in `set`, named prefix.path.name; drawn from the seed by name. Without a
--- seed they are zero until `draw` is called for them: what a checkpoint has need not be drawn.
---@param seed? integer
---@return table[] params in creation order
---@return fun(p: table, seed: integer) draw gives one of them its first values
function nn.bind(tree, set, prefix, seed)
   local made, specs = {}, {}
   local function draw(p, from)
      local spec = specs[p]
      if spec.init == "normal" then p:normal(from, spec.std or 0.02)
      elseif spec.init == "ones" then p:tensor():fill(1) end
   end
   walk(tree, prefix, function(path, module)
      for _, key in ipairs(sorted_keys(module.specs)) do
         local spec = module.specs[key]
         local p = set:add(path .. "." .. key, spec.shape)
         module[key], specs[p] = p, spec
         if seed and not set:shapes_only() then draw(p, seed) end
         made[#made + 1] = p
      end
   end)
   return made, draw
end

-- ==== Optimisers and schedules ====

--- Share of the base learning rate at update k (1-based) of total. kind: constant, linear or cosine; warm-up is a
-- share of all updates, rising linearly.
function nn.schedule(kind, warmup)
   local function decay(x)
      if kind == "linear" then return math.max(0, 1 - x) end
      if kind == "cosine" then return 0.5 * (1 + math.cos(math.pi * math.min(1, x))) end
      return 1
   end
   if kind ~= "constant" and kind ~= "linear" and kind ~= "cosine" then
      error(("unknown schedule '%s': choose constant, linear or cosine"):format(tostring(kind)), 2)
   end
   return function(k, total)
      local warm = warmup * total
      local up = warm > 0 and k / warm or 1
      return math.min(up, decay(math.max(0, k - 1 - warm) / math.max(1, total - warm)))
   end
end

-- Biases and normalisation gains are not decayed (Loshchilov & Hutter's decay is for matrices).
local function decays(p) return #p:shape() >= 2 end

local optimiser = {}
optimiser.__index = optimiser

-- Trainable parameters by learning rate (by glob, the first match wins) and decay: { lr, decay, parameters... }.
local function groups_of(model, opts, lr, decay)
   local groups, order = {}, {}
   for _, p in ipairs(model:parameters()) do
      if p:trainable() then
         local rate = lr
         for _, g in ipairs(opts.groups or {}) do
            if model.glob(g.match, p:name()) then rate = g.lr; break end
         end
         local wd = decays(p) and decay or 0
         local key = rate .. "/" .. wd
         if not groups[key] then
            groups[key] = { lr = rate, decay = wd }
            order[#order + 1] = groups[key]
         end
         table.insert(groups[key], p)
      end
   end
   return order
end

local optimisers = { adamw = { lr = 1e-4, weight_decay = 0.01 }, sgd = { lr = 1e-2, weight_decay = 0 } }

local function new_optimiser(kind, model, opts)
   opts = opts or {}
   local o = setmetatable({ kind = kind, clip = opts.clip or 0, core = param.optim(kind, {
      beta1 = opts.beta1, beta2 = opts.beta2, eps = opts.eps, momentum = opts.momentum, nesterov = opts.nesterov,
   }) }, optimiser)
   local sched = opts.schedule
   if type(sched) == "string" then sched = nn.schedule(sched, opts.warmup or 0) end
   o.schedule, o.lr = sched or nn.schedule("constant", opts.warmup or 0), opts.lr or optimisers[kind].lr
   local groups = groups_of(model, opts, o.lr, opts.weight_decay or optimisers[kind].weight_decay)
   if #groups == 0 then error("nothing is trainable: every parameter is frozen", 3) end
   for _, g in ipairs(groups) do o.core:add(g, g.lr, g.decay) end
   if model.attach then model:attach(o) end
   return o
end

--- Bytes that an optimiser of this kind takes for what is trainable: gradients, moments and its marks.
---@param kind "adamw"|"sgd"
---@param opts? table as for nn.adamw
function nn.optimiser_bytes(kind, model, opts)
   local moments, total = param.moments(kind), 0
   for _, g in ipairs(groups_of(model, opts or {}, 0, 1)) do
      local count = 0
      for _, p in ipairs(g) do count = count + p:tensor():count() end
      total = total + (1 + moments) * sys.block_size(4 * count) + (moments == 2 and count // 128 or 0)
   end
   return total
end

--- AdamW with bias correction (Loshchilov & Hutter 2019). opts: lr, weight_decay (0.01; matrices only), beta1, beta2,
-- eps, clip (global norm; 0: none), schedule ("constant", "linear", "cosine" or a function), warmup (share of all
-- updates), groups = { { match = glob, lr = number }, ... }.
function nn.adamw(model, opts) return new_optimiser("adamw", model, opts) end

--- Stochastic gradient descent. opts as for adamw, and momentum, nesterov.
function nn.sgd(model, opts) return new_optimiser("sgd", model, opts) end

--- One update from the gradients gathered by update:backward. Returns learning rate and gradient norm.
function optimiser:step(update)
   local ctx = update.context
   update.stepped, update.history_size = (update.stepped or 0) + 1, ctx and #ctx.history
   if update.replayed then return update.lr, update.grad_norm end      -- its weights came with the checkpoint
   local scale = self.schedule(update.index, update.total)
   local norm, message = self.core:step(scale, self.clip)
   if not norm then
      failure.raise("numeric", ("update %d: %s"):format(update.index, message),
         "a smaller learning rate or clipping may help")
   end
   update.lr, update.grad_norm = self.lr * scale, norm
   return update.lr, norm
end

nn.tensor = tensor
return nn
