-- tests/lua/test_regression.lua - correlations and errors against scipy, intervals, the baseline.

local check = require "check"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local metric = require "ftpipe.metric.regression"
local task = require "ftpipe.task.regression"

check.suite "regression"

local cases = json.decode(assert(fs.read "tests/fixtures/metrics_regression.json")).cases

check.test("scores_are_those_of_scipy", function()
   check.equal(#cases, 4)
   for n, case in ipairs(cases) do
      local got = metric.score(case.gold, case.predicted)
      for key, want in pairs(case.expect) do check.near(got[key], want, 1e-12, ("case %d: %s"):format(n, key)) end
   end
end)

check.test("resamples_are_scored_as_if_written_out", function()
   for n, case in ipairs(cases) do
      local pearson, spearman = metric.scorer(case.gold, case.predicted)(case.drawn)
      check.near(pearson, case.resampled.pearson, 1e-12, "case " .. n)
      check.near(spearman, case.resampled.spearman, 1e-12, "case " .. n)
   end
end)

check.test("what_is_constant_correlates_with_nothing", function()
   local got = metric.score({ 1, 2, 3 }, { 5, 5, 5 })
   check.equal({ got.pearson, got.spearman }, { 0.0, 0.0 })
   check.near(got.mse, (16 + 9 + 4) / 3, 1e-12)
   check.equal(metric.score({}, {}).rows, 0)
   local base = task.measure.baseline({ 1, 3 }, { 2, 4 })
   check.equal({ base.mae, base.pearson, base.predictions.values[2] }, { 1.0, 0.0, 2.0 })
end)

check.test("intervals_hold_the_score", function()
   local case = cases[3]
   local opts = { random = check.random(2), resamples = 200 }
   local i = task.measure.interval(case.gold, { values = case.predicted }, opts)
   check.near(i.pearson.value, case.expect.pearson, 1e-12)
   check.is_true(i.pearson.low < case.expect.pearson and case.expect.pearson < i.pearson.high)
   check.is_true(i.spearman.high - i.spearman.low < 0.3)
   local same = task.measure.paired(case.gold, { values = case.predicted }, { values = case.predicted }, opts)
   check.equal({ same.pearson.low, same.spearman.high }, { 0.0, 0.0 })
end)

check.done()
