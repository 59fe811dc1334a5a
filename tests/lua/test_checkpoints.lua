-- tests/lua/test_checkpoints.lua - training that is stopped between updates, or while it scores, ends with the same weights; so
-- does one whose last checkpoint was lost. The model is one of the recorded tiny BERTs.

local check = require "check"
local fs = require "ftpipe.core.fs"
local sys = require "ftpipe.core.sys"
local text = require "ftpipe.core.text"
local failure = require "ftpipe.failure"
local finetune = require "ftpipe.step.finetune"
local model = require "ftpipe.model"
local scoring = require "ftpipe.scoring"
local training = require "ftpipe.training"

check.suite "checkpoints"

local n = 0
local function directory()
   n = n + 1
   return ("%s/checkpoints-%d-%d"):format(sys.getenv "TMPDIR" or "/tmp", sys.pid(), n)
end

local function split(name, rows)
   local tokens, labels = text.tokens(), {}
   for i = 1, rows do
      tokens:add { 2, i % 2 == 0 and 20 or 30, 5 + i * 7 % 60, 3 }
      labels[i] = i % 2 + 1
   end
   return { name = name, n = rows, tokens = tokens, labels = labels }
end

local data = { train = split("train", 24), valid = split("valid", 10) }

-- Train in a directory, as the runner would; gives the model, the log's update numbers and the context.
local function train(dir, stop)
   local m = model.replace_head(model.open "tests/fixtures/bert/three_layers", { head = "classification", labels = { "a", "b" },
      pool = "pooler" }, 3)
   local updates = {}
   local ctx = training.context { step = "test", seed = 5, dir = dir, interval = 0 }
   function ctx:own(x)
      x.attach = function(_, optimiser) self:attach(x, optimiser) end
      return x
   end
   function ctx.say() end
   function ctx.settled() end
   function ctx.card() end
   function ctx.on_update(entry)
      updates[#updates + 1] = entry.step
      if stop and stop.after == entry.step then failure.raise("interrupted", "stopped") end
   end
   local params = {}
   for key, spec in pairs(finetune.params) do params[key] = spec.default end
   params.lr, params.epochs, params.batch = 1e-3, 4, 8
   local score, calls = scoring.score, 0
   scoring.score = function(...)
      calls = calls + 1
      if stop and stop.scoring == calls then failure.raise("interrupted", "stopped") end
      return score(...)
   end
   local ok, result = pcall(finetune.run, ctx, { model = m, data = data }, params)
   scoring.score = score
   if not ok and not failure.is(result) then error(result, 0) end
   return ok and result, updates, ctx
end

local function bytes(m)
   local parts = {}
   for _, p in ipairs(m:parameters()) do parts[#parts + 1] = p:tensor():bytes() end
   return table.concat(parts)
end

local dir = directory()
local whole, all = train(dir)
local wanted = bytes(whole)

check.test("stopped_while_it_scores_the_update_before_is_not_lost", function()
   for k = 1, 4 do
      local at = directory()
      local stopped, before, ctx = train(at, { scoring = k })
      check.is_true(not stopped and ctx:save_pending(), "the update is saved")
      local m, after = train(at)
      check.equal(after[1], 3 * k, "the first update after going on")
      check.equal(#before + #after, #all, "each update is told once")
      check.is_true(bytes(m) == wanted, "the weights have other bits")
      fs.remove(at)
   end
end)

check.test("nothing_is_saved_in_the_middle_of_an_update", function()
   local at = directory()
   local _, _, ctx = train(at, { after = 4 })
   check.equal(ctx:save_pending(), false)
   fs.remove(at)
end)

check.test("a_checkpoint_that_cannot_be_read_gives_way_to_the_one_before", function()
   local at = directory()
   train(at, { after = 8 })
   check.is_true(fs.stat(at .. "/before.safetensors") == "file", "there are two")
   local path = at .. "/checkpoint.safetensors"
   assert(fs.write(path, assert(fs.read(path)):sub(1, 5000)))
   local m, after = train(at)
   check.equal(after[1], 7, "the first update after going on")
   check.is_true(bytes(m) == wanted, "the weights have other bits")
   assert(fs.write(path, "no checkpoint"))
   assert(fs.write(at .. "/before.safetensors", "neither"))
   check.error_contains("checkpoint.safetensors", function()
      local ctx = training.context { dir = at }
      ctx.optimisers = {}
      ctx:restore()
   end)
   fs.remove(at)
end)

fs.remove(dir)

check.done()
