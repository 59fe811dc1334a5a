-- tests/lua/test_answers.lua - exact match and F1 against what the official scripts of SQuAD gave, and known cases.

if package then package.path = "lua/?.lua;tests/lua/?.lua;" .. package.path end

local check = require "check"
local answers = require "ftpipe.metric.answers"
local text = require "ftpipe.core.text"

check.suite "answers"

check.test("normal forms are those of the official scripts", function()
   for _, case in ipairs(check.json "tests/fixtures/answers/normal_forms.json") do
      check.equal(answers.normalise(case[1]), case[2])
   end
end)

check.test("an answer that is not UTF-8 has no normal form", function()
   check.error_contains("byte 1 is 0xff", answers.normalise, "a\xff")
end)

check.test("scores by the rules of 1.1, question by question and together", function()
   local case = check.json "tests/fixtures/answers/one.json"
   for i, question in ipairs(case.gold) do
      local exact, f1 = answers.of_one(question.answers, case.predicted[question.id], false)
      check.equal({ exact, f1 }, { case.expect.rows[i][1] * 1.0, case.expect.rows[i][2] * 1.0 }, question.id)
   end
   local scores = answers.score(case.gold, case.predicted)
   check.near(100 * scores.exact, case.expect.all.exact_match, 1e-12)
   check.near(100 * scores.f1, case.expect.all.f1, 1e-12)
   check.equal(scores.has_answer, nil)
end)

check.test("scores by the rules of 2.0, with thresholds and the search for the best one", function()
   local case = check.json "tests/fixtures/answers/two.json"
   for _, want in ipairs(case.expect) do
      for i, question in ipairs(case.gold) do
         local exact, f1 = answers.of_one(question.answers, case.predicted[question.id], true)
         check.equal({ exact, f1 }, { want.rows[i][1] * 1.0, want.rows[i][2] * 1.0 }, question.id)
      end
      local scores = answers.score(case.gold, case.predicted, { no_answer = case.no_answer, threshold = want.threshold })
      local parts = { { scores, want.all }, { scores.has_answer, want.has_answer }, { scores.no_answer, want.no_answer } }
      for _, pair in ipairs(parts) do
         check.near(100 * pair[1].exact, pair[2].exact, 1e-12)
         check.near(100 * pair[1].f1, pair[2].f1, 1e-12)
         check.equal(pair[1].rows, pair[2].total)
      end
      check.near(100 * scores.best_exact, want.best_exact, 1e-12)
      check.near(100 * scores.best_f1, want.best_f1, 1e-12)
      check.equal(scores.best_exact_threshold, want.best_exact_thresh)
      check.equal(scores.best_f1_threshold, want.best_f1_thresh)
   end
end)

check.test("a question without prediction is wrong, and is counted", function()
   local gold = { { id = "a", answers = { "x" } }, { id = "b", answers = { "y" } } }
   local scores = answers.score(gold, { a = "x" })
   check.equal({ scores.exact, scores.f1, scores.missing, scores.rows }, { 0.5, 0.5, 1, 2 })
   gold[2].answers = {}
   scores = answers.score(gold, { a = "x" })
   check.equal({ scores.exact, scores.no_answer.exact, scores.missing }, { 0.5, 0.0, 1 })
end)

check.test("an answer of articles only is an answer in 1.1 and none in 2.0", function()
   local gold = { { id = "a", answers = { "The" } } }
   check.equal(answers.score(gold, { a = "a" }).exact, 1.0)
   check.equal(answers.score(gold, { a = "a" }).f1, 0.0)
   check.equal(answers.score(gold, { a = "" }, { version = 2 }).f1, 1.0)
end)

check.test("no questions have no scores", function()
   local scores = answers.score({}, {})
   check.equal({ scores.rows, scores.exact, scores.f1 }, { 0 })
end)

check.test("a span cuts a character inside a code point, before an accent and inside a joined emoji", function()
   local function places(s)
      local out = {}
      for i = 1, #s + 1 do if text.cuts(s, i) then out[#out + 1] = i end end
      return out
   end
   check.equal(places "abc\r\n", { 5 })
   check.equal(places "aé", { 3 })
   check.equal(places "e\u{301}x", { 2, 3 })
   check.equal(places "", {})
   local family = "\u{1F468}\u{200D}\u{1F469}"
   check.equal(#places(family), #family - 1)
   check.equal(places "\u{1F1EB}\u{1F1F7}\u{1F1E9}\u{1F1EA}", { 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16 })
   check.error_contains("no place in the text", text.cuts, "ab", 4)
end)

check.done()
