--- One label for each row: a text, or a pair of texts.

local data = require "ftpipe.core.data"
local nn = require "ftpipe.nn"
local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"
local labelled = require "ftpipe.reading.labelled"
local metric = require "ftpipe.metric.classification"
local scoring = require "ftpipe.scoring"
local stats = require "ftpipe.stats"
local texts = require "ftpipe.texts"

local task = { name = "classification", head = "classification", metric = "accuracy", metrics = { "accuracy", "f1", "mcc" },
   headline = { "accuracy", "f1" }, columns = { "texts", "pairs", "labels", "lines" },
   fields = { "rows", "accuracy", "f1", "mcc", "loss", "confusion", "per_class" } }

-- ==== Rows ====

task.read, task.count = labelled.read, labelled.count

--- What is wrong with a label: nothing.
function task.label_problem() return nil end

--- Rows stand alone, and are shared out label by label.
function task.units(rows)
   local groups, order = {}, {}
   for i, label in ipairs(rows.labels) do
      if not groups[label] then
         groups[label] = { key = label, units = {} }
         order[#order + 1] = groups[label]
      end
      table.insert(groups[label].units, { i })
   end
   table.sort(order, function(a, b) return a.key < b.key end)
   return order
end

-- ==== Tokens ====

-- Numbers in order of value, other labels in byte order.
local function label_names(rows)
   local seen, names, numeric = {}, {}, true
   for _, label in ipairs(rows.labels) do
      if not seen[label] then
         seen[label] = true
         names[#names + 1] = label
         numeric = numeric and tonumber(label) ~= nil
      end
   end
   table.sort(names, function(a, b)
      if numeric and tonumber(a) ~= tonumber(b) then return tonumber(a) < tonumber(b) end
      return a < b
   end)
   return names
end

local function ids_of(rows, ids)
   local labels, names = {}, {}
   for label in pairs(ids) do names[#names + 1] = label end
   for i, label in ipairs(rows.labels) do
      labels[i] = ids[label]
      if not labels[i] then
         table.sort(names)
         local near = sys.nearest(label, names)
         failure.raise("data", ("%s: label '%s' does not occur in the training rows%s"):format(texts.place(rows, i), label,
            near and ("; did you mean '%s'?"):format(near) or ("; there: " .. table.concat(names, ", "))))
      end
   end
   return labels
end

local function encode(name, rows, ids, with, params)
   local labels = ids_of(rows, ids)
   local split = texts.encode(name, rows, with, params)
   split.labels, split.gold = labels, labels
   return split
end

function task.encode(splits, with, params)
   local out = { labels = label_names(splits.train) }
   if #out.labels < 2 then
      failure.raise("data", ("%s: all training rows have the label '%s'; two or more are needed"):format(
         splits.train.file, out.labels[1] or ""))
   end
   local ids = {}
   for k, label in ipairs(out.labels) do ids[label] = k end
   failure.each({ "train", "valid", "test" }, function(name)
      if splits[name] then out[name] = encode(name, splits[name], ids, with, params) end
   end)
   return out
end

function task.reading(tokens)
   return { text = tokens.rows.text, pair = tokens.rows.pair, label = tokens.rows.label, joiner = "\n", long = tokens.long,
      stride = tokens.stride, map = tokens.rows.map }
end

-- ==== Training and scores ====

function task.loss(logits, batch, smoothing) return nn.cross_entropy(logits, batch.labels, smoothing) end

--- { probabilities, predicted (ids from 1), losses (-log p of the gold label) } of a split.
function task.predict(model, split, features)
   local probabilities = scoring.probabilities(model, split.tokens, features, split.parts)
   local losses = {}
   for i, p in ipairs(probabilities) do losses[i] = -math.log(math.max(p[split.labels[i]], 1e-300)) end
   return { probabilities = probabilities, predicted = metric.argmax(probabilities), losses = losses }
end

--- For ft.predict: the most probable label of each row, and its probability.
function task.label(model, rows, opts)
   local tokens, windows = texts.for_model(model, rows, opts)
   local probabilities, labels, certain = scoring.probabilities(model, tokens, nil, windows), {}, {}
   for i, k in ipairs(metric.argmax(probabilities)) do
      labels[i], certain[i] = model.options.labels[k], probabilities[i][k]
   end
   return { labels = labels }, certain
end

function task.shown(columns, i) return columns.labels[i] end

task.told, task.some = texts.told, scoring.some

local measure = { metric = "accuracy" }
task.measure = measure

local function guesses(input) return input.predicted or metric.argmax(input.probabilities) end

local function with_classes(opts)
   local out = {}
   for k, v in pairs(opts) do out[k] = v end
   out.classes = #opts.recorded.labels
   return out
end

function measure.score(gold, input, recorded)
   return metric.score { gold = gold, predicted = guesses(input), probabilities = input.probabilities, losses = input.losses,
      labels = recorded.labels }
end

function measure.interval(gold, input, opts) return stats.interval(gold, guesses(input), with_classes(opts)) end

function measure.paired(gold, a, b, opts) return stats.paired(gold, guesses(a), guesses(b), with_classes(opts)) end

function measure.pick(input, keep) return { predicted = keep(guesses(input)) } end

function measure.counts(gold, recorded)
   local counts = {}
   for k = 1, #recorded.labels do counts[k] = 0 end
   for _, g in ipairs(gold) do counts[g] = counts[g] + 1 end
   return counts
end

--- Always the training rows' most frequent label.
function measure.baseline(train, gold, recorded)
   local scores = metric.baseline(train, gold, recorded.labels)
   if not scores then return nil end
   scores.predictions = { predicted = {} }
   for row = 1, #gold do scores.predictions.predicted[row] = scores.id end
   return scores
end

-- ==== Results ====

--- predictions.csv: row, text (and pair), gold, predicted, probability.
function task.save(dir, tokens, split, predicted)
   local labels = tokens.labels
   local names = { "row", "text", "gold", "predicted", "probability" }
   if split.pairs then table.insert(names, 3, "pair") end
   local w = failure.try("system", data.create(dir .. "/predictions.csv", "csv", names))
   for i = 1, split.n do
      local k = predicted.predicted[i]
      local cells = { i, split.texts[i], labels[split.labels[i]], labels[k], predicted.probabilities[i][k] }
      if split.pairs then table.insert(cells, 3, split.pairs[i]) end
      failure.try("system", w:row(table.unpack(cells)))
   end
   failure.try("system", w:commit())
end

return task
