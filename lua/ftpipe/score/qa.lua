--- Scores of answers to questions, from files: see ftpipe.metric.answers.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local data = require "ftpipe.core.data"
local failure = require "ftpipe.failure"
local answers = require "ftpipe.metric.answers"
local questions = require "ftpipe.reading.questions"

local qa = {}

local function fail(message, hint) failure.raise("data", message, hint) end

-- ==== Predictions ====

-- The names under which a row of predictions may hold its answer, the first one wins.
local KEYS = { "predicted_answer", "answer", "prediction_text", "prediction" }

local function from_row(out, row, where)
   if type(row) ~= "table" then fail(where .. ": expected an object") end
   local id = row.id
   if math.type(id) == "integer" then id = tostring(id) end
   if type(id) ~= "string" then fail(where .. ": there is no id") end
   if out.answers[id] then fail(("%s: a second prediction for question '%s'"):format(where, id)) end
   for _, key in ipairs(KEYS) do
      if type(row[key]) == "string" then out.answers[id] = row[key] break end
   end
   if not out.answers[id] then
      fail(("%s: question '%s' has no prediction; it is looked for in: %s"):format(where, id, table.concat(KEYS, ", ")))
   end
   for _, key in ipairs { "no_answer", "no_answer_probability" } do
      if type(row[key]) == "number" then
         out.no_answer = out.no_answer or {}
         out.no_answer[id] = row[key]
      end
   end
end

local function decode(path)
   local bytes = failure.try("data", fs.read(path)):gsub("^\xef\xbb\xbf", "")
   local value, message = json.decode(bytes)
   if value ~= nil then return value end
   local line, rest = message:match "line (%d+), (.*)$"
   fail(("%s:%s: invalid JSON in %s"):format(path, line or "1", rest or message))
end

local function read_lines(path, out)
   local reader = failure.try("data", data.open(path, { format = "lines" }))
   while true do
      local line, raw = reader:next { "text" }
      if line == nil then break end
      if not line then fail(raw) end
      if raw:find "%S" then
         local row, message = json.decode(raw)
         local where = ("%s:%d"):format(path, line)
         if row == nil then fail(("%s: invalid JSON in %s"):format(where, (message:gsub("^.-line %d+, ", "")))) end
         from_row(out, row, where)
      end
   end
   reader:close()
end

--- Predictions of a file: a JSON object { id: answer }, a JSON array of rows, or JSON Lines.
---@param path string
---@return { answers: table<string, string>, no_answer: table<string, number>? }
function qa.predictions(path)
   local out = { answers = {} }
   if path:lower():find "%.jsonl$" or path:lower():find "%.ndjson$" then
      read_lines(path, out)
      return out
   end
   local value = decode(path)
   if type(value) ~= "table" then fail(path .. ": expected a JSON object { id: answer }") end
   if #value > 0 then
      for i, row in ipairs(value) do from_row(out, row, ("%s: item %d"):format(path, i)) end
      return out
   end
   for id, answer in pairs(value) do
      if type(answer) ~= "string" then fail(("%s: the prediction for question '%s' is no text"):format(path, id)) end
      out.answers[id] = answer
   end
   return out
end

local function probabilities(path)
   local value = decode(path)
   if type(value) ~= "table" or #value > 0 then fail(path .. ": expected a JSON object { id: probability }") end
   for id, p in pairs(value) do
      if type(p) ~= "number" then fail(("%s: the probability of question '%s' is no number"):format(path, id)) end
   end
   return value
end

-- ==== Scores ====

--- Read both files and score. Gold questions without `answers` are an error.
---@param opts table as `ftpipe score` takes them
---@return ftpipe.answer_scores without per_row, with `unknown`: predictions for questions that gold does not have
function qa.score(opts)
   local rows = questions.read(opts.gold)
   local found = qa.predictions(opts.predictions)
   local gold, known = {}, {}
   for i = 1, rows.n do
      if not rows.answers[i] then fail(("%s: question '%s' has no answers to compare with"):format(opts.gold, rows.ids[i])) end
      local texts = {}
      for k, answer in ipairs(rows.answers[i]) do texts[k] = answer.text end
      gold[i], known[rows.ids[i]] = { id = rows.ids[i], answers = texts }, true
   end
   local unknown, all, some = 0, 0, nil
   for id in pairs(found.answers) do
      all = all + 1
      if not known[id] then unknown, some = unknown + 1, id end
   end
   if unknown > 0 and unknown == all then
      fail(("no prediction is for a question of %s (for instance '%s')"):format(opts.gold, some))
   end
   local no_answer = opts.no_answer and probabilities(opts.no_answer) or found.no_answer
   local scores = answers.score(gold, found.answers, { no_answer = no_answer, threshold = opts.threshold })
   scores.per_row, scores.unknown = nil, unknown
   return scores
end

local function points(x) return ("%.2f"):format(100 * x) end

--- The scores for people.
---@param s ftpipe.answer_scores
---@return string
function qa.text(s)
   local lines = { ("%-16s %10s %10s %10s"):format("", "questions", "exact", "F1") }
   local function row(name, part)
      if part then
         lines[#lines + 1] = ("%-16s %10d %10s %10s"):format(name, part.rows, points(part.exact), points(part.f1))
      end
   end
   row("all", s)
   row("with answer", s.has_answer)
   row("without answer", s.no_answer)
   if s.best_exact then
      lines[#lines + 1] = ("best exact match %s at threshold %.4g, best F1 %s at threshold %.4g"):format(points(s.best_exact),
         s.best_exact_threshold, points(s.best_f1), s.best_f1_threshold)
   end
   if s.missing > 0 then lines[#lines + 1] = ("%d questions have no prediction and count as wrong"):format(s.missing) end
   if s.unknown > 0 then lines[#lines + 1] = ("%d predictions are for questions that are not in gold"):format(s.unknown) end
   return table.concat(lines, "\n") .. "\n"
end

return qa
