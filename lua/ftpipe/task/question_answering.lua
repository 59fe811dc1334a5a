--- Answers to questions, as spans of a context that is given (extractive question answering).
--
-- An example is a window: a question with as much of its context as fits. What may surprise: scores are of questions,
-- losses of windows, and a window that does not hold all of the answer learns to point at [CLS], as a question
-- without answer does.

local data = require "ftpipe.core.data"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local nn = require "ftpipe.nn"
local windows = require "ftpipe.core.windows"
local answering = require "ftpipe.answering"
local failure = require "ftpipe.failure"
local head = require "ftpipe.head.question_answering"
local metric = require "ftpipe.metric.answers"
local questions = require "ftpipe.reading.questions"
local stats = require "ftpipe.stats"

local task = { name = "question_answering", head = "question_answering", metric = "f1", metrics = { "exact", "f1" },
   headline = { "exact", "f1" }, columns = { "ids", "questions", "contexts", "answers", "lines" }, max_length = 384,
   fields = { "rows", "exact", "f1", "loss", "has_answer", "no_answer", "threshold" } }

-- ==== Rows ====

local function format_of(params)
   if params.format == "csv" or params.format == "tsv" then
      failure.raise("usage", ("format = %s: questions are read from squad, json and jsonl files"):format(params.format))
   end
   return params.format
end

function task.read(path, params, bad)
   if params.keep then failure.raise("usage", "keep: questions have no further columns") end
   return questions.read(path, { format = format_of(params), encoding = params.encoding, answers = params.labelled,
      reject = function(_, line, message, raw) bad(line, message, raw) end })
end

function task.count(path, params)
   local ok, rows = pcall(questions.read, path, { format = params.format, encoding = params.encoding, reject = function() end })
   return ok and rows.n or nil
end

--- Questions of one context stay together: else a model would be tested on texts it has learnt from.
function task.units(rows)
   local by_context, units = {}, {}
   for i, context in ipairs(rows.contexts) do
      if not by_context[context] then
         by_context[context] = {}
         units[#units + 1] = by_context[context]
      end
      table.insert(by_context[context], i)
   end
   return { { key = "contexts", units = units } }
end

-- ==== Windows ====

local function where(rows, i)
   return rows.lines[i] and ("%s:%d: question '%s'"):format(rows.file, rows.lines[i], rows.ids[i])
      or ("%s: question '%s'"):format(rows.file, rows.ids[i])
end

--- Tokens that windows share: a third of a window, 128 at most.
function task.stride(max_length, stride)
   if stride == nil or stride == "auto" then return math.min(128, max_length // 3) end
   return stride
end

--- Rows in windows: { tokens, windows, rows, full }. Raises "data" with the question that leaves no room for its context.
---@param tokenizer userdata
---@param rows { questions: string[], contexts: string[], ids: string[], lines: integer[], file: string }
---@param max_length integer
---@param stride integer
---@param tick nil|fun(n: integer) hears how many rows are done
function task.windows(tokenizer, rows, max_length, stride, tick)
   local tokens, cut, full = windows.encode(tokenizer, rows.questions, rows.contexts,
      { max_length = max_length, stride = stride, tick = tick })
   if not tokens then
      failure.raise("data", ("%s: %s"):format(where(rows, full), cut), "a larger max_length may help")
   end
   return { tokens = tokens, windows = cut, rows = rows, full = full }
end

-- Code points [begin, end) of the first answer, nil where there is none.
local function gold_span(rows, i)
   local answer = rows.answers[i][1]
   if not answer then return nil end
   local begin = utf8.len(rows.contexts[i], 1, answer.first) - 1
   return begin, begin + utf8.len(answer.text)
end

-- First and last gold token of every window, from 0; 0, 0 where the answer is not all there. And the questions whose
-- answer is in no window.
local function gold_tokens(split)
   local flat, held = {}, {}
   for w = 1, split.windows:count() do
      local row = split.windows:row(w)
      local begin, stop = gold_span(split.rows, row)
      local first, last
      if begin then first, last = split.windows:locate(w, begin, stop) end
      flat[2 * w - 1], flat[2 * w] = first and first - 1 or 0, last and last - 1 or 0
      held[row] = held[row] or not begin or first ~= nil
   end
   local lost = 0
   for row = 1, #split.rows.questions do if not held[row] then lost = lost + 1 end end
   return { width = 2, flat = flat }, lost
end

local function gold_of(rows)
   local gold, keys = {}, {}
   for i, answers in ipairs(rows.answers) do
      if not answers then
         failure.raise("data", where(rows, i) .. " has no answers to learn from or to compare with",
            "give `answers`, an empty list where there is none")
      end
      local texts = {}
      for k, answer in ipairs(answers) do texts[k] = answer.text end
      gold[i], keys[i] = { id = rows.ids[i], answers = texts }, rows.questions[i] .. "\n" .. rows.contexts[i]
   end
   return gold, keys
end

local function encode(name, rows, with, params)
   local gold, keys = gold_of(rows)
   local split = task.windows(with.tokenizer, rows, params.max_length, task.stride(params.max_length, params.stride),
      params.watch and params.watch(name, #rows.questions))
   split.name, split.file, split.gold, split.keys, split.n = name, rows.file, gold, keys, split.windows:count()
   split.targets, split.lost = gold_tokens(split)
   return split
end

function task.encode(splits, with, params)
   local out = { labels = head.labels, stride = task.stride(params.max_length, params.stride), notes = {} }
   for _, name in ipairs { "train", "valid", "test" } do
      if splits[name] then
         out[name] = encode(name, splits[name], with, params)
         out.notes[#out.notes + 1] = ("%s: %d questions in %d windows%s"):format(name, #out[name].gold, out[name].n,
            out[name].lost > 0 and (", the answers to %d of them in no window"):format(out[name].lost) or "")
      end
   end
   return out
end

function task.reading(tokens) return { stride = tokens.stride } end

-- ==== Training ====

--- Mean of the losses of start and end, one for each window.
function task.loss(logits, batch, smoothing)
   return nn.mean(nn.row_cross_entropy(logits, batch.labels, batch, smoothing), 2)
end

local function any_without(gold) return gold and metric.is_two(gold) or false end

local function ids_to(gold, values)
   local out = {}
   for i, question in ipairs(gold) do out[question.id] = values[i] end
   return out
end

-- The threshold with the best F1 on these questions.
local function tuned_threshold(gold, texts, no_answer)
   local scores = metric.score(gold, ids_to(gold, texts)).per_row.f1
   return select(2, metric.best_threshold(gold, ids_to(gold, texts), scores, ids_to(gold, no_answer)))
end

--- { spans, texts (the best span), no_answer (probability), threshold, losses } of a split. Until a model has a threshold,
--- the one that suits the split best is used for validation, and one half elsewhere.
function task.predict(model, split, features)
   local spans, losses = answering.spans(model, split, features)
   local out = { spans = spans, texts = {}, no_answer = {}, losses = losses }
   for row, found in ipairs(spans) do
      out.texts[row] = found[1] and answering.text(split.rows.contexts[row], found[1]) or ""
      out.no_answer[row] = answering.no_answer(found)
   end
   out.threshold = model.settings.no_answer_threshold
   if not out.threshold then
      out.threshold = not any_without(split.gold) and 1.0
         or split.name == "valid" and tuned_threshold(split.gold, out.texts, out.no_answer) or 0.5
   end
   return out
end

--- Settle above which probability a question counts as unanswerable: tuned on the validation split; 1, which is never,
-- where all questions have answers.
function task.finish(model, set, features)
   local valid = set.valid and any_without(set.valid.gold)
   if not valid and not any_without(set.train and set.train.gold) then
      model.settings.no_answer_threshold = 1.0
   elseif not valid then
      model.settings.no_answer_threshold = 0.5
   else
      model.settings.no_answer_threshold = nil
      model.settings.no_answer_threshold = task.predict(model, set.valid, features).threshold
   end
end

--- For ft.predict: the best answer to each question, or none where that is more probable than the model's threshold.
function task.label(model, rows, opts)
   local set = model.data or model.own or {}
   local most = math.min(model.dims.positions, opts.max_length or set.max_length or task.max_length)
   local split = task.windows(model.tokenizer, rows, most, task.stride(most, set.stride))
   local threshold = model.settings.no_answer_threshold or 1.0
   local answers, certain = {}, {}
   for i, spans in ipairs((answering.spans(model, split))) do
      local p, none = answering.probabilities(spans, threshold < 1)
      local answered = spans[1] and (threshold >= 1 or answering.no_answer(spans) <= threshold)
      local text = answered and answering.text(rows.contexts[i], spans[1])
      answers[i] = answered and { { text = text, first = utf8.offset(rows.contexts[i], spans[1][1] + 1) } } or {}
      if answered then answers[i][1].last = answers[i][1].first + #text - 1 end
      certain[i] = answered and p[1] or none
   end
   return { answers = answers }, certain
end

function task.shown(columns, i)
   local texts = {}
   for k, answer in ipairs(columns.answers[i] or {}) do texts[k] = answer.text end
   return table.concat(texts, " | ")
end

function task.told(rows) return { "id", "question" }, function(i) return rows.ids[i], rows.questions[i] end end

-- ==== Scores ====

local measure = { metric = "f1", metric_names = { exact = "exact match", f1 = "F1" }, columns = { "exact", "f1" },
   baseline_name = "always no answer",
   advice = "A few hundred questions teach a new head little: train longer or with a higher learning rate, or begin with a "
      .. "model that was tuned for questions before." }
task.measure = measure

-- What is answered once the threshold has been looked at.
local function final(input)
   local out = {}
   for row, answer in ipairs(input.texts) do out[row] = input.no_answer[row] > input.threshold and "" or answer end
   return out
end

local function scores_of(gold, input) return metric.score(gold, ids_to(gold, final(input))) end

local function mean(values)
   if not values or #values == 0 then return nil end
   local sum = 0.0
   for _, x in ipairs(values) do sum = sum + x end
   return sum / #values
end

function measure.score(gold, input)
   local scores = scores_of(gold, input)
   scores.loss, scores.threshold = mean(input.losses), input.threshold
   return scores
end

local function columns_of(gold, input)
   local rows = scores_of(gold, input).per_row
   return { rows.exact, rows.f1 }
end

function measure.interval(gold, input, opts) return stats.mean_interval(task.headline, columns_of(gold, input), opts) end

function measure.paired(gold, a, b, opts)
   return stats.mean_paired(task.headline, columns_of(gold, a), columns_of(gold, b), opts)
end

function measure.pick(input, keep)
   return { texts = keep(input.texts), no_answer = keep(input.no_answer), threshold = input.threshold }
end

function measure.counts() return nil end

--- Always answering that there is no answer, where some questions have none.
function measure.baseline(_, gold)
   if not any_without(gold) then return nil end
   local nothing = { texts = {}, no_answer = {}, threshold = 0.5 }
   for row = 1, #gold do nothing.texts[row], nothing.no_answer[row] = "", 1.0 end
   local scores = scores_of(gold, nothing)
   scores.label, scores.predictions = "no answer", nothing
   return scores
end

-- ==== Results ====

--- predictions.csv (a row for each question) and predictions.json ({ id: answer }, as SQuAD's scripts read it).
function task.save(dir, _, split, predicted)
   local w = failure.try("system", data.create(dir .. "/predictions.csv", "csv",
      { "row", "id", "question", "gold", "predicted", "score", "no_answer", "exact", "f1" }))
   local texts, by_id = final(predicted), {}
   local scores = scores_of(split.gold, predicted).per_row
   for i, question in ipairs(split.gold) do
      by_id[question.id] = texts[i]
      local p = answering.probabilities(predicted.spans[i], predicted.threshold < 1)
      failure.try("system", w:row(i, question.id, split.rows.questions[i], table.concat(question.answers, " | "), texts[i],
         p[1] or 0, predicted.no_answer[i], scores.exact[i], scores.f1[i]))
   end
   failure.try("system", w:commit())
   failure.try("system", fs.write(dir .. "/predictions.json", json.encode(by_id) .. "\n"))
end

return task
