-- tests/lua/test_verdict.lua - recorded predictions and small made-up evaluations get the right sentences.

if package then package.path = "lua/?.lua;tests/lua/?.lua;" .. package.path end

local check = require "check"
local verdict = require "ftpipe.verdict"

local function gather(recorded, opts)
   return require("ftpipe.evaluation").gather(recorded, require("ftpipe.task.classification").measure, opts)
end

check.suite "verdict"

local function judged(name)
   local recorded = check.json("tests/fixtures/verdict/" .. name .. ".json")
   local evaluation = gather(recorded, { random = check.random(7) })
   return verdict.sentences(evaluation), evaluation
end

local function codes(sentences)
   local out = {}
   for i, s in ipairs(sentences) do out[i] = s.about and s.code .. ":" .. s.about or s.code end
   return out
end

local function find(sentences, code, about)
   for _, s in ipairs(sentences) do
      if s.code == code and (not about or s.about == about) then return s end
   end
   error("no sentence " .. code, 2)
end

local function says(sentences, code, phrases, about)
   local text = find(sentences, code, about).text
   for _, phrase in ipairs(phrases) do check.contains(text, phrase, code) end
end

-- A difference as the paired bootstrap returns it.
local function difference(value, low, high)
   return { accuracy = { value = value, mean = value, low = low, high = high, level = 0.95 } }
end

local function scores(accuracy, rows, interval)
   return { accuracy = accuracy, rows = rows or 500, interval = interval and {
      accuracy = { value = accuracy, low = interval[1], high = interval[2], level = 0.95 },
      mcc = { value = interval[3], low = interval[4], high = interval[5], level = 0.95 },
   } }
end

-- ------------------------------------------------------------ recorded predictions

check.test("shuffled labels: nothing learnt, check the labels, over-fitted", function()
   local s = judged "shuffled"
   check.equal(codes(s), { "learnt_nothing", "check_labels", "gap", "gap_since", "overfit_since:two",
      "no_difference:two_head" })
   says(s, "learnt_nothing", { 'not measurably better than always answering "negative"', "49.4 against 45.4 points",
      "learnt nothing from these labels" })
   says(s, "check_labels", { "fits its training rows all the same (97.0 points)", "labels shuffled?", "text column" })
   says(s, "gap", { "97.0 points of accuracy on train and 49.4 on test: 47.6 points apart" })
   says(s, "overfit_since", { "since epoch 2", "lowest after epoch 1 (0.694)", "Stop after epoch 1" })
end)

check.test("leaked rows: how much the test score is inflated", function()
   local s, evaluation = judged "leaked"
   check.equal(codes(s), { "leak", "leak_valid", "beats_majority", "gap", "stage_two_gain:two_head" })
   says(s, "leak", { "150 of 450 test rows (33.3 %) are also in train", "the test score of 82.4 is too good",
      "not in train score 74.0", "inflated by 8.4 points", "(shared rows: 99.3)" })
   check.near(find(s, "leak").value, 100 * (evaluation.models.two.test.accuracy - evaluation.leak.clean), 1e-9)
   says(s, "leak_valid", { "1 validation row is also in train" })
   check.equal(find(s, "leak").level, "warning")
end)

check.test("a tie: no measurable difference, and exactly equal scores are called so", function()
   local s = judged "tie"
   check.equal(codes(s), { "beats_majority", "gap_small", "still_improving:two", "no_difference:two_head",
      "no_difference:two_one" })
   says(s, "no_difference", { "No measurable difference between two stages and the head alone", "95 % interval -" },
      "two_head")
   says(s, "no_difference", { "two stages and one stage: both score ", "(95 % interval 0.0 to 0.0)" }, "two_one")
end)

check.test("a clear gain: what stage two brought, and two stages over one", function()
   local s = judged "gain"
   check.equal(codes(s), { "beats_majority", "gap_small", "still_improving:two", "stage_two_gain:two_head",
      "two_stages_gain:two_one", "truncated", "duplicates" })
   says(s, "stage_two_gain", { "Stage two brought 21.5 points of accuracy over the head alone (68.7 to 90.2;" })
   says(s, "two_stages_gain", { "Two stages brought 10.5 points of accuracy over one stage (79.7 to 90.2;" })
   says(s, "truncated", { "8.0 % of the rows were cut at 128 tokens" })
   says(s, "duplicates", { "12 of 300 training rows", "(4.0 %)" })
end)

check.test("an over-fitted run: the gap, and since which epoch", function()
   local s = judged "overfit"
   check.equal(codes(s), { "beats_majority", "gap", "gap_since", "overfit_since:two", "no_difference:two_head" })
   says(s, "overfit_since", { "Over-fitting since epoch 3",
      "lowest after epoch 2 (0.440) and stood at 0.910 after epoch 6",
      "training loss went on falling from 0.390 to 0.030",
      "99.8 on train, 80.0 on validation", "Stop after epoch 2" })
   check.equal(find(s, "overfit_since").value, 3)
   says(s, "gap", { "21.0 points apart" })
   says(s, "gap_since", { "opened in epoch 3: 92.0 points on train, 81.0 on validation" })
end)

check.test("forty test rows: how wide the interval is", function()
   local s = judged "small"
   says(s, "small_test", { "The test split is small (40 rows)", "points wide (67.5 to 92.5)",
      "Smaller differences cannot be seen" })
   check.near(find(s, "small_test").value, 25, 1e-9)
end)

check.test("one label in test: no word about the majority class", function()
   local s = judged "one_class"
   check.equal(codes(s), { "one_class", "gap_small", "no_difference:two_head" })
   says(s, "one_class", { 'All 200 test rows have the label "yes"' })
end)

-- ------------------------------------------------------------------- single judges

check.test("differences whose interval touches zero are not measurable", function()
   local e = { models = { head = { test = scores(0.80) }, two = { test = scores(0.83) } },
      differences = { two_head = difference(0.03, 0.0, 0.06) } }
   check.equal(codes(verdict.sentences(e)), { "no_difference:two_head" })
   e.differences.two_head = difference(0.03, 0.002, 0.06)
   local s = verdict.sentences(e)
   check.equal(codes(s), { "stage_two_gain:two_head" })
   check.equal(s[1].text, "Stage two brought 3.0 points of accuracy over the head alone (80.0 to 83.0; "
      .. "95 % interval 0.2 to 6.0).")
end)

check.test("a measurable loss is said as a cost", function()
   local e = { models = { one = { test = scores(0.85) }, two = { test = scores(0.80) } },
      differences = { two_one = difference(-0.05, -0.08, -0.02) } }
   local s = verdict.sentences(e)
   check.equal(codes(s), { "two_stages_loss:two_one" })
   says(s, "two_stages_loss", { "Two stages cost 5.0 points of accuracy against one stage (85.0 to 80.0;" })
   check.equal(s[1].level, "warning")
end)

check.test("without a paired comparison nothing is claimed", function()
   local s = verdict.sentences { models = { head = { test = scores(0.80) }, two = { test = scores(0.83) } } }
   check.equal(codes(s), { "difference_unknown:two_head" })
   says(s, "difference_unknown", { "whether that is a difference is unknown" })
end)

check.test("fewer than ten rows never show a difference", function()
   local e = { models = { head = { test = scores(0.2, 5) }, two = { test = scores(1.0, 5, { 1, 1, 1, 1, 1 }) } },
      differences = { two_head = difference(0.8, 0.4, 1.0) } }
   local s = verdict.sentences(e)
   check.equal(codes(s), { "no_difference:two_head", "small_test" })
   says(s, "small_test", { "(5 rows)", "0.0 points wide", "means nothing" })
end)

check.test("accuracy like the majority's, but labels told apart", function()
   local e = { models = { two = { test = scores(0.91, 500, { 0.88, 0.93, 0.4, 0.2, 0.55 }) } },
      baseline = { test = { accuracy = 0.90, label = "no" } },
      differences = { tuned_baseline = difference(0.01, -0.01, 0.03) },
      data = { counts = { train = { 900, 100 }, test = { 450, 50 } } } }
   local s = verdict.sentences(e)
   check.equal(codes(s), { "imbalance", "like_majority" })
   says(s, "like_majority", { 'not measurably better than always answering "no"', "Matthews correlation 0.40" })
   says(s, "imbalance", { "90.0 % of the training rows have one label" })
end)

check.test("a gain in macro F1 that guessing would bring is no learning", function()
   local e = { metric = "f1", baseline = { test = { f1 = 0.33, label = "a" } },
      models = { two = { test = { f1 = 0.5, rows = 400, interval = {
         f1 = { value = 0.5, low = 0.46, high = 0.54 }, mcc = { value = 0.01, low = -0.05, high = 0.08 } } } } },
      differences = { tuned_baseline = { f1 = { value = 0.17, low = 0.1, high = 0.2 } } } }
   local s = verdict.sentences(e)
   check.equal(codes(s), { "learnt_nothing", "check_labels" })
   says(s, "learnt_nothing", { "more macro F1", "no more than guessing would", "correlation is 0.01" })
end)

check.test("a model that does not even fit its training rows is told to train longer", function()
   local e = { baseline = { train = { accuracy = 0.5 }, test = { accuracy = 0.5, label = "a" } },
      models = { two = { train = scores(0.51), test = scores(0.5, 500, { 0.46, 0.54, 0, -0.1, 0.1 }) } },
      differences = { tuned_baseline = difference(0, -0.05, 0.05) } }
   says(verdict.sentences(e), "check_labels", { "train longer or with a higher learning rate" })
end)

check.test("shared rows without their scores: the most they can inflate", function()
   local e = { models = { two = { test = scores(0.9, 100) } }, data = { shared = { train_test = 20 } } }
   local s = verdict.sentences(e)
   says(s, "leak", { "20 of 100 test rows (20.0 %)", "too good, by up to 2.5 points" })   -- 90 of 100; 70 of 80
   e.data.shared.train_test = 100
   says(verdict.sentences(e), "leak", { "says nothing about new rows" })
end)

check.test("shared rows that are no easier do not inflate", function()
   local e = { models = { two = { test = scores(0.8, 100) } }, data = { shared = { train_test = 20 } },
      leak = { leaked = 0.7, clean = 0.825 } }
   local s = verdict.sentences(e)
   says(s, "leak", { "not in train score no lower (82.5, all rows 80.0)" })
   check.equal(find(s, "leak").value, 0)
end)

check.test("a label of test that train lacks is named", function()
   local s = verdict.sentences { labels = { "a", "b", "c" }, models = { two = { test = scores(0.5) } },
      data = { counts = { train = { 10, 10, 0 }, test = { 5, 5, 5 } } } }
   says(s, "unseen_class", { 'No training row has the label "c"' })
end)

local function history(rows, kept)
   local e = { models = { two = {} }, history = { two = { kept = kept, epochs = rows } } }
   return verdict.sentences(e)
end

check.test("kept weights of the best epoch: over-fitting does no harm", function()
   local s = history({ { loss = 0.5, valid_loss = 0.5 }, { loss = 0.2, valid_loss = 0.7 } }, 1)
   says(s, "overfit_since", { "since epoch 2", "kept weights are those of epoch 1, so the result does not suffer" })
end)

check.test("over-fitting is found from scores where losses are missing", function()
   local s = history { { train = 0.7, valid = 0.7 }, { train = 0.8, valid = 0.78 }, { train = 0.95, valid = 0.75 } }
   says(s, "overfit_since", { "since epoch 3", "highest after epoch 2 (78.0)", "rising from 80.0 to 95.0" })
end)

check.test("a rise of validation loss without progress in training is not over-fitting", function()
   check.equal(codes(history { { loss = 0.5, valid_loss = 0.5 }, { loss = 0.6, valid_loss = 0.9 } }), { "no_rows" })
end)

check.test("a rise of validation loss below 2 % is noise", function()
   check.equal(codes(history { { loss = 0.5, valid_loss = 0.50 }, { loss = 0.3, valid_loss = 0.505 } }), { "no_rows" })
end)

check.test("one epoch, or none, says nothing of over-fitting", function()
   check.equal(codes(history { { loss = 0.5, valid_loss = 0.5 } }), { "no_rows" })
   check.equal(codes(history {}), { "no_rows" })
end)

check.test("without test rows the validation rows are judged, with a warning", function()
   local s = verdict.sentences { models = { two = { train = scores(0.9), valid = scores(0.8) } } }
   check.equal(codes(s), { "valid_only", "gap" })
   says(s, "gap", { "90.0 points of accuracy on train and 80.0 on validation: 10.0 points apart" })
end)

check.test("an empty evaluation gets one sentence", function()
   check.equal(codes(verdict.sentences {}), { "no_rows" })
end)

check.test("gather copes with empty splits and keeps its input as it was", function()
   local recorded = { labels = { "a", "b" }, gold = { train = {}, test = {} }, data = { truncated = 0.0 },
      models = { two = { train = { predicted = {} }, test = { predicted = {} } } } }
   local evaluation = gather(recorded, { random = check.random(1) })
   check.equal(evaluation.models.two.test.accuracy, nil)
   check.equal(codes(verdict.sentences(evaluation)), { "no_rows" })
   check.equal(recorded.data, { truncated = 0.0 })
end)

check.test("gather takes probabilities and losses as well", function()
   local recorded = { labels = { "a", "b" }, gold = { train = { 1, 1, 2 }, test = { 1, 2 } },
      models = { head = { test = { probabilities = { { 0.9, 0.1 }, { 0.5, 0.5 } } } } } }
   local evaluation = gather(recorded, { random = check.random(1), resamples = 10 })
   check.equal(evaluation.models.head.test.confusion, { { 1, 0 }, { 1, 0 } })
   check.near(evaluation.models.head.test.loss, -(math.log(0.9) + math.log(0.5)) / 2, 1e-12)
   check.equal(evaluation.baseline.test.label, "a")
   check.equal(evaluation.differences.tuned_baseline.accuracy.high, 0.0)
end)

check.done()
