-- tests/lua/test_metrics.lua - classification scores against scikit-learn's and against known cases.
--
-- tests/fixtures/metrics/*.json holds what scikit-learn gives for the same rows. Its macro_f1_seen is the
-- average over the labels that occur, which is ours.

if package then package.path = "lua/?.lua;tests/lua/?.lua;" .. package.path end

local check = require "check"
local classification = require "ftpipe.metric.classification"

check.suite "classification metrics"

local RECORDED = {
   "all_right", "all_wrong", "certain_and_wrong", "class_missing_in_gold", "class_never_predicted",
   "classes_missing_in_both", "five_classes", "one_class_in_gold", "one_class_predicted", "one_row",
   "three_classes", "ties", "two_classes",
}

local function names(n)
   local out = {}
   for k = 1, n do out[k] = "class " .. k end
   return out
end

-- Recorded label ids count from 0.
local function from_one(ids)
   local out = {}
   for i, id in ipairs(ids) do out[i] = id + 1 end
   return out
end

for _, name in ipairs(RECORDED) do
   check.test("agrees with scikit-learn: " .. name, function()
      local case = check.json("tests/fixtures/metrics/" .. name .. ".json")
      local want, gold = case.expect, from_one(case.gold)
      local labels = names(case.classes)
      local scores = classification.score { gold = gold, probabilities = case.probabilities, labels = labels }
      check.equal(classification.argmax(case.probabilities), from_one(case.predicted))
      check.near(scores.accuracy, want.accuracy, 1e-12, "accuracy")
      check.near(scores.f1, want.macro_f1_seen, 1e-12, "macro F1")
      check.near(scores.mcc, want.mcc, 1e-12, "mcc")
      check.near(scores.loss, want.log_loss, 1e-9, "loss")
      check.equal(scores.confusion, want.confusion, "confusion")
      check.equal(scores.rows, #gold)
      for k, class in ipairs(scores.per_class) do
         check.near(class.precision, want.precision[k], 1e-12, "precision " .. k)
         check.near(class.recall, want.recall[k], 1e-12, "recall " .. k)
         check.near(class.f1, want.f1[k], 1e-12, "F1 " .. k)
         check.equal(class.support, want.support[k], "support " .. k)
      end
   end)
end

check.test("macro F1 leaves out labels that are neither gold nor predicted", function()
   local few = classification.score { gold = { 1, 2, 2 }, predicted = { 1, 2, 1 }, labels = names(2) }
   local many = classification.score { gold = { 1, 2, 2 }, predicted = { 1, 2, 1 }, labels = names(40) }
   check.equal(many.f1, few.f1)
   check.equal(many.mcc, few.mcc)
end)

check.test("a label that is predicted but never gold counts as 0 in macro F1", function()
   local scores = classification.score { gold = { 1, 1, 1, 1 }, predicted = { 1, 1, 1, 2 }, labels = names(2) }
   check.near(scores.f1, (6 / 7 + 0) / 2, 1e-15)
end)

check.test("mcc is 1 where all is right and -1 where two classes are swapped", function()
   check.equal(classification.score { gold = { 1, 2, 3 }, predicted = { 1, 2, 3 }, labels = names(3) }.mcc, 1.0)
   check.equal(classification.score { gold = { 1, 2 }, predicted = { 2, 1 }, labels = names(2) }.mcc, -1.0)
end)

check.test("probabilities give predictions and the mean loss", function()
   local scores = classification.score {
      gold = { 1, 2, 2 }, probabilities = { { 0.5, 0.5 }, { 0.75, 0.25 }, { 0.2, 0.8 } }, labels = names(2),
   }
   check.equal(scores.confusion, { { 1, 0 }, { 1, 1 } })   -- the tie of row 1 goes to the first class
   check.near(scores.loss, -(math.log(0.5) + math.log(0.25) + math.log(0.8)) / 3, 1e-15)
end)

check.test("a probability of 0 costs 52 bits, not infinity", function()
   check.near(classification.losses({ 2 }, { { 1.0, 0.0 } })[1], 52 * math.log(2), 1e-12)
end)

check.test("given losses win over probabilities", function()
   local scores = classification.score {
      gold = { 1, 2 }, probabilities = { { 1, 0 }, { 0, 1 } }, losses = { 0.25, 0.75 }, labels = names(2),
   }
   check.equal(scores.loss, 0.5)
end)

check.test("no rows give no scores, and no NaN", function()
   local scores = classification.score { gold = {}, predicted = {}, losses = {}, labels = names(2) }
   check.equal(scores.rows, 0)
   for _, key in ipairs { "accuracy", "f1", "mcc", "loss" } do check.equal(scores[key], nil, key) end
   check.equal(scores.per_class[1].f1, 0.0)
end)

check.test("the majority class comes from the training rows", function()
   local base = classification.baseline({ 2, 2, 1 }, { 1, 1, 1, 2 }, { "no", "yes" })
   check.equal(base.label, "yes")
   check.equal(base.accuracy, 0.25)
   check.near(base.f1, 0.2, 1e-15)   -- (0 + 2/5) / 2
   check.equal(base.mcc, 0.0)
end)

check.test("of equally frequent majority classes the lowest id is taken", function()
   check.equal(classification.majority({ 3, 2, 2, 3 }, 3), 2)
   check.equal(classification.majority({}, 3), nil)
   check.equal(classification.baseline({}, { 1 }, { "a" }), nil)
end)

check.test("large counts neither overflow nor lose the sign of mcc", function()
   local n = 40000000
   local scores = classification.from_confusion({ { n, n // 2 }, { n // 2, n } }, names(2))
   check.near(scores.mcc, 1 / 3, 1e-9)
end)

check.test("bad input names its row", function()
   check.error_contains("predicted label of row 2 is 3", classification.confusion, { 1, 2 }, { 1, 3 }, 2)
   check.error_contains("gold label of row 1 is 0", classification.confusion, { 0 }, { 1 }, 2)
   check.error_contains("gold label of row 1 is 1.0", classification.confusion, { 1.0 }, { 1 }, 2)
   check.error_contains("2 gold labels but 1 predictions", classification.confusion, { 1, 2 }, { 1 }, 2)
   check.error_contains("class 2 in row 1 is not a number", classification.argmax, { { 0.1, 0 / 0 } })
   check.error_contains("2 gold labels but 1 losses", classification.score,
      { gold = { 1, 1 }, predicted = { 1, 1 }, losses = { 0.1 }, labels = { "a" } })
   check.error_contains("want predicted label ids", classification.score, { gold = { 1 }, labels = { "a" } })
end)

check.done()
