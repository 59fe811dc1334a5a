-- tests/lua/test_precision.lua - training with products in bf16: close to float32, refused where it cannot be had,
-- recorded, and used in evaluation too. The model is small and of random weights, but wide enough for bf16.

local check = require "check"
local graph = require "ftpipe.core.graph"
local sys = require "ftpipe.core.sys"
local text = require "ftpipe.core.text"
local finetune = require "ftpipe.step.finetune"
local model = require "ftpipe.model"
local nn = require "ftpipe.nn"
local scoring = require "ftpipe.scoring"
local training = require "ftpipe.training"

check.suite "precision"

local config = { model_type = "bert", vocab_size = 100, hidden_size = 64, num_hidden_layers = 2, num_attention_heads = 4,
   intermediate_size = 128, max_position_embeddings = 64, type_vocab_size = 2, hidden_act = "gelu",
   hidden_dropout_prob = 0.1, attention_probs_dropout_prob = 0.1 }

local function fresh() return model.random(config, { head = "classification", labels = { "a", "b" } }, 3) end

-- n rows of 3 to 12 tokens whose label is told by one token.
local function split(n)
   local tokens, labels = text.tokens(), {}
   for i = 1, n do
      local ids = { 2, i % 2 == 0 and 20 or 30 }
      for k = 1, i * 7 % 10 do ids[#ids + 1] = 5 + (i * 31 + k * 17) % 60 end
      ids[#ids + 1] = 3
      tokens:add(ids)
      labels[i] = i % 2 + 1
   end
   return { name = "train", n = n, tokens = tokens, labels = labels }
end

-- Losses of the updates, the settled parameters, the context and the model.
local function train(precision)
   local params, losses, settled = {}, {}, nil
   for key, spec in pairs(finetune.params) do params[key] = spec.default end
   params.lr, params.epochs, params.batch, params.precision = 1e-3, 2, 16, precision
   local ctx = training.context { step = "test", seed = 5, fingerprint = "machine" }
   function ctx:own(x)
      x.attach = function(_, optimiser) self:attach(x, optimiser) end
      return x
   end
   function ctx.say() end
   function ctx.settled(_, p) settled = p end
   function ctx.card() end
   function ctx.on_update(entry) losses[#losses + 1] = entry.loss end
   local m = finetune.run(ctx, { model = fresh(), data = { train = split(64) } }, params)
   return losses, settled, ctx, m
end

local function message_of(f, ...)
   local ok, e = pcall(f, ...)
   check.is_true(not ok, "it did not fail")
   return type(e) == "table" and e.message or tostring(e)
end

local library = sys.product().name
local there = sys.bf16()

if there then
   check.test("training_in_bf16_stays_close_to_float32_and_differs_from_it", function()
      local f32, bf16 = train "f32", train "bf16"
      local differ = false
      check.equal(#bf16, #f32)
      for i, loss in ipairs(f32) do
         check.is_true(math.abs(bf16[i] - loss) < 0.02, ("update %d: %.5f and %.5f"):format(i, bf16[i], loss))
         differ = differ or bf16[i] ~= loss
      end
      check.is_true(differ, "the same losses: bf16 was not used")
   end)

   check.test("training_in_bf16_repeats_its_bits_on_any_number_of_threads", function()
      local threads = sys.threads()
      sys.threads(1)
      local one = train "bf16"
      sys.threads(2)
      local two = train "bf16"
      sys.threads(threads)
      check.equal(one, two)
   end)

   check.test("auto_is_bf16_here_and_is_recorded", function()
      local _, settled, ctx = train "auto"
      check.equal(settled.precision, "bf16")
      check.is_true(ctx.fingerprint:find("bf16", 1, true) ~= nil, "the fingerprint is " .. ctx.fingerprint)
   end)

   check.test("gradients_of_a_map_are_those_of_rounded_operands", function()
      local m = fresh()
      local data = split(8)
      local function gradient(precision)
         local opt = nn.sgd(m, { lr = 0 })
         local update = { index = 1, total = 1 }
         graph.begin("train", 1, 1, precision)
         local batch = data.tokens:batch { 1, 2, 3, 4 }
         graph.backward(nn.sum(nn.square(m:forward(batch))), 1)
         opt:step(update)
         opt.core:close()
         return update.grad_norm
      end
      local f32, bf16 = gradient "f32", gradient "bf16"
      check.is_true(f32 ~= bf16 and math.abs(bf16 / f32 - 1) < 0.02, ("norms %.6f and %.6f"):format(f32, bf16))
   end)

   -- Largest difference of probabilities.
   local function apart(p, q)
      local most = 0
      for i in ipairs(p) do
         for k in ipairs(p[i]) do most = math.max(most, math.abs(p[i][k] - q[i][k])) end
      end
      return most
   end

   check.test("what_was_tuned_in_bf16_is_evaluated_in_it_and_in_float32_where_it_is_missing", function()
      local data = split(8)
      local _, _, _, m = train "bf16"
      check.equal(m:precision(), "bf16")
      local here = scoring.probabilities(m, data.tokens)
      sys.product "openblas"
      local kind, elsewhere = m:precision(), scoring.probabilities(m, data.tokens)
      sys.product(library)
      check.equal(kind, "f32")
      local difference = apart(here, elsewhere)
      check.is_true(difference > 1e-6 and difference < 0.01, "apart by " .. difference)
      m:compute_in "f32"
      check.is_true(apart(scoring.probabilities(m, data.tokens), elsewhere) < 1e-5)
   end)

   check.test("a_row_gets_the_same_probabilities_in_any_batch", function()
      local data = split(40)
      local _, _, _, m = train "bf16"
      local together = scoring.probabilities(m, data.tokens)
      for i = 1, 40 do
         local alone = text.tokens()
         local batch <close> = data.tokens:batch { i }.tokens
         alone:add(batch:table())
         check.is_true(apart(scoring.probabilities(m, alone), { together[i] }) < 1e-6, "row " .. i)
      end
   end)
else
   check.test("auto_is_float32_here", function()
      local _, settled, ctx = train "auto"
      check.equal(settled.precision, "f32")
      check.equal(ctx.fingerprint, "machine")
   end)
end

check.test("without_bf16_it_is_refused_with_the_reason_and_auto_is_float32", function()
   assert(sys.product "openblas")
   local none, why = sys.bf16()
   local message = message_of(train, "bf16")
   local _, settled = train "auto"
   sys.product(library)
   check.equal(none, nil)
   check.is_true(why:find("OpenBLAS", 1, true) ~= nil, why)
   check.equal(message, why)
   check.equal(settled.precision, "f32")
end)

check.done()
