--- Answers of a tuned model: to single questions, or to those of a file, in windows of rows.
--
-- Rows keep their order and, in JSON Lines, their bytes: what is added is written before the closing brace, under names
-- that become predicted_NAME where the row has them already.

local json = require "ftpipe.core.json"
local answering = require "ftpipe.answering"
local failure = require "ftpipe.failure"
local line_file = require "ftpipe.line_file"
local questions = require "ftpipe.reading.questions"
local task = require "ftpipe.task.question_answering"

local predict = {}

predict.WINDOW = 256      -- questions that are computed together

---@class ftpipe.prediction
---@field answer string  empty: there is none
---@field start integer? code points of the context, from 0; nil without answer
---@field stop integer?  behind the last one
---@field score number   probability of the answer, or of there being none
---@field no_answer number probability that there is none; 0 for a model that always answers
---@field best { text: string, start: integer, stop: integer, score: number }[]

---@class ftpipe.answerer
local answerer = {}
answerer.__index = answerer

--- From a loaded model. A directory that transformers wrote always answers.
---@param model ftpipe.model
---@return ftpipe.answerer
function predict.open(model)
   local own = model.own or {}
   local max_length = own.max_length or math.min(model.dims.positions, task.max_length)
   return setmetatable({ model = model, max_length = max_length, stride = own.stride or task.stride(max_length),
      threshold = model.settings.no_answer_threshold or 1.0 }, answerer)
end

local function prediction(context, spans, threshold, most)
   local p, none = answering.probabilities(spans, threshold < 1)
   local out = { answer = "", score = none, no_answer = threshold < 1 and answering.no_answer(spans) or 0.0, best = {} }
   for k = 1, math.min(most, #spans) do
      out.best[k] = { text = answering.text(context, spans[k]), start = spans[k][1], stop = spans[k][2], score = p[k] }
   end
   if spans[1] and out.no_answer <= threshold then
      local first = out.best[1]
      out.answer, out.start, out.stop, out.score = first.text, first.start, first.stop, first.score
   end
   return out
end

--- Answers to questions about contexts, in their order; `most` spans of each.
---@param rows { ids: string[], questions: string[], contexts: string[], lines: integer[], file: string }
---@param most integer
---@return ftpipe.prediction[]
function answerer:answers(rows, most)
   local split = task.windows(self.model.tokenizer, rows, self.max_length, self.stride)
   local out = {}
   for i, spans in ipairs((answering.spans(self.model, split))) do
      out[i] = prediction(rows.contexts[i], spans, self.threshold, most)
   end
   split.tokens:close()
   split.windows:close()
   return out
end

-- ==== As JSON ====

local function number(x) return ("%.6g"):format(x) end

local function span_json(b)
   return ('{"text":%s,"start":%d,"end":%d,"score":%s}'):format(json.encode(b.text), b.start, b.stop, number(b.score))
end

--- `"answer":...,"start":...` with names that are free in `taken`.
---@param p ftpipe.prediction
---@param taken table<string, any>
function predict.additions(p, taken)
   local parts = {}
   local function add(name, text)
      while taken[name] ~= nil do name = "predicted_" .. name end
      parts[#parts + 1] = json.encode(name) .. ":" .. text
   end
   add("answer", json.encode(p.answer))
   add("start", p.start and tostring(p.start) or "null")
   add("end", p.stop and tostring(p.stop) or "null")
   add("score", number(p.score))
   add("no_answer", number(p.no_answer))
   local best = {}
   for k, b in ipairs(p.best) do best[k] = span_json(b) end
   add("best", "[" .. table.concat(best, ",") .. "]")
   return table.concat(parts, ",")
end

-- ==== Files ====

local function slice(rows, first, last)
   local out = { file = rows.file, lines = {} }
   for _, name in ipairs { "ids", "questions", "contexts" } do out[name] = table.move(rows[name], first, last, 1, {}) end
   for i = first, last do out.lines[i - first + 1] = rows.lines[i] end
   return out
end

-- One answer for each line, or, for SQuAD's scripts, all in one object.
local function line_of(rows, i, p, squad)
   if squad then
      return ("%s%s:%s"):format(i == 1 and "{" or ",\n", json.encode(rows.ids[i]), json.encode(p.answer))
   end
   local raw = rows.raw[i]:gsub("}%s*$", "")
   local taken = json.decode(rows.raw[i])
   return ("%s,%s}\n"):format(raw, predict.additions(p, taken))
end

---@class ftpipe.answer_stream
---@field input string path, or "-" for JSON Lines on standard input
---@field output string? nil: standard output
---@field format string? of the input: json, jsonl, squad
---@field best integer
---@field progress table?

--- Answer every question of a file. Nothing is at the output's path unless all went well.
---@param opts ftpipe.answer_stream
---@return integer rows
function answerer:stream(opts)
   local squad = opts.output ~= nil and opts.output:lower():find "%.json$" ~= nil
   local file <close> = line_file.open(opts.output)
   local rows = questions.read(opts.input, { format = opts.format, encoding = opts.encoding, answers = false, raw = true })
   if opts.progress then opts.progress:stage("predict", rows.n, "questions", 0) end
   for first = 1, rows.n, predict.WINDOW do
      local last = math.min(first + predict.WINDOW - 1, rows.n)
      for k, p in ipairs(self:answers(slice(rows, first, last), opts.best)) do
         failure.try("system", file:write(line_of(rows, first + k - 1, p, squad)))
      end
      if opts.progress then opts.progress:update { step = last } end
   end
   if squad then failure.try("system", file:write "}\n") end
   failure.try("system", file:commit())
   return rows.n
end

return predict
