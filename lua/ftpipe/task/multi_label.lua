--- Any number of labels for each row, which do not exclude each other: a text, or a pair of texts.
--
-- As transformers' sequence classification with problem_type multi_label_classification: each label has a logit of its own, and
-- the loss is the mean of their binary cross-entropies. What may surprise: a label is said where its probability reaches its
-- threshold, which is one half unless thresholds were tuned on the validation split; those are saved with the weights.

local data = require "ftpipe.core.data"
local nn = require "ftpipe.nn"
local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"
local label_sets = require "ftpipe.reading.label_sets"
local labelled = require "ftpipe.reading.labelled"
local metric = require "ftpipe.metric.multi_label"
local scoring = require "ftpipe.scoring"
local stats = require "ftpipe.stats"
local texts = require "ftpipe.texts"

local task = { name = "multi_label", head = "classification", metric = "micro_f1",
   metrics = { "micro_f1", "macro_f1", "subset_accuracy" }, headline = { "micro_f1", "macro_f1", "subset_accuracy" },
   columns = { "texts", "pairs", "labels", "lines" },
   fields = { "rows", "micro_f1", "macro_f1", "subset_accuracy", "micro_precision", "micro_recall", "weighted_f1", "samples_f1",
      "hamming_loss", "loss", "per_class", "thresholds" } }

-- ==== Rows ====

task.read = label_sets.read

function task.count(path, params) return labelled.count(path, params, function() return true end) end

--- Rows stand alone, and are shared out by the rarest of their labels, so that rare ones come into every split.
function task.units(rows)
   local counts, groups, order = {}, {}, {}
   for _, set in ipairs(rows.labels) do
      for _, label in ipairs(set) do counts[label] = (counts[label] or 0) + 1 end
   end
   for i, set in ipairs(rows.labels) do
      local rarest = ""
      for _, label in ipairs(set) do
         local n, least = counts[label], counts[rarest]
         if not least or n < least or (n == least and label < rarest) then rarest = label end
      end
      if not groups[rarest] then
         groups[rarest] = { key = rarest, units = {} }
         order[#order + 1] = groups[rarest]
      end
      table.insert(groups[rarest].units, { i })
   end
   table.sort(order, function(a, b) return a.key < b.key end)
   return order
end

-- ==== Tokens ====

local function label_names(rows)
   local seen, names = {}, {}
   for _, set in ipairs(rows.labels) do
      for _, label in ipairs(set) do
         if not seen[label] then
            seen[label] = true
            names[#names + 1] = label
         end
      end
   end
   table.sort(names)
   return names
end

local function unknown(rows, i, label, names)
   local near = sys.nearest(label, names)
   failure.raise("data", ("%s: label '%s' does not occur in the training rows%s"):format(texts.place(rows, i), label,
      near and ("; did you mean '%s'?"):format(near) or "; there: " .. table.concat(names, ", ")))
end

-- Ids of each row, ascending, and 0 or 1 for every row and label.
local function ids_of(rows, names)
   local number, gold, flat = {}, {}, {}
   for k, name in ipairs(names) do number[name] = k end
   for i, set in ipairs(rows.labels) do
      gold[i] = {}
      for _ = 1, #names do flat[#flat + 1] = 0 end
      for k, label in ipairs(set) do
         gold[i][k] = number[label] or unknown(rows, i, label, names)
         flat[(i - 1) * #names + gold[i][k]] = 1
      end
      table.sort(gold[i])
   end
   return gold, { width = #names, flat = flat }
end

local function note(split, names)
   local n, without = 0, 0
   for _, set in ipairs(split.gold) do n, without = n + #set, without + (#set == 0 and 1 or 0) end
   return ("%s: %d rows, %d labels of %d, %.2f for each row%s"):format(split.name, split.n, n, #names, n / split.n,
      without > 0 and (", %d rows without any"):format(without) or "")
end

-- What stands between labels where they are written: a sign that none of them holds.
local function separator_for(labels)
   for _, sign in ipairs { ";", "|", "," } do
      local held = false
      for _, label in ipairs(labels) do held = held or label:find(sign, 1, true) ~= nil end
      if not held then return sign end
   end
   return "; "
end

function task.encode(splits, with, params)
   local out = { labels = label_names(splits.train), notes = {} }
   out.separator = separator_for(out.labels)
   if #out.labels == 0 then failure.raise("data", ("%s: no training row has a label"):format(splits.train.file)) end
   for _, name in ipairs { "train", "valid", "test" } do
      local rows = splits[name]
      if rows then
         out[name] = texts.encode(name, rows, with, params)
         out[name].gold, out[name].targets = ids_of(rows, out.labels)
         out.notes[#out.notes + 1] = note(out[name], out.labels)
      end
   end
   return out
end

function task.reading(tokens)
   return { text = tokens.rows.text, pair = tokens.rows.pair, label = tokens.rows.label, joiner = "\n", long = tokens.long,
      stride = tokens.stride, map = tokens.rows.map,
      separator = tokens.separator }
end

-- ==== Training and scores ====

function task.loss(logits, batch, smoothing) return nn.sigmoid_cross_entropy(logits, batch.labels, smoothing) end

-- Mean binary cross-entropy of a row, from its logits.
local function loss_of(logits, gold)
   local sum = 0.0
   for _, x in ipairs(logits) do sum = sum + math.max(x, 0) + math.log(1 + math.exp(-math.abs(x))) end
   for _, k in ipairs(gold) do sum = sum - logits[k] end
   return sum / #logits
end

--- One half for each label.
local function halves(n)
   local out = {}
   for k = 1, n do out[k] = 0.5 end
   return out
end

local function probabilities_of(logits)
   local out = {}
   for k, x in ipairs(logits) do out[k] = 1 / (1 + math.exp(-x)) end
   return out
end

--- Probabilities of every label for every example; arguments as of scoring.logits.
function task.scores(...)
   local out = scoring.logits(...)
   for i, logits in ipairs(out) do out[i] = probabilities_of(logits) end
   return out
end

--- What a model says a label from: its thresholds, or one half.
function task.thresholds(model) return model.settings.thresholds or halves(#model.options.labels) end

--- { probabilities, predicted (ids of each row), losses, thresholds } of a split. While a model whose thresholds are to be
--- tuned is trained, its validation split is scored with those that suit it best.
function task.predict(model, split, features)
   local out = { probabilities = {}, predicted = {}, losses = {} }
   for i, logits in ipairs(scoring.logits(model, split.tokens, features, split.parts)) do
      out.probabilities[i], out.losses[i] = probabilities_of(logits), loss_of(logits, split.gold[i])
   end
   out.thresholds = task.thresholds(model)
   if model.tunes and split.name == "valid" then
      out.thresholds = metric.thresholds(split.gold, out.probabilities, #model.options.labels, model.tunes)
   end
   for i, p in ipairs(out.probabilities) do out.predicted[i] = metric.chosen(p, out.thresholds) end
   return out
end

--- For ft.predict: the labels of each row whose probability reaches their threshold; the row is as certain as the least
-- certain of all labels, those that it does not get included.
function task.label(model, rows, opts)
   local tokens, windows = texts.for_model(model, rows, opts)
   local sets, certain, thresholds = {}, {}, task.thresholds(model)
   for i, p in ipairs(task.scores(model, tokens, nil, windows)) do
      local said = {}
      sets[i], certain[i] = {}, 1.0
      for n, k in ipairs(metric.chosen(p, thresholds)) do sets[i][n], said[k] = model.options.labels[k], true end
      for k, x in ipairs(p) do certain[i] = math.min(certain[i], said[k] and x or 1 - x) end
   end
   return { labels = sets }, certain
end

function task.shown(columns, i) return table.concat(columns.labels[i], separator_for(columns.labels[i])) end

task.told, task.some = texts.told, scoring.some

--- Before training: what its thresholds are to become.
function task.begin(model, _, params) model.tunes = params.thresholds ~= "half" and params.thresholds or nil end

--- Settle the thresholds on the validation split.
function task.finish(model, set, features)
   if model.tunes and set.valid then model.settings.thresholds = task.predict(model, set.valid, features).thresholds end
   model.tunes = nil
end

local measure = { metric = "micro_f1", metric_names = { micro_f1 = "micro F1", macro_f1 = "macro F1",
   subset_accuracy = "subset accuracy" }, columns = task.headline, baseline_name = "frequent labels",
   advice = "Labels that are rare need more epochs or a higher learning rate, or thresholds tuned on the validation rows; and "
      .. "check that the labels still belong to their rows." }
task.measure = measure

function measure.score(gold, input, recorded)
   local scores = metric.score(gold, input.predicted, recorded.labels)
   scores.thresholds = input.thresholds
   if input.losses then
      local sum = 0.0
      for _, x in ipairs(input.losses) do sum = sum + x end
      scores.loss = #input.losses > 0 and sum / #input.losses or nil
   end
   return scores
end

function measure.interval(gold, input, opts)
   local ids, counts = metric.groups(gold, { input.predicted })
   return stats.grouped(ids, metric.scorer(counts[1], #opts.recorded.labels), task.headline, opts)
end

function measure.paired(gold, a, b, opts)
   local ids, counts = metric.groups(gold, { a.predicted, b.predicted })
   local of_a = metric.scorer(counts[1], #opts.recorded.labels)
   local of_b = metric.scorer(counts[2], #opts.recorded.labels)
   return stats.grouped(ids, function(drawn)
      local x, y, z = of_a(drawn)
      local u, v, w = of_b(drawn)
      return x - u, y - v, z - w
   end, task.headline, opts)
end

function measure.pick(input, keep) return { predicted = keep(input.predicted) } end

function measure.counts() return nil end

--- Always the labels that are most frequent in the training rows.
function measure.baseline(train, gold, recorded)
   local always, predicted = metric.constant(train, #recorded.labels), {}
   if #train == 0 then return nil end
   for i = 1, #gold do predicted[i] = always end
   local scores, names = metric.score(gold, predicted, recorded.labels), {}
   for i, k in ipairs(always) do names[i] = recorded.labels[k] end
   scores.label, scores.predictions = table.concat(names, ", "), { predicted = predicted }
   return scores
end

-- ==== Results ====

--- Names of ids, in one cell.
function task.cell(ids, labels, separator)
   local names = {}
   for i, k in ipairs(ids) do names[i] = labels[k] end
   return table.concat(names, separator or ";")
end

--- predictions.csv: row, text (and pair), gold, predicted, and the probability of every label.
function task.save(dir, tokens, split, predicted)
   local names, labels = { "row", "text", "gold", "predicted" }, tokens.labels
   if split.pairs then table.insert(names, 3, "pair") end
   for _, label in ipairs(labels) do names[#names + 1] = "prob_" .. label end
   local w = failure.try("system", data.create(dir .. "/predictions.csv", "csv", names))
   for i = 1, split.n do
      local cells = { i, split.texts[i], task.cell(split.gold[i], labels, tokens.separator),
         task.cell(predicted.predicted[i], labels, tokens.separator) }
      if split.pairs then table.insert(cells, 3, split.pairs[i]) end
      table.move(predicted.probabilities[i], 1, #labels, #cells + 1, cells)
      failure.try("system", w:row(table.unpack(cells)))
   end
   failure.try("system", w:commit())
end

return task
