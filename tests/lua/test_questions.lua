-- tests/lua/test_questions.lua - reading questions: every form of a row, where answers are, and what is wrong with a file.

if package then package.path = "lua/?.lua;tests/lua/?.lua;" .. package.path end

local check = require "check"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"
local questions = require "ftpipe.reading.questions"

check.suite "questions"

local base = ("%s/ftpipe-questions-%d"):format(sys.getenv and sys.getenv "TMPDIR" or "/tmp", sys.pid())
local made = {}

local function file(name, content)
   local path = base .. "-" .. name
   made[#made + 1] = path
   assert(fs.write(path, type(content) == "table" and json.encode(content) or content))
   return path
end

local function squad(...) return { version = "1.1", data = json.array { { title = "T", paragraphs = json.array { ... } } } } end

local function paragraph(context, ...)
   return { context = context, qas = json.array { ... } }
end

local function qa(id, answers, question)
   return { id = id, question = question or "What?", answers = json.array(answers) }
end

local function refuses(phrase, name, content)
   local path = file(name, content)
   check.error_contains(phrase, questions.read, path)
   check.error_contains(path, questions.read, path)
end

check.test("SQuAD 2.0: the built-in questions", function()
   local rows = questions.read "pipelines/builtin/questions/test.json"
   check.equal(rows.n, 66)
   local none = 0
   for i = 1, rows.n do
      local answers = rows.answers[i]
      if #answers == 0 then none = none + 1 end
      for _, answer in ipairs(answers) do
         check.equal(rows.contexts[i]:sub(answer.first, answer.last), answer.text, rows.ids[i])
      end
   end
   check.equal(none, 11)
   check.equal(rows.answers[1], { { text = "whisper", first = 70, last = 76 } })
end)

check.test("a row's answers in every form", function()
   local rows = questions.read(file("forms.jsonl", [[
{"id":"squad","question":"q","context":"a red lamp","answers":[{"text":"red","answer_start":2}]}

{"id":7,"question":"q","context":"a red lamp","answers":{"text":["red","lamp"],"answer_start":[2,6]}}
{"question":"q","context":"a red lamp","answer":"lamp"}
{"id":"none","question":"q","context":"a red lamp","answers":[]}
{"id":"none too","question":"q","context":"a red lamp","is_impossible":true}
{"id":"not told","question":"q","context":"a red lamp"}
{"id":"strings","question":"q","context":"a red lamp","answers":["red"]}
]]))
   check.equal(rows.ids, { "squad", "7", "4", "none", "none too", "not told", "strings" })
   check.equal(rows.lines, { 1, 3, 4, 5, 6, 7, 8 })
   check.equal(rows.answers[2], { { text = "red", first = 3, last = 5 }, { text = "lamp", first = 7, last = 10 } })
   check.equal(rows.answers[3], { { text = "lamp", first = 7, last = 10 } })
   check.equal({ rows.answers[4], rows.answers[5], rows.answers[6] }, { {}, {}, false })
   check.equal(rows.answers[7][1].first, 3)
end)

check.test("an array of rows, and a byte order mark", function()
   local rows = questions.read(file("array.json", "\xef\xbb\xbf" .. json.encode {
      { question = "q", context = "x y", answers = json.array {} }, { question = "r", context = "x y", answer = "y" } }))
   check.equal(rows.ids, { "1", "2" })
end)

check.test("places in code points, UTF-16 units and bytes are told apart by the text", function()
   local context = "\u{1F600}\u{1F600} né: the lamp"
   local rows = questions.read(file("units.json", squad(paragraph(context,
      qa("characters", { { text = "lamp", answer_start = 11 } }), qa("utf16", { { text = "lamp", answer_start = 13 } }),
      qa("bytes", { { text = "lamp", answer_start = 18 } })))))
   for i = 1, 3 do check.equal(rows.answers[i][1], { text = "lamp", first = 19, last = 22 }, rows.ids[i]) end
   check.equal(rows.units, { utf16 = 1, bytes = 1 })
end)

check.test("an answer that is not at answer_start is named, with what is there and where it occurs", function()
   refuses("question 'a': the answer \"lamp\" is not at answer_start 2, where the context has \"red \"; it occurs at 6",
      "wrong.json", squad(paragraph("a red lamp", qa("a", { { text = "lamp", answer_start = 2 } }))))
   refuses("data[1] (T).paragraphs[1].qas[1]", "wrong.json",
      squad(paragraph("a red lamp", qa("a", { { text = "lamp", answer_start = 2 } }))))
   refuses("is not at answer_start 99, behind the context's end; it does not occur in the context", "wrong.json",
      squad(paragraph("a red lamp", qa("a", { { text = "sofa", answer_start = 99 } }))))
end)

check.test("a span that cuts a character in two", function()
   refuses("question 'a': the answer \"e\" cuts a character in two", "cut.json",
      squad(paragraph("caf e\u{301}", qa("a", { { text = "e", answer_start = 4 } }))))
   refuses(":1: question 'b': the answer \"\u{1F468}\" cuts a character in two", "cut.jsonl",
      '{"id":"b","question":"q","context":"\u{1F468}\u{200D}\u{1F469} x","answers":[{"text":"\u{1F468}","answer_start":0}]}\n')
end)

check.test("JSON that is not closed names file and line", function()
   local whole = json.encode(squad(paragraph("a red lamp", qa("a", { { text = "red", answer_start = 2 } }))))
   refuses("open.json:1: invalid JSON in column", "open.json", whole:sub(1, -4))
   refuses("open.jsonl:2: invalid JSON in column", "open.jsonl", '{"question":"q","context":"c"}\n{"question":"q","context":"c\n')
   refuses("invalid JSON", "half.json",
      '[{"question":"q","context":"x \\ud83d y","answers":[]}]')
end)

check.test("a context without question, a question without context, a misspelt name", function()
   refuses("paragraphs[1]: a context without question: \"a red lamp\"", "none.json", squad(paragraph("a red lamp")))
   refuses("paragraphs[1]: there is no context", "none.json", squad { qas = json.array { qa("a", {}) } })
   refuses(":1: there is no question; did you mean its 'qestion'?", "none.jsonl", '{"qestion":"q","context":"c"}\n')
   refuses(":1: its question is empty", "none.jsonl", '{"question":" ","context":"c"}\n')
   refuses(":1: there is no context", "none.jsonl", '{"question":"q"}\n')
   refuses("has no questions", "empty.jsonl", "\n")
end)

check.test("other mistakes of a row", function()
   local function row(phrase, fields)
      refuses(phrase, "row.jsonl", ('{"id":"a","question":"q","context":"red red lamp",%s}\n'):format(fields))
   end
   row("occurs in several places of the context; give its answer_start", '"answer":"red"')
   row("marked is_impossible, but has answers", '"is_impossible":true,"answer":"lamp"')
   row("must be lists of the same length", '"answers":{"text":["lamp"],"answer_start":[]}')
   row("answer_start must be a whole number", '"answers":[{"text":"lamp","answer_start":-1}]')
   row("an answer is empty", '"answers":[{"text":"","answer_start":1}]')
   row("answers must be a list", '"answers":"lamp"')
   refuses("its id occurs before, on line 1", "twice.jsonl", ('{"id":"a","question":"q","context":"c"}\n'):rep(2))
   refuses("expected an object", "list.jsonl", "[1]\n")
   refuses("expected SQuAD's", "object.json", '{"rows":[]}')
   refuses("questions are read from", "what.txt", "x")
end)

check.test("bad rows put aside: each with file, line, reason and its text, and all others are read", function()
   local path = file("mixed.jsonl", [[
{"id":"good","question":"q","context":"a red lamp","answer":"red"}
{"id":"bad","question":"q","context":"a red lamp","answer":"sofa"}
{"id":
{"id":"also good","question":"q","context":"a red lamp","answers":[]}
]])
   local aside = {}
   local rows = questions.read(path, { reject = function(...) aside[#aside + 1] = { ... } end })
   check.equal(rows.ids, { "good", "also good" })
   check.equal({ #aside, aside[1][1], aside[1][2], aside[2][2] }, { 2, path, 2, 3 })
   check.contains(aside[1][3], "the answer \"sofa\" does not occur in the context")
   check.contains(aside[1][4], '"id":"bad"')
end)

for _, path in ipairs(made) do fs.remove(path) end
check.done()
