--- Questions over contexts with their answers, from SQuAD JSON (1.1 and 2.0), JSON Lines and JSON arrays of rows.
--
-- A row has a question, a context, and either
--   answers = [{ "text", "answer_start" }, ...]           as in SQuAD; empty: there is no answer
--   answers = { "text": [...], "answer_start": [...] }    as the `datasets` library writes it
--   answer = "text", answer_start = n                     one answer; without answer_start it must occur just once
-- and may have an id (else its line, or its number, is it) and is_impossible.
--
-- answer_start counts code points, as in SQuAD. What may surprise: files that count UTF-16 units or bytes instead are read
-- as well, because the answer's text says which of the three it is; how many were is in `units`.

local data = require "ftpipe.core.data"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"
local text = require "ftpipe.core.text"
local failure = require "ftpipe.failure"
local files = require "ftpipe.reading.files"
local places = require "ftpipe.reading.places"

local questions = {}

---@class ftpipe.answer
---@field text string
---@field first integer byte of the context on which it begins, from 1
---@field last integer  its last byte

---@class ftpipe.questions
---@field n integer
---@field ids string[]
---@field questions string[]
---@field contexts string[]  equal contexts are one string
---@field answers (ftpipe.answer[]|false)[] empty: none in the context; false: not told
---@field lines integer[]    JSON Lines: where the row is; empty for JSON
---@field units { utf16: integer, bytes: integer } answers whose places were counted so
---@field file string

-- What is wrong with a row, raised inside read_row and caught where the row can be named.
local function bad(message) error({ bad = message }, 0) end

-- ==== Where an answer is ====

local shown, is_at = places.shown, places.is_at

local function check_cut(context, answer, first, last)
   if text.cuts(context, first) or text.cuts(context, last + 1) then
      bad(("the answer %s cuts a character in two"):format(shown(answer)))
   end
end

local function start_of(context, answer, start, units)
   local at = places.of_character(context, start)
   if is_at(context, answer, at) then return at end
   local unit, inside = places.of_unit(context, start)
   if not inside and is_at(context, answer, unit) then
      units.utf16 = units.utf16 + 1
      return unit
   end
   if is_at(context, answer, start + 1) then
      units.bytes = units.bytes + 1
      return start + 1
   end
   bad(("the answer %s is not at answer_start %d%s; %s"):format(shown(answer), start,
      at and at <= #context and (", where the context has %s"):format(shown(context:sub(at, (utf8.offset(context,
      (utf8.len(answer) or 1) + 1, at) or #context + 1) - 1))) or ", behind the context's end",
      places.told(context, answer, "context")))
end

-- One answer of a row, found in its context.
local function place(context, answer, start, units)
   if type(answer) ~= "string" then bad("an answer's text must be a string") end
   if not answer:find "%S" then bad("an answer is empty; a question without answer has answers = []") end
   local first
   if start == nil or start == json.null then
      local found = places.all(context, answer, 2)
      if #found ~= 1 then
         bad(("the answer %s %s; give its answer_start"):format(shown(answer),
            #found == 0 and "does not occur in the context" or "occurs in several places of the context"))
      end
      first = found[1]
   else
      if math.type(start) ~= "integer" or start < 0 then bad("answer_start must be a whole number from 0 on") end
      first = start_of(context, answer, start, units)
   end
   local last = first + #answer - 1
   check_cut(context, answer, first, last)
   return { text = answer, first = first, last = last }
end

-- ==== One row ====

local function is_list(value) return type(value) == "table" and (#value > 0 or next(value) == nil) end

-- Pairs of text and answer_start in any of the three forms; nil: the row does not tell.
local function pairs_of(row)
   local given = row.answers
   if given == nil or given == json.null then
      if row.answer == nil or row.answer == json.null then return row.is_impossible == true and {} or nil end
      if row.answer == "" then return {} end
      return { { row.answer, row.answer_start } }
   end
   if type(given) ~= "table" then bad "answers must be a list" end
   local out = {}
   if type(given.text) == "table" then
      local starts = given.answer_start
      if type(starts) ~= "table" or #starts ~= #given.text then
         bad "answers.text and answers.answer_start must be lists of the same length"
      end
      for i, answer in ipairs(given.text) do out[i] = { answer, starts[i] } end
      return out
   end
   if not is_list(given) then bad "answers must be a list of { text, answer_start }" end
   for i, answer in ipairs(given) do
      if type(answer) == "string" then answer = { text = answer } end
      if type(answer) ~= "table" then bad "answers must be a list of { text, answer_start }" end
      out[i] = { answer.text, answer.answer_start }
   end
   return out
end

local function need(row, key, nearby)
   local value = row[key]
   if value == nil or value == json.null then
      local near = sys.nearest(key, nearby)
      bad(("there is no %s%s"):format(key, near and ("; did you mean its '%s'?"):format(near) or ""))
   end
   if type(value) ~= "string" then bad(("its %s must be a string"):format(key)) end
   if not value:find "%S" then bad(("its %s is empty"):format(key)) end
   return value
end

local function keys_of(row)
   local keys = {}
   for key in pairs(row) do keys[#keys + 1] = key end
   table.sort(keys)
   return keys
end

local function add_row(rows, row, opts, id)
   local context, line = opts.context, opts.line
   local keys = keys_of(row)
   local question = need(row, "question", keys)
   context = context or need(row, "context", keys)
   local given = rows.wants_answers and pairs_of(row) or nil
   if given and #given > 0 and row.is_impossible == true then bad "it is marked is_impossible, but has answers" end
   rows.pool[context] = rows.pool[context] or context
   context = rows.pool[context]
   local answers = given and {} or false
   for i, pair in ipairs(given or {}) do answers[i] = place(context, pair[1], pair[2], rows.units) end
   if rows.seen[id] then bad(("its id occurs before, %s"):format(rows.seen[id])) end
   rows.seen[id] = line and ("on line %d"):format(line) or ("as question %d"):format(rows.n + 1)
   local k = rows.n + 1
   if rows.raw then
      rows.raw[k] = opts.raw or json.encode(opts.context and { id = id, question = question } or row)
   end
   rows.n, rows.ids[k], rows.questions[k], rows.contexts[k], rows.answers[k], rows.lines[k] = k, id, question, context,
      answers, line
end

local function id_of(row, otherwise)
   local id = row.id
   if id == nil or id == json.null then return otherwise end
   if math.type(id) == "integer" then return tostring(id) end
   if type(id) ~= "string" or id == "" then bad "its id must be a string" end
   return id
end

-- Read one row; what is wrong with it goes to `reject(place, line, message, row)`.
local function take(rows, reject, row, opts)
   local where, id = opts.where, nil
   local ok, problem = pcall(function()
      if type(row) ~= "table" or (#row > 0 or next(row) == nil) then bad "expected an object" end
      id = id_of(row, opts.id)
      add_row(rows, row, opts, id)
   end)
   if ok then return end
   if type(problem) ~= "table" or not problem.bad then error(problem, 0) end
   local named = id and row.id ~= nil and (" question '%s':"):format(id) or ""
   reject(rows.file, opts.line or 0, ("%s:%s %s"):format(where, named, problem.bad), json.encode(row))
end

-- ==== Files ====

local function paragraphs_of(rows, reject, article, where)
   local list = type(article) == "table" and article.paragraphs
   if not is_list(list) then
      return reject(rows.file, 0, where .. ": there is no list 'paragraphs'", json.encode(article))
   end
   for k, paragraph in ipairs(list) do
      local here = ("%s.paragraphs[%d]"):format(where, k)
      local context = type(paragraph) == "table" and paragraph.context
      local qas = type(paragraph) == "table" and paragraph.qas
      if type(context) ~= "string" or not context:find "%S" then
         reject(rows.file, 0, here .. ": there is no context", json.encode(paragraph))
      elseif not is_list(qas) or #qas == 0 then
         reject(rows.file, 0, ("%s: a context without question: %s"):format(here, shown(context)), json.encode(paragraph))
      else
         for i, qa in ipairs(qas) do
            take(rows, reject, qa, { where = ("%s.qas[%d]"):format(here, i), context = context,
               id = tostring(rows.n + 1) })
         end
      end
   end
end

local function read_squad(rows, reject, value)
   for k, article in ipairs(value.data) do
      local title = type(article) == "table" and type(article.title) == "string" and article.title ~= "" and article.title
      paragraphs_of(rows, reject, article, ("%s: data[%d]%s"):format(rows.file, k, title and " (" .. title .. ")" or ""))
   end
end

local function read_json(rows, reject)
   local bytes = files.text(rows.path, rows.encoding)
   local value, message = json.decode(bytes)
   if value == nil then
      local line, rest = message:match "line (%d+), (.*)$"
      failure.raise("data", ("%s:%s: invalid JSON in %s"):format(rows.file, line or "1", rest or message))
   end
   if type(value) == "table" and is_list(value.data) then return read_squad(rows, reject, value) end
   if not is_list(value) then
      failure.raise("data", ("%s: expected SQuAD's { \"data\": [...] } or an array of rows"):format(rows.file))
   end
   for i, row in ipairs(value) do
      take(rows, reject, row, { where = ("%s: item %d"):format(rows.file, i), id = tostring(i) })
   end
end

local function read_lines(rows, reject)
   local reader = failure.try("data", data.open(rows.path, { format = "lines", encoding = rows.encoding }))
   while true do
      local line, raw, at, bytes = reader:next { "text" }
      if line == nil then break end
      if not line then
         reject(rows.file, at, raw, bytes)
      elseif raw:find "%S" then
         local row, message = json.decode(raw)
         local where = ("%s:%d"):format(rows.file, line)
         if row == nil then
            reject(rows.file, line, ("%s: invalid JSON in %s"):format(where, (message:gsub("^.-line %d+, ", ""))), raw)
         else
            take(rows, reject, row, { where = where, line = line, id = tostring(line), raw = raw })
         end
      end
   end
   reader:close()
end

-- "squad", "jsonl" or "json" by the file's name; .json may be either of the two last.
local function format_of(path, format)
   if format and format ~= "auto" then return format end
   local extension = (path:match "%.([^./]+)$" or ""):lower()
   if extension == "jsonl" or extension == "ndjson" then return "jsonl" end
   if extension == "json" then return "json" end
   if path == "-" then return "jsonl" end
   failure.raise("usage", ("%s: questions are read from .json (SQuAD or an array) and .jsonl files"):format(path),
      "say format = \"squad\", \"json\" or \"jsonl\"")
end

local function refuse(_, _, message) failure.raise("data", message) end

---@class ftpipe.question_options
---@field format "auto"|"squad"|"json"|"jsonl"|nil
---@field encoding string? of the file, auto: by its mark
---@field answers boolean? false: answers that rows may have are not looked at
---@field raw boolean? keep the JSON text of each row (of SQuAD: its id and question) in `raw`
---@field reject nil|fun(file: string, line: integer, message: string, row: string) called for a row that cannot be
---   read, which is left out; without it such a row is an error

--- All questions of a file.
---@param path string
---@param opts ftpipe.question_options?
---@return ftpipe.questions
function questions.read(path, opts)
   opts = opts or {}
   local rows = { n = 0, ids = {}, questions = {}, contexts = {}, answers = {}, lines = {},
      path = path, file = path, encoding = opts.encoding, seen = {}, pool = {},
      units = { utf16 = 0, bytes = 0 }, wants_answers = opts.answers ~= false, raw = opts.raw and {} or nil }
   local read = format_of(path, opts.format) == "jsonl" and read_lines or read_json
   if path == "-" then rows.file = "standard input" end
   read(rows, opts.reject or refuse)
   rows.seen, rows.pool = nil, nil
   if rows.n == 0 then failure.raise("data", ("%s has no questions"):format(path)) end
   return rows
end

return questions
