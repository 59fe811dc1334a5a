-- tests/lua/test_long_texts.lua - rows longer than an example: what is read of them, and that windows' logits are averaged by
-- example in training, in scores and in predictions. The model is one of the recorded tiny BERTs.

local check = require "check"
local graph = require "ftpipe.core.graph"
local model = require "ftpipe.model"
local nn = require "ftpipe.nn"
local predict = require "ftpipe.predict"
local features = require "ftpipe.features"
local finetune = require "ftpipe.step.finetune"
local scoring = require "ftpipe.scoring"
local tasks = require "ftpipe.task"
local texts = require "ftpipe.texts"
local training = require "ftpipe.training"

check.suite "long texts"

local MOST = 12
local m = model.replace_head(model.open "tests/fixtures/bert/uncased_gelu", { head = "classification", labels = { "bad", "good" },
   task = "classification" }, 3)

-- Rows of 1 to 40 words.
local function some_rows(n)
   local words = { "good", "bad", "camera", "battery", "the", "screen", "film" }
   local rows = { texts = {}, labels = {}, lines = {}, file = "f" }
   for i = 1, n do
      local list = {}
      for k = 1, 1 + i * 13 % 40 do list[k] = words[1 + (i * 5 + k * 3) % #words] end
      rows.texts[i], rows.labels[i], rows.lines[i] = table.concat(list, " "), i % 2 == 0 and "good" or "bad", i
   end
   return rows
end

local function encoded(long, stride)
   local params = { max_length = MOST, long = long, stride = stride }
   return tasks.find "classification".encode({ train = some_rows(20) }, m, params).train
end

check.test("nothing_is_cut_silently", function()
   local head, both, windows = encoded "head", encoded "head+tail", encoded "windows"
   check.equal(head.full, windows.full)
   local longer = 0
   for _, n in ipairs(head.full) do longer = longer + (n > MOST and 1 or 0) end
   check.is_true(longer > 5)
   check.equal({ head.truncated, both.truncated, windows.truncated }, { longer / 20, longer / 20, 0.0 })
   check.equal(windows.windowed, longer / 20)
   check.equal(head.parts, nil)
   check.equal(#windows.parts, 20)
   local last = head.tokens:ids(3)      -- the same head, another tail
   check.is_true(#both.tokens:ids(3) == MOST and both.tokens:ids(3)[3] == last[3] and head.full[3] > MOST)
end)

check.test("a_row_has_the_mean_of_its_windows_logits", function()
   local split = encoded "windows"
   local each, mean = scoring.logits(m, split.tokens), scoring.logits(m, split.tokens, nil, split.parts)
   check.equal(#mean, 20)
   for i, own in ipairs(split.parts) do
      for k = 1, 2 do
         local sum = 0
         for _, w in ipairs(own) do sum = sum + each[w][k] end
         check.near(mean[i][k], sum / #own, 1e-12)
      end
   end
end)

local function context()
   local ctx = training.context { step = "test", seed = 5, say = function() end, settled = function() end, card = function() end }
   function ctx:own(x)
      x.attach = function(_, optimiser) self:attach(x, optimiser) end
      return x
   end
   return ctx
end

check.test("in_training_the_loss_is_that_of_the_mean", function()
   local split = encoded "windows"
   local ctx = context()
   ctx:own(m)
   local optimiser, sum, wanted, logits, seen = nn.sgd(m, { lr = 0 }), 0, 0, scoring.logits(m, split.tokens, nil, split.parts), 0
   m:set_dropout(0)
   for update in ctx:updates(split, { batch = 7, epochs = 1, tokens_per_batch = 40 }) do
      for batch in update:batches() do
         local loss = tasks.find "classification".loss(m:forward(batch), batch, 0)
         check.equal(loss:shape(), { #batch.examples })
         for _, x in ipairs(loss:tensor():table()) do sum = sum + x end
         for _, i in ipairs(batch.examples) do
            local x, y = logits[i][split.labels[i]], logits[i][3 - split.labels[i]]
            wanted, seen = wanted + math.log(1 + math.exp(y - x)), seen + 1
         end
         update:backward(loss)
      end
      optimiser:step(update)
   end
   check.equal(seen, 20)
   check.near(sum, wanted, 1e-4)
end)

local function trained(split, changes)
   local own, params = m:copy(), {}
   for key, spec in pairs(finetune.params) do params[key] = spec.default end
   params.lr, params.epochs, params.batch, params.dropout, params.keep = 1e-2, 2, 6, 0, "last"
   for key, value in pairs(changes) do params[key] = value end
   return finetune.run(context(), { model = own, data = { train = split, labels = own.options.labels } }, params)
end

check.test("how_an_update_is_cut_changes_only_rounding", function()
   local split = encoded "windows"
   local a = trained(split, { optimizer = "sgd", tokens_per_batch = 4096 })
   local b = trained(split, { optimizer = "sgd", tokens_per_batch = 1 })
   for i, p in ipairs(a:parameters()) do
      local x, y = p:tensor():table(), b:parameters()[i]:tensor():table()
      for k = 1, #x do check.near(x[k], y[k], 2e-4, p:name()) end
   end
end)

check.test("features_of_a_frozen_encoder_are_kept_by_window", function()
   local split, before = encoded "windows", features.BUDGET
   local a = trained(split, { freeze = "loaded" })
   features.BUDGET = 0
   local b = trained(split, { freeze = "loaded" })
   features.BUDGET = before
   local x, y = a.by_name["head.out.weight"]:tensor():table(), b.by_name["head.out.weight"]:tensor():table()
   for k = 1, #x do check.near(x[k], y[k], 1e-5) end
   graph.begin "eval"
end)

check.test("predict_reads_as_training_did", function()
   for _, long in ipairs(texts.long) do
      local split, own = encoded(long, 3), m:copy()
      own.own = { max_length = MOST, long = long, stride = 3 }
      local all, cut = predict.open(own):probabilities(split.texts)
      local wanted = scoring.probabilities(own, split.tokens, nil, split.parts)
      for i, p in ipairs(wanted) do check.near(all[i][1], p[1], 1e-6, long) end
      check.equal(cut > 0, long ~= "windows", long)
   end
end)

check.test("pairs_are_not_read_in_windows", function()
   local rows = some_rows(4)
   rows.pairs = rows.texts
   check.error_contains("long = windows is for single texts", texts.encode, "train", rows, m,
      { max_length = MOST, long = "windows" })
end)

-- What evaluate does with more training rows than it scores.
check.test("some_rows_are_scored_as_among_all", function()
   local task = tasks.find "classification"
   for _, long in ipairs { "head", "windows" } do
      local split = encoded(long)
      local all, index = task.predict(m, split), { 2, 3, 11, 20 }
      local few = task.predict(m, task.some(split, index))
      check.equal(#few.probabilities, 4)
      for k, i in ipairs(index) do
         check.near(few.probabilities[k][2], all.probabilities[i][2], 1e-6)
         check.near(few.losses[k], all.losses[i], 1e-6)
      end
   end
end)

check.test("evaluate_draws_training_rows_where_there_are_many", function()
   local evaluate = require "ftpipe.step.evaluate"
   local task, before = tasks.find "classification", evaluate.TRAIN_ROWS
   local data = task.encode({ train = some_rows(20), test = some_rows(8) }, m, { max_length = MOST, long = "windows" })
   data.task = "classification"
   local function result(most)
      evaluate.TRAIN_ROWS = most
      local out = evaluate.run({ seed = 4, step = "e" }, { data = data, models = { two = m } }, { resamples = 100 })
      evaluate.TRAIN_ROWS = before
      return out.evaluation, out.recorded
   end
   local full, few = result(20), result(7)
   local _, recorded = result(7)
   check.equal(full.scored, nil)
   check.equal(few.scored, { train = 7 })
   check.equal(#recorded.models.two.train.predicted, 7)
   check.equal(#recorded.scored.train, 7)
   check.equal({ few.data.rows, few.data.counts, few.models.two.test }, { full.data.rows, full.data.counts, full.models.two.test })
   check.equal(few.baseline.train, full.baseline.train)
   check.is_true(few.models.two.train.loss ~= full.models.two.train.loss)
end)

check.done()
