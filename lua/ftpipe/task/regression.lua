--- A number for each row: how alike two texts are, how many stars a review gives. As transformers' sequence classification with
-- one label: the loss is the squared error, and what the head says is the number itself.

local data = require "ftpipe.core.data"
local failure = require "ftpipe.failure"
local labelled = require "ftpipe.reading.labelled"
local metric = require "ftpipe.metric.regression"
local scoring = require "ftpipe.scoring"
local stats = require "ftpipe.stats"
local texts = require "ftpipe.texts"
local nn = require "ftpipe.nn"

local task = { name = "regression", head = "classification", metric = "pearson", metrics = { "pearson", "spearman" },
   headline = { "pearson", "spearman" }, columns = { "texts", "pairs", "labels", "lines" },
   fields = { "rows", "pearson", "spearman", "mse", "mae", "loss" } }

-- ==== Rows ====

-- A finite number, or nil and what is wrong.
local function number(label)
   local x = tonumber(label)
   if x and x == x and math.abs(x) ~= math.huge then return x end
   return nil, ("the label '%s' is no number"):format(label)
end

--- What is wrong with a label, or nil.
function task.label_problem(label) return (select(2, number(label))) end

function task.read(path, params, bad)
   return labelled.read(path, params, bad, function(cells, map)
      if cells[1] and cells[1] ~= "" then
         local problem = task.label_problem(cells[1])
         if problem then return nil, problem end
      end
      return labelled.plain(cells, map)
   end)
end

task.count = labelled.count

--- Rows stand alone.
function task.units(rows)
   local units = {}
   for i = 1, #rows.labels do units[i] = { i } end
   return { { key = "rows", units = units } }
end

-- ==== Tokens ====

local function encode(name, rows, with, params)
   local split, values = texts.encode(name, rows, with, params), {}
   for i, label in ipairs(rows.labels) do values[i] = tonumber(label) + 0.0 end
   split.values, split.gold = values, values
   return split
end

function task.encode(splits, with, params)
   local out = { labels = { "score" } }
   for _, name in ipairs { "train", "valid", "test" } do
      if splits[name] then out[name] = encode(name, splits[name], with, params) end
   end
   return out
end

function task.reading(tokens)
   return { text = tokens.rows.text, pair = tokens.rows.pair, label = tokens.rows.label, joiner = "\n", long = tokens.long,
      stride = tokens.stride }
end

-- ==== Training and scores ====

--- Squared errors.
function task.loss(logits, batch)
   local error = nn.reshape(logits, { #batch.examples }) - batch.labels
   return nn.mul(error, error)
end

--- { values } of a split.
function task.predict(model, split, features) return { values = scoring.values(model, split.tokens, features, split.parts) } end

--- For ft.predict: the number of each row.
function task.label(model, rows, opts)
   local tokens, windows = texts.for_model(model, rows, opts)
   local labels = {}
   for i, x in ipairs(scoring.values(model, tokens, nil, windows)) do labels[i] = ("%.9g"):format(x) end
   return { labels = labels }
end

function task.shown(columns, i) return columns.labels[i] end

task.told, task.some = texts.told, scoring.some

local measure = { metric = "pearson", metric_names = { pearson = "Pearson correlation", spearman = "Spearman correlation" },
   columns = { "pearson", "spearman" }, baseline_name = "training mean", baseline_phrase = "always answering the training mean",
   advice = "Check that each number still belongs to its row and that the text columns are the right ones." }
task.measure = measure

function measure.score(gold, input)
   local scores = metric.score(gold, input.values)
   scores.loss = scores.mse
   return scores
end

local function ids_of(gold)
   local ids = {}
   for i = 1, #gold do ids[i] = i end
   return ids
end

function measure.interval(gold, input, opts)
   return stats.grouped(ids_of(gold), metric.scorer(gold, input.values), task.headline, opts)
end

function measure.paired(gold, a, b, opts)
   local of_a, of_b = metric.scorer(gold, a.values), metric.scorer(gold, b.values)
   return stats.grouped(ids_of(gold), function(drawn)
      local p, s = of_a(drawn)
      local q, t = of_b(drawn)
      return p - q, s - t
   end, task.headline, opts)
end

function measure.pick(input, keep) return { values = keep(input.values) } end

function measure.counts() return nil end

--- The mean of the training rows, whatever the text.
function measure.baseline(train, gold)
   local sum, values = 0.0, {}
   for _, x in ipairs(train) do sum = sum + x end
   if #train == 0 then return nil end
   for i = 1, #gold do values[i] = sum / #train end
   local scores = metric.score(gold, values)
   scores.predictions = { values = values }
   return scores
end

-- ==== Results ====

--- predictions.csv: row, text (and pair), gold, predicted.
function task.save(dir, _, split, predicted)
   local names = { "row", "text", "gold", "predicted" }
   if split.pairs then table.insert(names, 3, "pair") end
   local w = failure.try("system", data.create(dir .. "/predictions.csv", "csv", names))
   for i = 1, split.n do
      local cells = { i, split.texts[i], split.values[i], predicted.values[i] }
      if split.pairs then table.insert(cells, 3, split.pairs[i]) end
      failure.try("system", w:row(table.unpack(cells)))
   end
   failure.try("system", w:commit())
end

return task
