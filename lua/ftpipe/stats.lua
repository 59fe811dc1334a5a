-- lua/ftpipe/stats.lua - bootstrap intervals for scores, and paired differences.
--
-- The surprise: no resample loops over the rows. Rows with the same gold label and the same
-- predictions are interchangeable, so a resample of the rows is one multinomial draw over the
-- distinct (gold, predictions) cells. Frequent cells are drawn one after the other from their
-- conditional binomial; what is left over falls, row by row, on the rows of the rare cells. Both
-- steps are exact, so the result has the distribution of the plain row-wise bootstrap.
--
-- Intervals are percentile intervals (Efron & Tibshirani 1993, chapter 13). All randomness comes
-- from the caller: opts.random(below) gives an integer in [0, below), with below at most 2^30.

local classification = require "ftpipe.metric.classification"

local M = {}

local RESAMPLES, LEVEL = 2000, 0.95
local GRAIN = 1 << 30      -- steps of a uniform number
local RARE = 6             -- cells with fewer rows are drawn row by row
local METRICS = { "accuracy", "f1", "mcc" }

---@class ftpipe.interval
---@field value number  the score (or difference) on the rows as they are
---@field mean number   mean over the resamples
---@field low number
---@field high number
---@field level number  0.95 unless asked otherwise

---@class ftpipe.intervals
---@field rows integer
---@field resamples integer
---@field accuracy ftpipe.interval
---@field f1 ftpipe.interval
---@field mcc ftpipe.interval

---@class ftpipe.bootstrap_options
---@field random fun(below: integer): integer
---@field classes integer    number of labels
---@field resamples integer? 2000
---@field level number?      0.95

-- A uniform number strictly between 0 and 1.
local function uniform(random) return (random(GRAIN) + 0.5) / GRAIN end

local small_log_factorial = { [0] = 0.0 }
for k = 1, 15 do small_log_factorial[k] = small_log_factorial[k - 1] + math.log(k) end

-- log k!, by Stirling's series from 16 on (error below 1e-12).
local function log_factorial(k)
   if k < 16 then return small_log_factorial[k] end
   local x = k + 1.0
   local inverse = 1 / (x * x)
   return (x - 0.5) * math.log(x) - x + 0.91893853320467274
      + (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse / 1680))) / x
end

-- Binomial by walking up its probabilities from 0: for small means.
local function binomial_walk(random, n, p)
   local odds = p / (1 - p)
   local first = (1 - p) ^ n
   while true do
      local u, k, step = uniform(random), 0, first
      while u > step and k < n do
         u = u - step
         k = k + 1
         step = step * odds * (n - k + 1) / k
      end
      if u <= step then return k end
   end
end

-- Binomial by transformed rejection, algorithm BTRS of Hormann 1993 (J. Statist. Comput. Simul. 46):
-- for p <= 1/2 and a mean of at least 10. Its constants are the paper's.
local function binomial_reject(random, n, p)
   local deviation = math.sqrt(n * p * (1 - p))
   local b = 1.15 + 2.53 * deviation
   local a = -0.0873 + 0.0248 * b + 0.01 * p
   local centre = n * p + 0.5
   local squeeze = 0.92 - 4.2 / b
   while true do
      local u, v = uniform(random) - 0.5, uniform(random)
      local edge = 0.5 - math.abs(u)
      local k = math.floor((2 * a / edge + b) * u + centre)
      if edge >= 0.07 and v <= squeeze then return k end
      if k >= 0 and k <= n then
         local mode = math.floor((n + 1) * p)
         local alpha = (2.83 + 5.1 / b) * deviation
         local bound = log_factorial(mode) + log_factorial(n - mode) - log_factorial(k) - log_factorial(n - k)
            + (k - mode) * math.log(p / (1 - p))
         if math.log(v * alpha / (a / (edge * edge) + b)) <= bound then return k end
      end
   end
end

--- One binomial draw: successes among n trials of probability p.
---@param random fun(below: integer): integer
---@param n integer
---@param p number
---@return integer
function M.binomial(random, n, p)
   if n <= 0 or p <= 0 then return 0 end
   if p >= 1 then return n end
   if p > 0.5 then return n - M.binomial(random, n, 1 - p) end
   if n * p < 10 then return binomial_walk(random, n, p) end
   return binomial_reject(random, n, p)
end

-- Distinct (gold, prediction, ...) cells, most frequent first, and the rows of the rare ones.
-- `columns` are arrays of label ids of the same length, gold first.
local function cells_of(columns, classes)
   local rows, by_key, cells = #columns[1], {}, {}
   for row = 1, rows do
      local key = 0
      for c = 1, #columns do key = key * classes + columns[c][row] - 1 end
      local cell = by_key[key]
      if not cell then
         cell = { key = key, count = 0 }
         for c = 1, #columns do cell[c] = columns[c][row] end
         by_key[key], cells[#cells + 1] = cell, cell
      end
      cell.count = cell.count + 1
   end
   table.sort(cells, function(x, y)
      if x.count ~= y.count then return x.count > y.count end
      return x.key < y.key
   end)
   local frequent, rare_rows = 0, {}
   for i, cell in ipairs(cells) do
      if cell.count >= RARE then
         frequent = i
      else
         for _ = 1, cell.count do rare_rows[#rare_rows + 1] = i end
      end
   end
   return { cells = cells, frequent = frequent, rare_rows = rare_rows, rows = rows }
end

-- One resample: how often each cell is drawn when `rows` rows are drawn with replacement.
local function draw(set, random, drawn)
   local cells, left, mass = set.cells, set.rows, set.rows
   for i = 1, set.frequent do
      local count = cells[i].count
      local n = M.binomial(random, left, count / mass)
      drawn[i] = n
      left, mass = left - n, mass - count
   end
   for i = set.frequent + 1, #cells do drawn[i] = 0 end
   local rare_rows = set.rare_rows
   local rare = #rare_rows
   for _ = 1, left do
      local i = rare_rows[random(rare) + 1]
      drawn[i] = drawn[i] + 1
   end
end

local function zeros(n)
   local out = {}
   for i = 1, n do out[i] = 0 end
   return out
end

-- A function of drawn cell counts to (accuracy, f1, mcc) of the prediction in column `column`.
local function scorer(set, column, classes)
   local right, gold, predicted = zeros(classes), zeros(classes), zeros(classes)
   local cells, golds, predictions = set.cells, {}, {}
   for i, cell in ipairs(cells) do golds[i], predictions[i] = cell[1], cell[column] end
   return function(drawn)
      for k = 1, classes do right[k], gold[k], predicted[k] = 0, 0, 0 end
      for i = 1, #cells do
         local n = drawn[i]
         if n > 0 then
            local g, p = golds[i], predictions[i]
            gold[g] = gold[g] + n
            predicted[p] = predicted[p] + n
            if g == p then right[g] = right[g] + n end
         end
      end
      return classification.from_counts(right, gold, predicted, set.rows)
   end
end

--- Quantile of sorted numbers, interpolated between neighbours (Hyndman & Fan's type 7).
---@param sorted number[]
---@param q number 0..1
---@return number? nil without numbers
function M.quantile(sorted, q)
   if #sorted == 0 then return nil end
   local at = 1 + (#sorted - 1) * q
   local below = math.floor(at)
   local lower, upper = sorted[below], sorted[math.min(below + 1, #sorted)]
   return lower + (upper - lower) * (at - below)
end

local function interval(value, samples, level)
   local sum = 0.0
   for i = 1, #samples do sum = sum + samples[i] end
   table.sort(samples)
   return {
      value = value,
      mean = sum / #samples,
      low = M.quantile(samples, (1 - level) / 2),
      high = M.quantile(samples, (1 + level) / 2),
      level = level,
   }
end

-- Resample `set` and turn `statistic(drawn)`, at most three numbers with these names, into an interval each.
local function bootstrap(set, statistic, names, opts)
   local resamples, level = opts.resamples or RESAMPLES, opts.level or LEVEL
   local drawn, samples, value = {}, { {}, {}, {} }, {}
   for i, cell in ipairs(set.cells) do drawn[i] = cell.count end
   value[1], value[2], value[3] = statistic(drawn)
   for r = 1, resamples do
      draw(set, opts.random, drawn)
      samples[1][r], samples[2][r], samples[3][r] = statistic(drawn)
   end
   local out = { rows = set.rows, resamples = resamples }
   for m, name in ipairs(names) do out[name] = interval(value[m], samples[m], level) end
   return out
end

local function check_columns(columns, classes)
   for c = 2, #columns do
      if #columns[c] ~= #columns[1] then
         error(("%d gold labels but %d predictions"):format(#columns[1], #columns[c]), 0)
      end
   end
   for c = 1, #columns do
      for row, id in ipairs(columns[c]) do
         if math.type(id) ~= "integer" or id < 1 or id > classes then
            error(("label of row %d is %s; want an integer from 1 to %d"):format(row, tostring(id), classes), 0)
         end
      end
   end
end

--- Percentile bootstrap intervals of accuracy, macro F1 and Matthews correlation.
--- A single row gives an interval of width 0.
---@param gold integer[]
---@param predicted integer[]
---@param opts ftpipe.bootstrap_options
---@return ftpipe.intervals? nil without rows
function M.interval(gold, predicted, opts)
   local columns = { gold, predicted }
   check_columns(columns, opts.classes)
   if #gold == 0 then return nil end
   local set = cells_of(columns, opts.classes)
   return bootstrap(set, scorer(set, 2, opts.classes), METRICS, opts)
end

--- Paired bootstrap of the difference "a less b" of two models on the same rows: both are scored on
--- the same resample. Models that agree on every row differ by exactly 0, with an interval of 0 to 0.
---@param gold integer[]
---@param a integer[] predictions of the first model
---@param b integer[] predictions of the second
---@param opts ftpipe.bootstrap_options
---@return ftpipe.intervals? nil without rows
function M.paired(gold, a, b, opts)
   local columns = { gold, a, b }
   check_columns(columns, opts.classes)
   if #gold == 0 then return nil end
   local set = cells_of(columns, opts.classes)
   local score_a, score_b = scorer(set, 2, opts.classes), scorer(set, 3, opts.classes)
   return bootstrap(set, function(drawn)
      local a1, a2, a3 = score_a(drawn)
      local b1, b2, b3 = score_b(drawn)
      return a1 - b1, a2 - b2, a3 - b3
   end, METRICS, opts)
end

-- ==== Scores that are means over rows ====

-- Rows as cells of equal values: { count, [1] = value of the first column, ... }.
local function cells_of_values(columns)
   local ids, list, n_ids = {}, {}, {}
   for c, column in ipairs(columns) do
      ids[c], list[c], n_ids[c] = {}, {}, 0
      for row, value in ipairs(column) do
         local id = ids[c][value]
         if not id then
            n_ids[c] = n_ids[c] + 1
            id = n_ids[c]
            ids[c][value] = id
         end
         list[c][row] = id
      end
   end
   local set = cells_of(list, math.max(1, table.unpack(n_ids)))
   for _, cell in ipairs(set.cells) do cell.values = {} end
   for c = 1, #columns do
      local values = {}
      for value, id in pairs(ids[c]) do values[id] = value end
      for _, cell in ipairs(set.cells) do cell.values[c] = values[cell[c]] end
   end
   return set
end

local function means(set, drawn, n)
   local sums, cells = { 0.0, 0.0, 0.0 }, set.cells
   for i = 1, #cells do
      local k = drawn[i]
      if k > 0 then
         local values = cells[i].values
         for c = 1, n do sums[c] = sums[c] + k * values[c] end
      end
   end
   return sums[1] / set.rows, sums[2] / set.rows, sums[3] / set.rows
end

--- Percentile bootstrap intervals of scores that are means over rows, such as exact match and F1 of answers.
---@param names string[] at most three
---@param columns number[][] for each name one value per row
---@param opts ftpipe.bootstrap_options without classes
---@return table<string, ftpipe.interval>? nil without rows
function M.mean_interval(names, columns, opts)
   if #columns[1] == 0 then return nil end
   local set = cells_of_values(columns)
   return bootstrap(set, function(drawn) return means(set, drawn, #names) end, names, opts)
end

--- Paired bootstrap of the difference "a less b" of such scores on the same rows.
---@param names string[]
---@param a number[][]
---@param b number[][]
---@param opts ftpipe.bootstrap_options
function M.mean_paired(names, a, b, opts)
   local differences = {}
   for c = 1, #names do
      if #a[c] ~= #b[c] then error(("%d rows on one side, %d on the other"):format(#a[c], #b[c]), 2) end
      differences[c] = {}
      for row = 1, #a[c] do differences[c][row] = a[c][row] - b[c][row] end
   end
   return M.mean_interval(names, differences, opts)
end

--- Percentile bootstrap of scores that are computed from counts, such as the F1 of entities, over rows of which many are alike.
---@param ids integer[] the group of each row, from 1; rows of one group are interchangeable
---@param statistic fun(drawn: integer[]): number, number?, number? of how often rows of each group were drawn
---@param names string[] at most three
---@param opts ftpipe.bootstrap_options without classes
---@return table<string, ftpipe.interval>? nil without rows
function M.grouped(ids, statistic, names, opts)
   if #ids == 0 then return nil end
   local groups = 0
   for _, id in ipairs(ids) do groups = math.max(groups, id) end
   local set, by_group = cells_of({ ids }, groups), {}
   return bootstrap(set, function(drawn)
      for i, cell in ipairs(set.cells) do by_group[cell[1]] = drawn[i] end
      return statistic(by_group)
   end, names, opts)
end

--- Which way a difference goes, as far as it can be measured.
---@param difference ftpipe.interval
---@return integer 1 where the whole interval lies above 0, -1 below, 0 where it holds 0
function M.direction(difference)
   if difference.low > 0 then return 1 end
   if difference.high < 0 then return -1 end
   return 0
end

--- Mean, median, 95th percentile and maximum, as for the lengths of texts.
---@param values number[]
---@return { count: integer, mean: number?, median: number?, p95: number?, max: number? }
function M.summary(values)
   local sorted, sum = table.move(values, 1, #values, 1, {}), 0.0
   table.sort(sorted)
   for i = 1, #sorted do sum = sum + sorted[i] end
   return {
      count = #sorted,
      mean = #sorted > 0 and sum / #sorted or nil,
      median = M.quantile(sorted, 0.5),
      p95 = M.quantile(sorted, 0.95),
      max = sorted[#sorted],
   }
end

return M
