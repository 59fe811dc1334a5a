-- tests/lua/test_steady.lua - two hundred updates of varying length, counted: no memory from the system, no panel made by the
-- library, a memory map that stays and a Lua heap that stands still.

local check = require "check"
local graph = require "ftpipe.core.graph"
local fs = require "ftpipe.core.fs"
local host = require "ftpipe.core.host"
local sys = require "ftpipe.core.sys"
local text = require "ftpipe.core.text"
local model = require "ftpipe.model"
local nn = require "ftpipe.nn"
local training = require "ftpipe.training"

check.suite "steady"

local CONFIG = { model_type = "bert", vocab_size = 90, hidden_size = 64, num_hidden_layers = 2, num_attention_heads = 2,
   intermediate_size = 128, max_position_embeddings = 64 }
local WARM, UPDATES, BATCH = 40, 240, 8

-- n rows of `least` to 60 tokens, so that nearly every update has a number of tokens of its own.
local function split(n, least)
   local tokens, labels, random = text.tokens(), {}, check.random(5)
   for i = 1, n do
      local ids = {}
      for k = 1, least + random(61 - least) do ids[k] = 5 + random(80) end
      tokens:add(ids)
      labels[i] = i % 2 + 1
   end
   return { n = n, tokens = tokens, labels = labels }
end

-- Trains; `each(k, tokens)` is called between updates.
local function train(data, precision, budget, updates, each)
   local m = model.replace_head(model.blank(CONFIG), { head = "classification", pool = "pooler", labels = { "a", "b" } }, 1)
   local ctx = training.context { step = "steady", seed = 2 }
   ctx:compute_in(precision)
   local opt = nn.adamw(m, { lr = 1e-3, clip = 1 })
   for update in ctx:updates(data, { batch = BATCH, epochs = 1000, updates = updates, tokens_per_batch = budget }) do
      for batch in update:batches() do update:backward(nn.cross_entropy(m:forward(batch), batch.labels)) end
      opt:step(update)
      each(update.index, update.tokens)
   end
   graph.begin "eval"
   opt.core:close()
end

-- What the process has mapped, without the heap and the stack, whose ends the C library moves; "" where no system tells, and
-- under a sanitizer, known by its terabytes of shadow, whose allocator keeps what was freed.
local function mapped()
   local out = {}
   for line in (fs.read "/proc/self/maps" or ""):gmatch "[^\n]+" do
      local from, to = line:match "^(%x+)%-(%x+)"
      if tonumber(to, 16) - tonumber(from, 16) > 1 << 40 then return "" end
      if not line:find("[heap]", 1, true) and not line:find("[stack]", 1, true) then out[#out + 1] = line:match "^%S+" end
   end
   return table.concat(out, "\n")
end

-- With `alone` the Lua collector rests meanwhile, so that a block that is not let go of at once is missed.
local function steady(precision, budget, alone)
   local data = split(400, 2)
   -- The longest batch there can be shows what a run needs at most.
   train(split(BATCH, 60), precision, budget, 2, function() end)
   local map, same_map
   local at, seen, kinds = { [WARM] = {}, [UPDATES] = {} }, {}, 0
   for tokens = 1, 60 * BATCH do seen[tokens] = false end     -- what is measured is not what measures
   for _, figures in pairs(at) do figures.system, figures.prepared, figures.heap, figures.live = 0, 0, 0.0, 0 end
   host.collectgarbage()
   if alone then host.collectgarbage "stop" end
   train(data, precision, budget, UPDATES, function(k, tokens)
      if not seen[tokens] then seen[tokens], kinds = true, kinds + 1 end
      if k ~= WARM and k ~= UPDATES then return end
      if k == WARM then map = mapped() else same_map = mapped() == map end
      if not alone then
         host.collectgarbage()
         host.collectgarbage()
      end
      local figures = at[k]
      figures.system, figures.prepared, figures.heap = sys.memory().system, sys.prepared(), host.collectgarbage "count"
      figures.live = sys.memory().live
   end)
   host.collectgarbage "restart"
   check.is_true(kinds > 100, ("only %d numbers of tokens"):format(kinds))
   local first, last = at[WARM], at[UPDATES]
   check.equal(last.system - first.system, 0, "blocks from the system")
   check.equal(last.prepared - first.prepared, 0, "panels prepared")
   check.is_true(same_map, "the memory map changed")
   if alone then return end
   check.is_true(last.live - first.live <= 1024, ("%d bytes more are held"):format(last.live - first.live))
   check.is_true(last.heap - first.heap <= 1, ("the Lua heap grew by %.0f bytes"):format((last.heap - first.heap) * 1024))
end

check.test("two_hundred_updates_take_nothing_new", function() steady("f32", 4096) end)
check.test("nor_do_updates_of_several_micro_batches", function() steady("f32", 100) end)
check.test("nor_does_that_need_the_collector", function() steady("f32", 100, true) end)
check.test("nor_do_products_in_bf16", function()
   if pcall(graph.begin, "eval", 0, 0, "bf16") then steady("bf16", 4096) end
end)

check.done()
