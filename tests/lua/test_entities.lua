-- tests/lua/test_entities.lua - named entities: scores against seqeval, BertForTokenClassification against transformers,
-- words and windows, and decoding against trying all sequences of tags.

local check = require "check"
local fs = require "ftpipe.core.fs"
local graph = require "ftpipe.core.graph"
local json = require "ftpipe.core.json"
local param = require "ftpipe.core.param"
local store = require "ftpipe.core.store"
local tagging = require "ftpipe.core.tagging"
local tensor = require "ftpipe.core.tensor"
local entities = require "ftpipe.reading.entities"
local metric = require "ftpipe.metric.entities"
local model = require "ftpipe.model"
local stats = require "ftpipe.stats"
local tagger = require "ftpipe.tagger"
local tags = require "ftpipe.tags"
local task = require "ftpipe.task.named_entities"

local DIR = "tests/fixtures/bert/token_classification"
check.suite "named entities"

local function words(line)
   local out = {}
   for word in line:gmatch "%S+" do out[#out + 1] = word end
   return out
end

-- ==== Scores ====

check.test("scores_are_those_of_seqeval", function()
   local cases = json.decode(assert(fs.read "tests/fixtures/entities/seqeval.json")).cases
   check.equal(#cases, 14)
   local compared = 0
   for n, case in ipairs(cases) do
      local gold, predicted = {}, {}
      for i, line in ipairs(case.gold) do gold[i], predicted[i] = words(line), words(case.predicted[i]) end
      for mode, scheme in pairs { default = false, strict = case.scheme } do
         local got, want = metric.score_tags(gold, predicted, scheme or nil), case[mode]
         local function near(x, y, what) check.near(x, y, 1e-12, ("case %d %s %s"):format(n, mode, what)) end
         near(got.precision, want["micro avg"][1], "precision")
         near(got.recall, want["micro avg"][2], "recall")
         near(got.f1, want["micro avg"][3], "F1")
         near(got.macro_precision, want["macro avg"][1], "macro precision")
         near(got.macro_recall, want["macro avg"][2], "macro recall")
         near(got.macro_f1, want["macro avg"][3], "macro F1")
         near(got.weighted_f1, want["weighted avg"][3], "weighted F1")
         check.equal(got.entities, want["micro avg"][4])
         for _, class in ipairs(got.per_class) do
            local w = want[class.label]
            near(class.precision, w[1], class.label)
            near(class.recall, w[2], class.label)
            near(class.f1, w[3], class.label)
            check.equal(class.support, w[4])
            compared = compared + 1
         end
      end
   end
   check.is_true(compared > 80)
end)

check.test("tags_of_all_schemes_say_the_same_entities", function()
   local want = { { 1, 2, "PER" }, { 4, 4, "LOC" }, { 5, 5, "LOC" } }
   for _, line in ipairs { "B-PER I-PER O B-LOC B-LOC", "I-PER I-PER O I-LOC B-LOC", "B-PER E-PER O S-LOC S-LOC",
      "B-PER L-PER O U-LOC U-LOC" } do
      check.equal(tags.entities(words(line)), want, line)
   end
   check.equal(tags.entities(words "PER PER O LOC LOC"), { { 1, 2, "PER" }, { 4, 5, "LOC" } })
   check.equal(tags.entities(words "O I-X E-Y"), { { 2, 2, "X" }, { 3, 3, "Y" } })
   check.equal(tags.of(want, 5), words "B-PER I-PER O B-LOC B-LOC")
   check.error_contains("does not belong to the scheme IOB2", tags.strict, { "S-PER" }, "IOB2")
   check.equal(tags.scheme_of { words "O B-PER", words "S-LOC" }, "IOBES")
   check.equal(tags.scheme_of { words "O I-PER E-PER" }, "IOE2")
   check.equal(tags.scheme_of { words "O I-PER" }, nil)
end)

check.test("intervals_hold_the_score_and_pairs_of_equal_models_differ_by_nothing", function()
   local gold, predicted = {}, {}
   local random = check.random(3)
   for i = 1, 200 do
      gold[i] = { entities = { { 1, 2, "PER" }, { 4, 4, random(2) == 0 and "LOC" or "ORG" } } }
      predicted[i] = random(3) == 0 and { { 1, 2, "PER" } } or { { 4, 4, "LOC" } }
   end
   local opts = { random = check.random(1), resamples = 300 }
   local i = task.measure.interval(gold, { entities = predicted }, opts)
   local score = task.measure.score(gold, { entities = predicted })
   check.near(i.f1.value, score.f1, 1e-12)
   check.near(i.macro_f1.value, score.macro_f1, 1e-12)
   check.is_true(i.f1.low < score.f1 and score.f1 < i.f1.high and i.f1.high - i.f1.low < 0.3)
   local same = task.measure.paired(gold, { entities = predicted }, { entities = predicted }, opts)
   check.equal({ same.f1.low, same.f1.high, same.macro_f1.value }, { 0.0, 0.0, 0.0 })
   check.equal(stats.grouped({}, function() return 0 end, { "f1" }, opts), nil)
end)

-- ==== Decoding ====

-- The best allowed sequence by trying all.
local function best_of_all(x, n, C, rules)
   local best, most = nil, -math.huge
   local path = {}
   local function go(i, score)
      if i > n then
         if rules.stop:byte(path[n]) == 1 and score > most then best, most = table.concat(path, " "), score end
         return
      end
      for k = 1, C do
         local ok
         if i == 1 then ok = rules.start:byte(k) == 1 else ok = rules.follow:byte((path[i - 1] - 1) * C + k) == 1 end
         if ok then
            path[i] = k
            go(i + 1, score + x[(i - 1) * C + k])
         end
      end
      path[i] = nil
   end
   go(1, 0)
   return best
end

check.test("decoding_finds_the_best_allowed_sequence", function()
   local random = check.random(8)
   for _, labels in ipairs { words "O B-A I-A B-B I-B", words "O B-A I-A E-A S-A", words "O I-A I-B", words "O A B" } do
      local rules, types = tags.rules(labels)
      local C, broken = #labels, 0
      for _ = 1, 60 do
         local n, x = 1 + random(5), {}
         for i = 1, n do
            local sum, p = 0, {}
            for k = 1, C do
               p[k] = 1 + random(1000)
               sum = sum + p[k]
            end
            for k = 1, C do x[(i - 1) * C + k] = math.log(p[k] / sum) end
         end
         local want = {}
         for k in best_of_all(x, n, C, rules):gmatch "%d+" do want[#want + 1] = labels[tonumber(k)] end
         local scores = tensor.from(x, { n, C }, "f32")
         local got = tagging.decode(scores, tensor.from({ 0, n }, nil, "i32"), rules)[1]
         for _, e in ipairs(got) do
            e[3] = types[e[3]]
            check.is_true(e[4] > 0 and e[4] <= 1)
            e[4] = nil
         end
         check.equal(got, tags.entities(want), table.concat(want, " "))
         local greedy = {}
         for i = 1, n do
            local top = 1
            for k = 2, C do if x[(i - 1) * C + k] > x[(i - 1) * C + top] then top = k end end
            greedy[i] = labels[top]
         end
         if table.concat(greedy, " ") ~= table.concat(want, " ") then broken = broken + 1 end
      end
      if labels[2]:find "^B" then check.is_true(broken > 5, "constraints matter: " .. table.concat(labels, " ")) end
   end
end)

check.test("a_word_without_scores_takes_what_suits_its_neighbours", function()
   local rules = tags.rules(words "O B-A I-A")
   local scores = tagging.scores(3, 3)
   local log = math.log
   local function set(row, a, b, c)
      scores:set_rows(row, tensor.from({ log(a), log(b), log(c) }, { 1, 3 }, "f32"))
   end
   set(1, 0.1, 0.8, 0.1)
   set(3, 0.1, 0.2, 0.7)
   local first = tensor.from({ 0, 3 }, nil, "i32")
   local e = tagging.decode(scores, first, rules)[1]
   check.equal({ #e, e[1][1], e[1][2] }, { 1, 1, 3 })
   check.near(e[1][4], 0.75, 1e-6)
   local sums, counts = tagging.losses(scores, first, tensor.from({ 1, 2, 2 }, nil, "i32"))
   check.near(sums[1], -log(0.8) - log(0.7), 1e-6)
   check.equal(counts, { 2 })
end)

-- ==== Words ====

local function cut(text, style, cuts)
   return tagging.words(text, tagging.split(text, style, cuts))
end

check.test("words_of_raw_text", function()
   check.equal(cut("Ana's U.N. trip (Paris-based, 1,000 km)", "spaced"),
      { "Ana", "'s", "U.N.", "trip", "(", "Paris-based", ",", "1,000", "km", ")" })
   check.equal(cut("U.N. café", "fine"), { "U", ".", "N", ".", "café" })
   check.equal(cut("@bob: J. Doe…", "spaced"), { "@bob", ":", "J.", "Doe", "…" })
   check.equal(cut("Paris-based", "fine", { 2, 5 }), { "Pa", "ris", "-", "based" })
   check.equal(cut("👍🏽x🇩🇪🇫🇷 東京", "fine"), { "👍🏽", "x", "🇩🇪", "🇫🇷", "東", "京" })
   check.equal(cut("e\u{301}a\u{200b}b", "spaced"), { "e\u{301}a\u{200b}b" })
   check.equal(cut(" \n ", "fine"), {})
   check.equal({ tagging.split("a\xff", "fine") }, { nil, select(2, tagging.split("a\xff", "fine")) })
   local text, spans = tagging.join { "Ü", "b c", "d" }
   check.equal(text, "Ü b c d")
   check.equal({ tagging.span(spans, 2) }, { 2, 5 })
   check.equal({ tagging.locate(spans, 3, 7) }, { 2, 3 })
   check.equal(tagging.locate(spans, 1, 2), nil)
end)

-- ==== The model ====

local expect = json.decode(assert(fs.read(DIR .. "/expect.json")))
local values = assert(store.open(DIR .. "/expect.safetensors"))
local function get(key) return assert(values:tensor(key)):table() end

local m = model.load(DIR)
m.dims.dropout, m.dims.attention_dropout, m.c.dropout = 0, 0, 0

local function some_rows()
   local all = entities.read("pipelines/builtin/entities/test.txt", {}, error)
   local rows = { texts = {}, words = {}, entities = {}, styles = {}, lines = {}, file = all.file }
   for i = 1, all.n do
      if #all.entities[i] > 0 and #rows.texts < #expect.rows then
         local k = #rows.texts + 1
         for _, name in ipairs(task.columns) do rows[name][k] = all[name][i] end
      end
   end
   return rows
end

local rows = some_rows()
local data = task.encode({ train = rows }, m, { max_length = 128, stride = "auto" })
local split = data.train

check.test("tokens_and_gold_labels_are_those_of_the_fast_tokenizer", function()
   check.equal(m.options.task, "named_entities")
   check.equal(m.head_unit.name, "token_classification")
   check.equal(data.labels, expect.labels)
   check.equal(split.n, #expect.rows)
   for i, want in ipairs(expect.rows) do
      check.equal(split.tokens:ids(i), want.ids, "ids of row " .. i)
      check.equal(split.tokens:take(split.token_labels, { i }):table(), want.gold, "gold of row " .. i)
   end
end)

local function norm(a, b)
   local sum = 0
   for i = 1, #a do sum = sum + (a[i] - (b and b[i] or 0)) ^ 2 end
   return math.sqrt(sum)
end

local function batch_of(n)
   local index, words_in_all = {}, 0
   for i = 1, n do
      index[i] = i
      words_in_all = words_in_all + split.weights[i]
   end
   local batch = split.tokens:batch(index)
   batch.examples, batch.labels = index, split.tokens:take(split.token_labels, index)
   return batch, words_in_all
end

check.test("logits_loss_and_every_gradient_are_those_of_transformers", function()
   local holder = param.optim "sgd"
   holder:add(m:parameters(), 0, 0)
   graph.begin("train", 1, 1)
   local batch, n = batch_of(split.n)
   local logits = m:forward(batch)
   local got = logits:tensor():table()
   for i, x in ipairs(get "logits") do check.near(got[i], x, 1e-4, "logit " .. i) end
   local losses, sum = task.loss(logits, batch, 0), 0
   check.equal(losses:shape(), { split.n })
   for _, x in ipairs(losses:tensor():table()) do sum = sum + x end
   check.near(sum / n, expect.loss, 1e-5)
   graph.backward(losses, 1 / n)
   local names, seen = m.unit.weights(m.dims), 0
   for _, p in ipairs(m:parameters()) do
      local theirs = names[p:name()]
      local flat = p:grad():table()
      for k, name in ipairs(theirs or { m.head_names[p:name()] }) do
         local size = #flat // (theirs and #theirs or 1)
         local want = get("grad." .. (theirs and "bert." or "") .. name)
         local off = norm(table.move(flat, (k - 1) * size + 1, k * size, 1, {}), want)
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

check.test("the_mean_loss_of_a_split_is_that_of_its_words", function()
   local p = task.predict(m, split)
   check.near(p.loss, expect.loss, 1e-5)
   check.equal(#p.entities, split.n)
   for i, list in ipairs(p.entities) do
      for _, e in ipairs(list) do check.is_true(e[2] <= tagging.count(rows.words[i]) and e[4] > 0) end
   end
end)

check.test("windows_answer_for_every_word_once_and_near_their_middle", function()
   local whole = tagger.windows(m.tokenizer, rows, 128, 0)
   for _, stride in ipairs { 0, 4, 11 } do
      local cuts = tagger.windows(m.tokenizer, rows, 24, stride)
      check.is_true(cuts.n > 2 * #rows.texts)
      local all = 0
      for _, n in ipairs(tagging.words_of(cuts.tokens, cuts.places)) do all = all + n end
      local want = 0
      for i, n in ipairs(tagging.words_of(whole.tokens, whole.places)) do
         check.equal(n, tagging.count(rows.words[i]))
         want = want + n
      end
      check.equal(all, want)
      local word, row, at, seen = cuts.places.word:table(), cuts.places.row:table(), 0, {}
      for w = 1, cuts.n do
         local n = cuts.tokens:length(w)
         for k = 1, n do
            local id = word[at + k]
            if id >= 0 then
               local key = row[w] .. " " .. id
               check.equal(seen[key], nil, "answered twice")
               seen[key] = true
               -- inner windows leave what is near their ends to their neighbours
               local inner = w > 1 and w < cuts.n and row[w - 1] == row[w] and row[w + 1] == row[w]
               if inner and stride == 11 then check.is_true(k > 3 and k < n - 2, "token " .. k) end
            end
         end
         at = at + n
      end
   end
end)

check.test("misuse_is_an_error", function()
   check.error_contains("not the places of these tokens", tagging.words_of, split.tokens,
      tagger.windows(m.tokenizer, rows, 24, 4).places)
   check.error_contains("has no words 1 to 99", tagging.gold, tensor.from({ 0, 2 }, nil, "i32"), { { 1, 99, 2, 3 } })
   check.error_contains("must be", tagging.decode, tagging.scores(2, 3), tensor.from({ 0, 2 }, nil, "i32"),
      { kind = "", type = "", start = "", stop = "", follow = "" })
   check.error_contains("are not one for each", split.tokens.take, split.tokens, tensor.new { 3, 2 }, { 1 })
end)

check.done()
