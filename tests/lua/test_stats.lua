-- tests/lua/test_stats.lua - bootstrap intervals: their law, their coverage, their edges.

if package then package.path = "lua/?.lua;tests/lua/?.lua;" .. package.path end

local check = require "check"
local classification = require "ftpipe.metric.classification"
local stats = require "ftpipe.stats"

check.suite "stats"

-- Predictions that are right with probability p, over `classes` labels.
local function rows(random, n, classes, p)
   local gold, predicted = {}, {}
   for i = 1, n do
      gold[i] = random(classes) + 1
      local right = random(1000000) < p * 1000000
      predicted[i] = right and gold[i] or (gold[i] + random(classes - 1)) % classes + 1
   end
   return gold, predicted
end

-- The plain bootstrap, row by row, as a yardstick.
local function plain_bootstrap(gold, predicted, classes, resamples, random)
   local accuracy, f1 = {}, {}
   for r = 1, resamples do
      local g, p = {}, {}
      for i = 1, #gold do
         local j = random(#gold) + 1
         g[i], p[i] = gold[j], predicted[j]
      end
      local labels = {}
      for k = 1, classes do labels[k] = "" end
      local scores = classification.score { gold = g, predicted = p, labels = labels }
      accuracy[r], f1[r] = scores.accuracy, scores.f1
   end
   table.sort(accuracy)
   table.sort(f1)
   return accuracy, f1
end

for _, case in ipairs { { 1, 0.3 }, { 7, 0.5 }, { 40, 0.1 }, { 40, 0.93 }, { 300, 0.4 }, { 20000, 0.77 } } do
   check.test(("binomial draws of %d at %g have its mean and variance"):format(case[1], case[2]), function()
      local n, p, draws = case[1], case[2], 20000
      local random, sum, squares = check.random(11), 0, 0
      for _ = 1, draws do
         local k = stats.binomial(random, n, p)
         check.is_true(math.type(k) == "integer" and k >= 0 and k <= n, "out of range")
         sum, squares = sum + k, squares + (k - n * p) ^ 2
      end
      local variance = n * p * (1 - p)
      check.near(sum / draws, n * p, 4 * math.sqrt(variance / draws), "mean")
      check.near(squares / draws / variance, 1, 0.06, "variance")
   end)
end

-- Chi-square of both samplers against the exact probabilities, for a mean on either side of 10.
for _, case in ipairs { { 30, 0.2, 40000 }, { 40, 0.3, 250000 } } do
   check.test(("binomial draws of %d at %g have its probabilities"):format(case[1], case[2]), function()
      local n, p, draws = case[1], case[2], case[3]
      local random, seen = check.random(5), {}
      for _ = 1, draws do
         local k = stats.binomial(random, n, p)
         seen[k] = (seen[k] or 0) + 1
      end
      local probability, square, cells = (1 - p) ^ n, 0, 0
      for k = 0, n do
         local want = draws * probability
         if want >= 5 then square, cells = square + ((seen[k] or 0) - want) ^ 2 / want, cells + 1 end
         probability = probability * (n - k) / (k + 1) * p / (1 - p)
      end
      check.is_true(cells >= 12, "too few cells")
      check.is_true(square < cells + 4 * math.sqrt(2 * cells), ("chi-square %.1f over %d cells"):format(square, cells))
   end)
end

check.test("certain and impossible binomial draws need no random numbers", function()
   local function none() error "asked for a random number" end
   check.equal(stats.binomial(none, 5, 1.0), 5)
   check.equal(stats.binomial(none, 5, 0.0), 0)
   check.equal(stats.binomial(none, 0, 0.5), 0)
end)

check.test("intervals agree with the row-wise bootstrap", function()
   for _, classes in ipairs { 2, 9 } do   -- nine classes of 150 rows: frequent and rare cells
      local gold, predicted = rows(check.random(3), 150, classes, 0.7)
      local got = stats.interval(gold, predicted, { random = check.random(1), classes = classes, resamples = 4000 })
      local accuracy, f1 = plain_bootstrap(gold, predicted, classes, 3000, check.random(2))
      for name, plain in pairs { accuracy = accuracy, f1 = f1 } do
         check.near(got[name].low, stats.quantile(plain, 0.025), 0.012, name .. " low")
         check.near(got[name].high, stats.quantile(plain, 0.975), 0.012, name .. " high")
         check.near(got[name].mean, stats.quantile(plain, 0.5), 0.012, name .. " mean")
      end
   end
end)

check.test("the interval of accuracy covers a known share about 95 times in 100", function()
   local random, covered, runs = check.random(17), 0, 400
   for _ = 1, runs do
      local gold, predicted = rows(random, 250, 2, 0.8)
      local i = stats.interval(gold, predicted, { random = random, classes = 2, resamples = 400 }).accuracy
      if i.low <= 0.8 and 0.8 <= i.high then covered = covered + 1 end
   end
   check.near(covered / runs, 0.95, 0.035)
end)

check.test("two equally good models are called different about 5 times in 100", function()
   local random, called, runs = check.random(23), 0, 400
   for _ = 1, runs do
      local gold, a = rows(random, 250, 2, 0.8)
      local b = {}
      for i = 1, #gold do b[i] = random(10) < 8 and gold[i] or 3 - gold[i] end
      local d = stats.paired(gold, a, b, { random = random, classes = 2, resamples = 400 }).accuracy
      if stats.direction(d) ~= 0 then called = called + 1 end
   end
   check.near(called / runs, 0.05, 0.035)
end)

check.test("a clear gain is found, and turns sign with the order of the models", function()
   local random = check.random(29)
   local gold, a = rows(random, 500, 3, 0.9)
   local _, b = rows(random, 500, 3, 0.9)   -- answers to other questions: chance
   local opts = { random = random, classes = 3 }
   local d = stats.paired(gold, a, b, opts)
   check.equal(stats.direction(d.accuracy), 1)
   check.equal(stats.direction(stats.paired(gold, b, a, opts).mcc), -1)
   check.near(d.accuracy.value, 0.9 - 1 / 3, 0.08)
   check.is_true(d.accuracy.low < d.accuracy.mean and d.accuracy.mean < d.accuracy.high)
end)

check.test("pairing sees a small difference that separate intervals would hide", function()
   local gold, a = rows(check.random(31), 1000, 2, 0.8)
   local b, changed = table.move(a, 1, #a, 1, {}), 0
   for i = 1, #gold do
      if a[i] == gold[i] and changed < 20 then b[i], changed = 3 - gold[i], changed + 1 end
   end
   local opts = { random = check.random(1), classes = 2 }
   local x, y = stats.interval(gold, a, opts).accuracy, stats.interval(gold, b, opts).accuracy
   check.is_true(x.low < y.high, "the separate intervals overlap")
   check.equal(stats.direction(stats.paired(gold, a, b, opts).accuracy), 1)
end)

check.test("identical models differ by exactly 0", function()
   local gold, a = rows(check.random(37), 300, 5, 0.6)
   local d = stats.paired(gold, a, table.move(a, 1, #a, 1, {}), { random = check.random(1), classes = 5 })
   for _, name in ipairs { "accuracy", "f1", "mcc" } do
      check.equal({ d[name].value, d[name].mean, d[name].low, d[name].high }, { 0.0, 0.0, 0.0, 0.0 }, name)
      check.equal(stats.direction(d[name]), 0)
   end
end)

check.test("the same random numbers give the same interval", function()
   local gold, a = rows(check.random(41), 200, 6, 0.5)
   local first = stats.interval(gold, a, { random = check.random(9), classes = 6, resamples = 200 })
   local again = stats.interval(gold, a, { random = check.random(9), classes = 6, resamples = 200 })
   check.equal(again, first)
end)

check.test("no rows give no interval", function()
   check.equal(stats.interval({}, {}, { random = check.random(1), classes = 2 }), nil)
   check.equal(stats.paired({}, {}, {}, { random = check.random(1), classes = 2 }), nil)
end)

check.test("one row, and rows all right, give an interval of width 0", function()
   local one = stats.interval({ 1 }, { 2 }, { random = check.random(1), classes = 2 })
   check.equal({ one.accuracy.value, one.accuracy.low, one.accuracy.high }, { 0.0, 0.0, 0.0 })
   local right = stats.interval({ 1, 2, 1 }, { 1, 2, 1 }, { random = check.random(1), classes = 2, resamples = 50 })
   check.equal({ right.accuracy.low, right.accuracy.high }, { 1.0, 1.0 })
end)

check.test("two rows are drawn as 0, 1 or 2 of each", function()
   local i = stats.interval({ 1, 1 }, { 1, 2 }, { random = check.random(1), classes = 2 }).accuracy
   check.equal({ i.value, i.low, i.high }, { 0.5, 0.0, 1.0 })
   check.near(i.mean, 0.5, 0.03)
end)

check.test("random numbers are asked for below 2^30 at most", function()
   local random = check.random(1)
   local gold, a = rows(random, 400, 8, 0.6)
   stats.interval(gold, a, { classes = 8, resamples = 20, random = function(below)
      check.is_true(math.type(below) == "integer" and below >= 1 and below <= 1 << 30, "bad bound")
      return random(below)
   end })
end)

check.test("quantiles are interpolated", function()
   check.equal(stats.quantile({ 1, 2, 3, 4 }, 0.5), 2.5)
   check.equal(stats.quantile({ 7 }, 0.975), 7.0)
   check.equal(stats.quantile({ 1, 2 }, 1), 2.0)
   check.equal(stats.quantile({}, 0.5), nil)
end)

check.test("a summary has mean, median, 95th percentile and maximum", function()
   local values = {}
   for i = 1, 101 do values[i] = 102 - i end
   check.equal(stats.summary(values), { count = 101, mean = 51.0, median = 51.0, p95 = 96.0, max = 101 })
   check.equal(values[1], 101)   -- the caller's array is not sorted
   check.equal(stats.summary {}, { count = 0 })
end)

check.test("bad input is refused", function()
   local opts = { random = check.random(1), classes = 2 }
   check.error_contains("2 gold labels but 1 predictions", stats.interval, { 1, 2 }, { 1 }, opts)
   check.error_contains("label of row 2 is 3", stats.paired, { 1, 2 }, { 1, 1 }, { 1, 3 }, opts)
end)

check.test("means over rows: the law of the plain bootstrap, and pairs that agree differ by nothing", function()
   local random, exact, f1 = check.random(3), {}, {}
   for row = 1, 300 do
      exact[row] = random(2) * 1.0
      f1[row] = exact[row] == 1 and 1.0 or random(7) / 7
   end
   local got = stats.mean_interval({ "exact", "f1" }, { exact, f1 }, { random = check.random(1), resamples = 2000 })
   local plain = {}
   for r = 1, 2000 do
      local sum = 0.0
      for _ = 1, 300 do sum = sum + f1[random(300) + 1] end
      plain[r] = sum / 300
   end
   table.sort(plain)
   check.near(got.f1.low, stats.quantile(plain, 0.025), 0.012)
   check.near(got.f1.high, stats.quantile(plain, 0.975), 0.012)
   local same = stats.mean_paired({ "exact" }, { exact }, { exact }, { random = check.random(1), resamples = 50 })
   check.equal({ same.exact.value, same.exact.low, same.exact.high }, { 0.0, 0.0, 0.0 })
   local other = {}
   for row = 1, 300 do other[row] = row <= 60 and 0.0 or exact[row] end
   local less = stats.mean_paired({ "exact" }, { other }, { exact }, { random = check.random(1), resamples = 500 })
   check.equal(stats.direction(less.exact), -1)
   check.equal(stats.mean_interval({ "exact" }, { {} }, { random = check.random(1) }), nil)
   check.error_contains("300 rows on one side, 1 on the other", stats.mean_paired, { "exact" }, { exact }, { { 1 } }, {})
end)

check.done()
