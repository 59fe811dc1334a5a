--- Names of persons, places and the like: which words of a text they are, and of which type.
--
-- An example is a window of a row; scores are of rows, losses of words. What may surprise: whatever scheme the data follow, a
-- new model learns BIO, and what it says is always well-formed, because only such sequences of tags are looked at.

local data = require "ftpipe.core.data"
local fs = require "ftpipe.core.fs"
local nn = require "ftpipe.nn"
local sys = require "ftpipe.core.sys"
local tagging = require "ftpipe.core.tagging"
local entities = require "ftpipe.reading.entities"
local failure = require "ftpipe.failure"
local metric = require "ftpipe.metric.entities"
local stats = require "ftpipe.stats"
local tagger = require "ftpipe.tagger"
local tags = require "ftpipe.tags"

local task = { name = "named_entities", head = "token_classification", metric = "f1", metrics = { "f1", "macro_f1" },
   headline = { "f1", "macro_f1" }, columns = { "texts", "words", "entities", "styles", "lines" },
   fields = { "rows", "f1", "precision", "recall", "macro_f1", "macro_precision", "macro_recall", "weighted_f1", "entities",
      "predicted", "correct", "loss", "per_class" } }

-- ==== Rows ====

local function options(params)
   if #params.text > 1 then failure.raise("usage", "text: entities are read from one field or column") end
   return { format = params.format, text = params.text[1], label = params.label, map = params.map,
      overlap = params.overlap, offsets = params.offsets, encoding = params.encoding, answers = params.labelled }
end

function task.read(path, params, bad) return entities.read(path, options(params), bad) end

function task.count(path, params)
   local ok, rows = pcall(entities.read, path, options(params), function() end)
   return ok and rows.n or nil
end

--- Rows stand alone; those with and without entities are shared out alike.
function task.units(rows)
   local groups = { { key = "with", units = {} }, { key = "without", units = {} } }
   for i, list in ipairs(rows.entities) do table.insert(groups[#list > 0 and 1 or 2].units, { i }) end
   return groups
end

-- ==== Tokens ====

task.stride = tagger.stride

local function types_of(rows)
   local seen, types = {}, {}
   for _, list in ipairs(rows.entities) do
      for _, e in ipairs(list) do
         if not seen[e[3]] then
            seen[e[3]] = true
            types[#types + 1] = e[3]
         end
      end
   end
   table.sort(types)
   return types
end

local function where(rows, i)
   local place = rows.lines[i] or "row " .. i
   return (math.type(place) and "%s:%d" or "%s: %s"):format(rows.file, place)
end

-- What tagging.gold wants of each row's entities.
local function marks_of(rows, labels)
   local marker, outside = tags.marker(labels)
   local marks = {}
   for i, list in ipairs(rows.entities) do
      local n = tagging.count(rows.words[i])
      marks[i] = outside ~= 1 and n > 0 and { 1, n, outside, outside } or {}
      for _, e in ipairs(list) do
         local own = marker(e[1], e[2], e[3])
         if not own then
            local types = select(2, tags.rules(labels))
            local near = sys.nearest(e[3], types)
            failure.raise("data", ("%s: no training row has an entity of type '%s'%s"):format(where(rows, i), e[3],
               near and ("; did you mean '%s'?"):format(near) or "; there: " .. table.concat(types, ", ")))
         end
         table.move(own, 1, #own, #marks[i] + 1, marks[i])
      end
   end
   return marks
end

local function gold_of(rows)
   local gold = {}
   for i, list in ipairs(rows.entities) do gold[i] = { entities = list, text = rows.texts[i], words = rows.words[i] } end
   return gold
end

-- Give a split the tags of these labels.
local function label(split, labels)
   split.word_labels = tagging.gold(split.places.first, marks_of(split.rows, labels))
   split.token_labels = tagging.token_labels(split.tokens, split.places, split.word_labels)
   return split
end

local function encode(name, rows, with, params, labels)
   local split = tagger.windows(with.tokenizer, rows, params.max_length, tagger.stride(params.max_length, params.stride),
      params.watch and params.watch(name, #rows.texts))
   split.name, split.file, split.gold, split.keys = name, rows.file, gold_of(rows), rows.texts
   split.weights = tagging.words_of(split.tokens, split.places)
   return label(split, labels)
end

local function note(split)
   local words, n = 0, 0
   for _, w in ipairs(split.rows.words) do words = words + tagging.count(w) end
   for _, list in ipairs(split.rows.entities) do n = n + #list end
   return ("%s: %d rows in %d windows, %d words, %d entities"):format(split.name, #split.gold, split.n, words, n)
end

function task.encode(splits, with, params)
   local types = types_of(splits.train)
   if #types == 0 then failure.raise("data", ("%s: no training row has an entity"):format(splits.train.file)) end
   local out = { labels = tags.labels(types), stride = tagger.stride(params.max_length, params.stride), notes = {},
      style = splits.train.styles[1] }
   failure.each({ "train", "valid", "test" }, function(name)
      if splits[name] then
         out[name] = encode(name, splits[name], with, params, out.labels)
         out.notes[#out.notes + 1] = note(out[name])
      end
   end)
   return out
end

--- A model that was tuned before keeps its own tags (BIOES, IO and others); every type of the data must be among them.
---@param m ftpipe.model
---@param labels string[] of the data
---@param place string where the model is
function task.adopt(m, labels, place)
   local marker, outside = tags.marker(m.options.labels)
   local types = select(2, tags.rules(m.options.labels))
   if not outside then
      failure.raise("data", ("%s has no tag O among its labels: %s"):format(place, table.concat(m.options.labels, ", ")))
   end
   for _, kind in ipairs((select(2, tags.rules(labels)))) do
      if not marker(1, 1, kind) then
         local near = sys.nearest(kind, types)
         failure.raise("data", ("%s finds %s, the data have '%s' too%s"):format(place, table.concat(types, ", "), kind,
            near and ("; did you mean '%s'?"):format(near) or ""), "map renames types, and drops those that it does not name")
      end
   end
end

--- The data with the tags of a model, where its scheme is another one.
function task.suited(m, set)
   if not set.labels or table.concat(m.options.labels, "\n") == table.concat(set.labels, "\n") then return set end
   local out = {}
   for k, v in pairs(set) do out[k] = v end
   out.labels = m.options.labels
   for _, name in ipairs { "train", "valid", "test" } do
      if set[name] then
         out[name] = {}
         for k, v in pairs(set[name]) do out[name][k] = v end
         label(out[name], out.labels)
      end
   end
   return out
end

function task.reading(tokens) return { stride = tokens.stride, words = tokens.style, text = tokens.rows.text } end

-- ==== Training ====

--- The sum of its words' losses for each window.
function task.loss(logits, batch, smoothing)
   local each = nn.cross_entropy(logits, batch.labels, smoothing)
   return nn.reshape(nn.row_sum(nn.reshape(each, { batch.rows:tokens(), 1 }), batch), { #batch.examples })
end

--- { entities, loss (mean over words) } of a split.
function task.predict(model, split, features)
   local scores <close> = tagger.scores(model, split, features)
   local sums, counts = tagging.losses(scores, split.places.first, split.word_labels)
   local sum, words = 0.0, 0
   for i, x in ipairs(sums) do sum, words = sum + x, words + counts[i] end
   return { entities = tagger.entities(model, scores, split), loss = words > 0 and sum / words or 0.0 }
end

--- For ft.predict: the entities of each row; it is as certain as its words' tags are probable (their geometric mean).
function task.label(model, rows, opts)
   local set = model.data or model.own or {}
   local most = math.min(model.dims.positions, opts.max_length or set.max_length or 512)
   local split = tagger.windows(model.tokenizer, rows, most, tagger.stride(most, set.stride))
   local scores <close> = tagger.scores(model, split)
   local found, certain = tagger.entities(model, scores, split), {}
   local said = tagging.gold(split.places.first, marks_of({ entities = found, words = rows.words, file = rows.file,
      lines = rows.lines }, model.options.labels))
   local sums, counts = tagging.losses(scores, split.places.first, said)
   for i, list in ipairs(found) do
      certain[i] = math.exp(-sums[i] / math.max(1, counts[i]))
      for k, e in ipairs(list) do list[k] = { e[1], e[2], e[3] } end
   end
   return { entities = found }, certain
end

--- "Ana Belić (PER), Porto (LOC)"
function task.shown(columns, i)
   local words, out = tagging.words(columns.texts[i], columns.words[i]), {}
   for k, e in ipairs(columns.entities[i]) do out[k] = ("%s (%s)"):format(table.concat(words, " ", e[1], e[2]), e[3]) end
   return table.concat(out, ", ")
end

function task.told(rows) return { "text" }, function(i) return rows.texts[i] end end

-- ==== Scores ====

local measure = { metric = "f1", metric_names = { f1 = "entity F1", macro_f1 = "macro F1" }, columns = { "f1", "macro_f1" },
   baseline_name = "training entities", baseline_phrase = "looking up the training rows' entities", class_unit = "entities",
   advice = "Entities may need more epochs or a higher learning rate than labels of whole texts; and check that the tags are in "
      .. "the column that was read (see the labels above)." }
task.measure = measure

local function entities_of(gold)
   local out = {}
   for i, row in ipairs(gold) do out[i] = row.entities end
   return out
end

function measure.score(gold, input)
   local scores = metric.score(entities_of(gold), input.entities)
   scores.loss = input.loss
   return scores
end

function measure.interval(gold, input, opts)
   local ids, counts, types = metric.groups(entities_of(gold), { input.entities })
   return stats.grouped(ids, metric.scorer(counts[1], types), task.headline, opts)
end

function measure.paired(gold, a, b, opts)
   local ids, counts, types = metric.groups(entities_of(gold), { a.entities, b.entities })
   local of_a, of_b = metric.scorer(counts[1], types), metric.scorer(counts[2], types)
   return stats.grouped(ids, function(drawn)
      local f, macro = of_a(drawn)
      local g, other = of_b(drawn)
      return f - g, macro - other
   end, task.headline, opts)
end

function measure.pick(input, keep) return { entities = keep(input.entities) } end

function measure.counts() return nil end

-- The training rows' entities by their first word: { [word] = { { words, type }, ... } longest first }; of several types of
-- one name the most frequent.
local function names_of(train)
   local seen, by_first = {}, {}
   for _, row in ipairs(train) do
      local words = #row.entities > 0 and tagging.words(row.text, row.words)
      for _, e in ipairs(row.entities) do
         local name = table.concat(words, " ", e[1], e[2])
         local entry = seen[name]
         if not entry then
            entry = { first = words[e[1]], name = name, n = e[2] - e[1] + 1, counts = {} }
            seen[name] = entry
            by_first[entry.first] = by_first[entry.first] or {}
            table.insert(by_first[entry.first], entry)
         end
         entry.counts[e[3]] = (entry.counts[e[3]] or 0) + 1
      end
   end
   for _, list in pairs(by_first) do
      table.sort(list, function(a, b) return a.n > b.n or (a.n == b.n and a.name < b.name) end)
      for _, entry in ipairs(list) do
         for kind, n in pairs(entry.counts) do
            local most = entry.kind and entry.counts[entry.kind]
            if not most or n > most or (n == most and kind < entry.kind) then entry.kind = kind end
         end
      end
   end
   return by_first
end

local function look_up(row, by_first)
   local words, out, i = tagging.words(row.text, row.words), {}, 1
   while i <= #words do
      local found
      for _, entry in ipairs(by_first[words[i]] or {}) do
         if i + entry.n - 1 <= #words and table.concat(words, " ", i, i + entry.n - 1) == entry.name then
            found = entry
            break
         end
      end
      if found then out[#out + 1] = { i, i + found.n - 1, found.kind } end
      i = i + (found and found.n or 1)
   end
   return out
end

--- Calling an entity what the training rows call one.
function measure.baseline(train, gold)
   local by_first, found = names_of(train), { entities = {} }
   for i, row in ipairs(gold) do found.entities[i] = look_up(row, by_first) end
   local scores = metric.score(entities_of(gold), found.entities)
   scores.predictions = found
   return scores
end

-- ==== Results ====

-- Code points [begin, stop) and the text of an entity.
local function place(row, e)
   local begin = tagging.span(row.words, e[1])
   local _, stop = tagging.span(row.words, e[2])
   return begin, stop, row.text:sub(utf8.offset(row.text, begin + 1), utf8.offset(row.text, stop + 1) - 1)
end

-- Gold and predicted entities of a row, those at the same place together, in their order.
local function matched(gold, predicted)
   local at, list = {}, {}
   for _, kind in ipairs { "gold", "predicted" } do
      for _, e in ipairs(kind == "gold" and gold or predicted) do
         local key = e[1] << 32 | e[2]
         if not at[key] then
            at[key] = { e = e }
            list[#list + 1] = at[key]
         end
         at[key][kind] = e
      end
   end
   table.sort(list, function(a, b) return a.e[1] < b.e[1] or (a.e[1] == b.e[1] and a.e[2] < b.e[2]) end)
   return list
end

local function save_columns(path, split, predicted)
   local out = {}
   for i, row in ipairs(split.gold) do
      local words = tagging.words(row.text, row.words)
      local gold, said = tags.of(row.entities, #words), tags.of(predicted.entities[i], #words)
      for k, word in ipairs(words) do out[#out + 1] = ("%s\t%s\t%s\n"):format(word:gsub("[\t\n]", " "), gold[k], said[k]) end
      out[#out + 1] = "\n"
   end
   failure.try("system", fs.write(path, table.concat(out)))
end

--- predictions.csv (an entity a row) and predictions.conll (word, gold tag, predicted tag).
function task.save(dir, _, split, predicted)
   local w = failure.try("system", data.create(dir .. "/predictions.csv", "csv",
      { "row", "start", "end", "text", "gold", "predicted", "score" }))
   for i, row in ipairs(split.gold) do
      for _, m in ipairs(matched(row.entities, predicted.entities[i])) do
         local begin, stop, text = place(row, m.e)
         failure.try("system", w:row(i, begin, stop, text, m.gold and m.gold[3] or "", m.predicted and m.predicted[3] or "",
            m.predicted and m.predicted[4] or ""))
      end
   end
   failure.try("system", w:commit())
   save_columns(dir .. "/predictions.conll", split, predicted)
end

return task
