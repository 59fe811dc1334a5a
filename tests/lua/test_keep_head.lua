-- tests/lua/test_keep_head.lua - replace_head { head = "keep" }: the head of a model that was tuned for the task before.

local check = require "check"
local model = require "ftpipe.model"
local scoring = require "ftpipe.scoring"
local step = require "ftpipe.step.replace_head"

local DIR = "tests/fixtures/bert/saved_by_transformers"
check.suite "keep head"

local before = model.load(DIR)
local texts = { "The battery is good", "I hate this film", "very bad sound, good box" }
local tokens = before.tokenizer:encode_all(texts, nil, {})

local function keep(on, labels, params)
   params = params or {}
   return step.run({ seed = 1 }, { on = on, labels = { labels = labels } },
      { task = params.task or "classification", pool = "pooler", head = "keep" })
end

check.test("from a directory: the same probabilities", function()
   local m = keep(model.open(DIR), before.options.labels)
   check.equal(scoring.probabilities(m, tokens), scoring.probabilities(before, tokens))
   check.is_true(m.options.kept)
   check.equal(#m:card().new, 0)
end)

check.test("from a trained model: a copy", function()
   local m = keep(before, before.options.labels)
   m.by_name["head.out.bias"]:tensor():fill(9)
   check.is_true(before.by_name["head.out.bias"]:tensor():table()[1] ~= 9)
end)

check.test("labels in another order move the head's rows along", function()
   local labels = { table.unpack(before.options.labels) }
   table.sort(labels, function(a, b) return a > b end)
   check.is_true(table.concat(labels) ~= table.concat(before.options.labels))
   local m = keep(model.open(DIR), labels)
   local was, is = scoring.probabilities(before, tokens), scoring.probabilities(m, tokens)
   for row = 1, #texts do
      for k, label in ipairs(labels) do
         for j, other in ipairs(before.options.labels) do
            if label == other then check.near(is[row][k], was[row][j], 1e-6) end
         end
      end
   end
   check.equal(m.options.labels, labels)
end)

check.test("other labels and other tasks are refused", function()
   check.error_contains("tells apart bad, so-so, good, the data have bad, good", keep, model.open(DIR), { "bad", "good" })
   check.error_contains("is tuned for classification, not for question answering", keep, model.open(DIR), { "start", "end" },
      { task = "question_answering" })
   check.error_contains("is an encoder without a tuned head", keep,
      model.open "tests/fixtures/bert/published_encoder", { "a", "b" })
   check.error_contains("not for masked_lm", keep, model.open(DIR), nil, { task = "masked_lm" })
end)

check.done()
