-- tests/lua/test_question_answering.lua - questions in windows and BertForQuestionAnswering against what transformers and
-- its fast tokenizer gave: tokens, places, gold tokens, logits, losses, every gradient, and the best spans over windows.

local check = require "check"
local fs = require "ftpipe.core.fs"
local graph = require "ftpipe.core.graph"
local json = require "ftpipe.core.json"
local param = require "ftpipe.core.param"
local store = require "ftpipe.core.store"
local tensor = require "ftpipe.core.tensor"
local answering = require "ftpipe.answering"
local model = require "ftpipe.model"
local nn = require "ftpipe.nn"
local questions = require "ftpipe.reading.questions"
local windows = require "ftpipe.core.windows"

local DIR = "tests/fixtures/bert/question_answering"
check.suite "question answering"

local expect = json.decode(assert(fs.read(DIR .. "/expect.json")))
local values = assert(store.open(DIR .. "/expect.safetensors"))
local all = questions.read "pipelines/builtin/questions/test.json"

local function get(key) return assert(values:tensor(key)):table() end

local function load()
   local m = model.load(DIR)
   m.dims.dropout, m.dims.attention_dropout, m.c.dropout = 0, 0, 0
   local asked, contexts = {}, {}
   for i = 1, #expect.rows do asked[i], contexts[i] = all.questions[i], all.contexts[i] end
   check.equal(table.move(all.ids, 1, #expect.rows, 1, {}), table.move(expect.rows, 1, #expect.rows, 1, {}))
   local tokens, w = windows.encode(m.tokenizer, asked, contexts, { max_length = expect.max_length, stride = expect.stride })
   return m, assert(tokens, w), w
end

-- Code points [begin, end) of the first answer of row i; nil where there is none.
local function gold_span(i)
   local answer = all.answers[i][1]
   if not answer then return nil end
   local begin = utf8.len(all.contexts[i], 1, answer.first) - 1
   return begin, begin + utf8.len(answer.text)
end

local function range(n)
   local out = {}
   for i = 1, n do out[i] = i end
   return out
end

local function norm(a, b)
   local sum = 0
   for i = 1, #a do sum = sum + (a[i] - (b and b[i] or 0)) ^ 2 end
   return math.sqrt(sum)
end

local m, tokens, w = load()

check.test("windows_are_those_of_the_fast_tokenizer", function()
   check.equal(w:count(), #expect.windows)
   for i, want in ipairs(expect.windows) do
      check.equal(tokens:ids(i), table.move(want.ids, 1, #want.ids, 1, {}), "ids of window " .. i)
      check.equal({ w:row(i), w:text(i) }, { want.row + 1, want.first + 1, want.count }, "place of window " .. i)
      for k = 1, want.count do
         check.equal({ w:place(i, want.first + k) }, { want.begin[k], want["end"][k] })
      end
   end
end)

check.test("gold_tokens_are_found_in_the_windows_that_hold_all_of_the_answer", function()
   local held = 0
   for i, want in ipairs(expect.windows) do
      local begin, stop = gold_span(want.row + 1)
      local first, last
      if begin then first, last = w:locate(i, begin, stop) end
      if first then held = held + 1 end
      check.equal({ first and first - 1 or 0, last and last - 1 or 0 }, { want.gold[1], want.gold[2] }, "window " .. i)
   end
   check.is_true(held > 10)
end)

local function gold_tensor()
   local flat = {}
   for i, want in ipairs(expect.windows) do flat[2 * i - 1], flat[2 * i] = want.gold[1], want.gold[2] end
   return tensor.from(flat, { #expect.windows, 2 }, "i32")
end

check.test("logits_and_losses_are_those_of_transformers", function()
   graph.begin "eval"
   local batch = tokens:batch(range(w:count()))
   local logits = m:forward(batch)
   local got, want = logits:tensor():table(), get "logits"
   check.equal(#got, #want)
   for i = 1, #want do check.near(got[i], want[i], 1e-4, "logit " .. i) end
   local losses = nn.mean(nn.row_cross_entropy(logits, gold_tensor(), batch), 2):tensor():table()
   for i, x in ipairs(get "losses") do check.near(losses[i], x, 1e-4, "loss " .. i) end
end)

check.test("every_gradient_is_that_of_transformers", function()
   local holder = param.optim "sgd"
   holder:add(m:parameters(), 0, 0)
   graph.begin("train", 1, 1)
   local batch = tokens:batch(range(w:count()))
   local losses = nn.mean(nn.row_cross_entropy(m:forward(batch), gold_tensor(), batch), 2)
   graph.backward(losses, 1 / w:count())
   local names, seen = m.unit.weights(m.dims), 0
   for _, p in ipairs(m:parameters()) do
      local theirs = names[p:name()]
      local flat = p:grad():table()
      for k, name in ipairs(theirs or { m.head_names[p:name()] }) do
         local n = #flat // (theirs and #theirs or 1)
         local want = get("grad." .. (theirs and "bert." or "") .. name)
         local off = norm(table.move(flat, (k - 1) * n + 1, k * n, 1, {}), want)
         local allowed = name:find("self.key.bias", 1, true) and 1e-6 * expect.grad_norm
            or 1e-4 * math.max(norm(want), 1e-3 * expect.grad_norm)
         check.is_true(off <= allowed, ("%s: off by %g of %g"):format(name, off, norm(want)))
         seen = seen + 1
      end
   end
   check.equal(seen, 39)
   graph.begin "eval"
   holder:close()
end)

check.test("the_best_spans_of_a_window_are_those_of_all_pairs", function()
   graph.begin "eval"
   local index = { 3, 1, 2 }
   local logits = m:forward(tokens:batch(index)):tensor()
   local flat, at = logits:table(), 0
   for j, spans in ipairs(w:best(index, logits, 7, expect.longest)) do
      local i = index[j]
      local first, count = w:text(i)
      local every = {}
      for a = first, first + count - 1 do
         for b = a, math.min(a + expect.longest, first + count) - 1 do
            every[#every + 1] = { a = a, b = b, score = flat[at + 2 * a - 1] + flat[at + 2 * b] }
         end
      end
      table.sort(every, function(x, y) return x.score > y.score end)
      check.equal(#spans, 7)
      for k, span in ipairs(spans) do
         local begin, _ = w:place(i, every[k].a)
         local _, stop = w:place(i, every[k].b)
         check.equal({ span[1], span[2] }, { begin, stop })
         check.near(span[3], every[k].score, 1e-6)
      end
      check.near(spans.null, flat[at + 1] + flat[at + 2], 1e-6)
      at = at + 2 * tokens:length(i)
   end
end)

check.test("answers_over_windows_are_those_of_all_pairs_of_tokens", function()
   local longest = answering.LONGEST
   answering.LONGEST = expect.longest
   local split = { tokens = tokens, windows = w, rows = { questions = expect.rows } }
   local all_spans = answering.spans(m, split)
   answering.LONGEST = longest
   for row, want in ipairs(expect.answers) do
      local got = all_spans[row]
      check.near(got.null, want.null, 1e-4, "null score")
      for k, span in ipairs(want.spans) do
         check.near(got[k][3], span[3], 1e-4, "score")
         check.equal({ got[k][1], got[k][2] }, { span[1], span[2] }, ("row %d, span %d"):format(row, k))
      end
   end
end)

check.test("probabilities_of_answers_and_of_there_being_none", function()
   local spans = { { 0, 3, 2.0 }, { 4, 6, 1.0 }, null = 1.0 }
   local p, none = answering.probabilities(spans, true)
   check.near(p[1] + p[2] + none, 1, 1e-12)
   check.near(p[2], none, 1e-12)
   check.near(p[1] / p[2], math.exp(1), 1e-12)
   check.near(answering.no_answer(spans), 1 / (1 + math.exp(1)), 1e-12)
   local sure, nothing = answering.probabilities(spans, false)
   check.near(sure[1] + sure[2], 1, 1e-12)
   check.equal(nothing, 0.0)
   check.equal(answering.no_answer { null = 0.5 }, 1.0)
   check.equal(answering.text("né à \u{1F600} X", { 1, 6 }), "é à \u{1F600}")
end)

check.test("a_loaded_model_answers_with_places_in_its_context", function()
   local answerer = require("ftpipe.predict_questions").open(m)
   local rows = { ids = {}, questions = {}, contexts = {}, lines = {}, file = "test" }
   for i = 1, #expect.rows do
      rows.ids[i], rows.questions[i], rows.contexts[i] = all.ids[i], all.questions[i], all.contexts[i]
   end
   for i, p in ipairs(answerer:answers(rows, 3)) do
      check.equal({ #p.best, p.no_answer, p.answer }, { 3, 0.0, p.best[1].text })      -- transformers' own directory always answers
      for _, b in ipairs(p.best) do
         local c = rows.contexts[i]
         check.equal(c:sub(utf8.offset(c, b.start + 1), utf8.offset(c, b.stop + 1) - 1), b.text)
      end
   end
   answerer.threshold = 0.0
   check.equal({ answerer:answers(rows, 3)[1].answer, answerer:answers(rows, 3)[1].start }, { "" })
end)

check.test("windows_that_leave_no_room_are_named", function()
   local none, message, row = windows.encode(m.tokenizer, { "who", ("what "):rep(60) }, { "a context", "a context" },
      { max_length = 48, stride = 4 })
   check.equal({ none == nil, row }, { true, 2 })
   check.contains(message, "the other text has 60 tokens and the room is 45")
   local _, narrow = windows.encode(m.tokenizer, { "who" }, { ("what "):rep(60) }, { max_length = 10, stride = 9 })
   check.equal({ narrow:count(), narrow:text(1) }, { 29, 6, 4 })      -- room for 4 tokens, of which half is shared
   check.equal({ narrow:place(2, 6) }, { 10, 14 })
   check.error_contains("more logits than tokens", w.best, w, { 1 }, tensor.new { 100, 2 }, 3, 3)
   check.error_contains("fewer logits than tokens", w.best, w, { 1 }, tensor.new { 10, 2 }, 3, 3)
   check.error_contains("no such window", w.row, w, 0)
   check.error_contains("not a token of the text", w.place, w, 1, 1)
end)

check.test("windows_are_packed_and_read_back", function()
   local pack = require "ftpipe.core.pack"
   local sys = require "ftpipe.core.sys"
   local path = ("%s/windows-%d.pack"):format(sys.getenv "TMPDIR" or "/tmp", sys.pid())
   assert(assert(pack.bytes { w = w }):write(path))
   local back = assert(pack.read(path, {})).w
   check.equal(back:count(), w:count())
   for i = 1, w:count() do
      local first, count = w:text(i)
      check.equal({ back:row(i), back:text(i) }, { w:row(i), first, count })
      check.equal({ back:place(i, first + count - 1) }, { w:place(i, first + count - 1) })
   end
   local bytes = assert(fs.read(path))
   for _, cut in ipairs { 20, #bytes // 2, #bytes - 1 } do
      assert(fs.write(path, bytes:sub(1, cut)))
      check.equal(pack.read(path, {}), nil)
   end
   fs.remove(path)
end)

check.test("windows_over_single_texts", function()
   local t, one = windows.encode(m.tokenizer, { "the museum of sleep", "x" }, nil, { max_length = 5, stride = 1 })
   local n = t:count()
   check.equal({ n, one:row(n), one:text(n) }, { one:count(), 2, 2, 1 })
   check.is_true(n > 2)
   check.equal({ one:place(1, 2) }, { 0, 3 })
   local last = n - 1
   local first, count = one:text(last)
   check.equal(select(2, one:place(last, first + count - 1)), #"the museum of sleep")
end)

check.done()
