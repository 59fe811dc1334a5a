-- tests/lua/test_entity_files.lua - files of named entities: columns of every scheme, JSON Lines, doccano, Label Studio,
-- Prodigy, places counted in code points, UTF-16 units and bytes, and what is refused and how.

local check = require "check"
local fs = require "ftpipe.core.fs"
local sys = require "ftpipe.core.sys"
local tagging = require "ftpipe.core.tagging"
local entities = require "ftpipe.reading.entities"

check.suite "files of entities"

local dir = (sys.getenv "TMPDIR" or "/tmp") .. "/entities-" .. sys.pid()
assert(fs.mkdirs(dir))

local function write(name, text)
   local path = dir .. "/" .. name
   assert(fs.write(path, text))
   return path
end

-- Rows as text: "Ana Belić[PER] moved", or the first problem.
local function show(rows)
   local out = {}
   for i = 1, rows.n do
      local parts = {}
      for _, e in ipairs(rows.entities[i]) do
         local begin = tagging.span(rows.words[i], e[1])
         local _, stop = tagging.span(rows.words[i], e[2])
         local text = rows.texts[i]
         parts[#parts + 1] = text:sub(utf8.offset(text, begin + 1), utf8.offset(text, stop + 1) - 1) .. "[" .. e[3] .. "]"
      end
      out[i] = table.concat(parts, " ")
   end
   return out
end

local function read(name, text, opts)
   local problems = {}
   local path = write(name, text)
   local rows = entities.read(path, opts or {}, function(line, message)
      problems[#problems + 1] = line .. ": " .. message:gsub("^.*/", "")
   end)
   return rows, problems
end

local function shows(name, text, want, opts)
   local rows, problems = read(name, text, opts)
   check.equal(problems, {})
   check.equal(show(rows), want, name)
   return rows
end

-- A good row first, so that there is always one.
local function refuses(phrase, name, text, opts)
   local rows, problems = read(name, text, opts)
   check.equal(#problems, 1, table.concat(problems, " | "))
   check.contains(problems[1], phrase)
   return rows
end

-- ==== Columns ====

check.test("columns_of_every_kind", function()
   local want = { "Ana Belić[PER] Porto[LOC]", "" }
   shows("a.conll", "Ana\tB-PER\nBelić\tI-PER\nsaw\tO\nPorto\tB-LOC\n\nYes\tO\n", want)
   shows("a.txt", "-DOCSTART- -X- O O\n\nAna NNP I-NP I-PER\nBelić NNP I-NP I-PER\nsaw VB O O\nPorto NNP O I-LOC\n\n\n"
      .. "Yes UH O O\n", want)
   shows("a.tsv", "# source\n1\tAna\tB-PER\tO\n2\tBelić\tE-PER\tO\n3\tsaw\tO\tO\n4\tPorto\tS-LOC\tO\n\n"
      .. "# next\n1\tYes\tO\tO\n", want,
      { text = "2", label = "3" })
   shows("a.bio", "Ana PER\r\nBelić PER\r\nsaw O\r\nPorto LOC\r\n\r\nYes O", want)
   shows("b.conll", "#\tO\nAna\tB-PER\n", { "Ana[PER]" })
   local rows = shows("c.conll", "New York\tB-LOC\n\nx\tO\n", { "New York[LOC]", "" })
   check.equal(rows.lines, { 1, 3 })
   check.equal(rows.styles[1], "spaced")
   shows("m.conll", "Ana\tB-PERSON\nx\tB-DATE\n", { "Ana[PER]" }, { map = { { "PERSON", "PER" } } })
end)

check.test("columns_that_are_refused", function()
   local rows = refuses("b.conll:4: 1 column, where the lines before have 2", "b.conll",
      "Ana\tB-PER\n\nSee\tO\nPorto\n\nYes\tO\n")
   check.equal(rows.n, 2)
   refuses("b.conll:3: 3 columns, where", "b.conll", "Ana\tO\n\nx\ty\tO\n")
   refuses("b.conll:3: the word is empty", "b.conll", "Ana\tO\n\n\tO\n")
   refuses("b.conll:3: the tag is empty", "b.conll", "Ana\tO\tO\n\nx\tO\t\n")
   refuses("b.conll:3: the tag 'PER' has no prefix, those before (such as 'B-LOC') have one", "b.conll",
      "Porto B-LOC\n\nAna PER\n")
   refuses("b.conll:3: the tag 'B-LOC' has a prefix, 'PER' has none", "b.conll", "Ana O\n\nPorto B-LOC\nAna PER\n")
   refuses("UTF-8", "b.conll", "Ana O\n\n\xff O\n")
   check.error_contains("there is one column", read, "b.conll", "Ana\nPorto\n")
   check.error_contains("has no sentences", read, "b.conll", "\n\n")
   check.error_contains("which format is that", read, "b.xyz", "x\n")
   check.error_contains("entities are read from", read, "b.csv", "x\n", { format = "csv" })
end)

-- ==== JSON ====

check.test("tokens_and_tags", function()
   shows("a.jsonl", '{"tokens":["Ana","saw","Porto"],"tags":["B-PER","O","B-LOC"]}\n\n{"tokens":["x"],"ner_tags":["O"]}\n',
      { "Ana[PER] Porto[LOC]", "" })
   shows("n.jsonl", '{"tokens":["Ana","saw"],"ner_tags":[1,0]}\n', { "Ana[PER]" },
      { map = { { "0", "O" }, { "1", "B-PER" } } })
   shows("k.json", '[{"tokens":["Ana"],"mine":["B-PER"]}]', { "Ana[PER]" }, { label = "mine" })
   local good = '{"tokens":["Ana"],"tags":["B-PER"]}\n'
   refuses("b.jsonl:2: 2 tokens but 1 tags", "b.jsonl", good .. '{"tokens":["a","b"],"tags":["O"]}\n')
   refuses("b.jsonl:2: its tags are numbers: name them", "b.jsonl", good .. '{"tokens":["a"],"tags":[3]}\n')
   refuses("b.jsonl:2: there is no list of tags; did you mean its 'tag'", "b.jsonl", good .. '{"tokens":["a"],"tag":["O"]}\n')
   refuses("b.jsonl:2: invalid JSON in column", "b.jsonl", good .. '{"tokens":["a"]\n')
   refuses("tokens: number 2 is no text", "b.jsonl", good .. '{"tokens":["a",{}],"tags":["O","O"]}\n')
end)

-- The emoji is one code point, two UTF-16 units and four bytes.
local TEXT = "😀 Ana saw Porto"

check.test("texts_and_spans", function()
   local want = { "Ana[PER] Porto[LOC]" }
   shows("a.jsonl", ('{"text":"%s","entities":[[2,5,"PER"],[10,15,"LOC"]]}'):format(TEXT), want)
   shows("a.jsonl", ('{"text":"%s","spans":[{"start":10,"end":15,"label":"LOC"},{"start":2,"end":5,"label":"PER"}],'
      .. '"answer":"accept"}'):format(TEXT), want, { format = "prodigy" })
   shows("a.jsonl", ('{"id":1,"text":"%s","label":[[2,5,"PER"],[10,15,"LOC"]]}'):format(TEXT), want, { format = "doccano" })
   shows("a.jsonl", ('{"id":1,"text":"%s","entities":[{"id":3,"label":"PER","start_offset":2,"end_offset":5},'
      .. '{"id":4,"label":"LOC","start_offset":10,"end_offset":15}],"relations":[]}'):format(TEXT), want, { format = "doccano" })
   shows("a.jsonl", ('{"text":"%s","entities":[[3,6,"PER"],[11,16,"LOC"]]}'):format(TEXT), want, { offsets = "units" })
   shows("a.jsonl", ('{"text":"%s","entities":[[5,8,"PER"],[13,18,"LOC"]]}'):format(TEXT), want, { offsets = "bytes" })
   for _, at in ipairs { { 2, 5 }, { 3, 6 }, { 5, 8 } } do      -- the span's own text decides
      shows("a.jsonl", ('{"text":"%s","entities":[{"start":%d,"end":%d,"label":"PER","text":"Ana"}]}'):format(TEXT, at[1], at[2]),
         { "Ana[PER]" })
   end
   shows("a.jsonl", '{"text":"in Paris-based firms","entities":[[2,8,"LOC"]]}', { "Paris[LOC]" })      -- blanks are cut off
   shows("a.jsonl", '{"text":"a","entities":[]}\n{"text":"b","entities":[],"answer":"reject"}\n{"text":"c","answer":"ignore"}\n',
      { "" })
end)

check.test("label_studio", function()
   local function region(first, stop, text, label)
      return ('{"type":"labels","value":{"start":%d,"end":%d,"text":"%s","labels":["%s"]}}'):format(first, stop, text, label)
   end
   local rows = shows("ls.json", ('[{"id":7,"data":{"text":"%s"},"annotations":[{"was_cancelled":true,"result":[]},'
      .. '{"result":[%s,%s]},'
      .. '{"result":[]}]},{"id":8,"data":{"text":"skipped"},"annotations":[{"was_cancelled":true,"result":[]}]},'
      .. '{"id":9,"data":{"text":"Oslo"},"annotations":[{"result":[]},{"ground_truth":true,"result":[%s]}]}]'):format(TEXT,
      region(3, 6, "Ana", "PER"), region(11, 16, "Porto", "LOC"), region(0, 4, "Oslo", "LOC")),
      { "Ana[PER] Porto[LOC]", "Oslo[LOC]" }, { format = "labelstudio" })
   check.equal(rows.left_out, 1)
   shows("min.json", ('[{"id":1,"text":"%s","label":[{"start":3,"end":6,"text":"Ana","labels":["PER"]}]},'
      .. '{"id":2,"text":"none"}]'):format(TEXT), { "Ana[PER]", "" }, { format = "labelstudio" })
   shows("own.json", '[{"data":{"body":"Oslo"},"annotations":[{"result":[]}]}]', { "" }, { format = "labelstudio", text = "body" })
end)

check.test("spans_that_are_refused", function()
   local good = '{"text":"Oslo","entities":[]}\n'
   local function refused(phrase, entities_text, opts)
      refuses("b.jsonl:2 (id x7): " .. phrase, "b.jsonl", good .. ('{"id":"x7","text":"%s","entities":%s}\n'):format(TEXT,
         entities_text), opts)
   end
   refused("the span 2 to 99 ends behind the text, which has 15 characters", '[[2,99,"PER"]]')
   refused("the span 5 to 5 is empty", '[[5,5,"PER"]]')
   refused("the span 1 to 2 holds nothing but blanks", '[[1,2,"PER"]]')
   refused("the span 1 to 6 cuts a character in two", '[[1,6,"PER"]]', { offsets = "units" })
   refused('the spans "Ana saw" (2 to 9) and "saw Porto" (6 to 15) overlap', '[[2,9,"PER"],[6,15,"LOC"]]', nil)
   refused('the span "Anna" is not at 2 to 5, where the text has "Ana"; it does not occur in the text',
      '[{"start":2,"end":5,"label":"PER","text":"Anna"}]')
   refused('the span "Porto" is not at 2 to 7, where the text has "Ana s"; it occurs at 10',
      '[{"start":2,"end":7,"label":"PER","text":"Porto"}]')
   refused("a span has no label", '[{"start":2,"end":5}]')
   refused("a span's start must be a whole number", '[{"end":5,"label":"PER"}]')
   refused("a span has 2 labels", '[{"start":2,"end":5,"labels":["A","B"]}]')
   refuses("there is no text; did you mean its 'texts'", "b.jsonl", good .. '{"texts":"x","entities":[]}\n')
   refuses("there is no list of spans", "b.jsonl", good .. '{"text":"x","entity":[]}\n')
   refuses("b.jsonl:2: the text is empty", "b.jsonl", good .. '{"text":" ","entities":[]}\n')
   refuses("item 2: expected an object", "b.json", '[{"text":"Oslo","entities":[]}, 3]')
   check.error_contains("b.json:2: invalid JSON", read, "b.json", '[{"text":"Oslo",\n}]')
end)

check.test("a_span_may_not_cut_what_readers_see_as_one_character", function()
   refuses("cuts a character in two", "b.jsonl",
      '{"text":"Oslo","entities":[]}\n{"text":"Zoe\u{308} x","entities":[[0,3,"PER"]]}\n')
end)

check.test("overlapping_spans_by_the_rule_that_was_asked_for", function()
   shows("a.jsonl", '{"text":"New York Times Square","entities":[[0,8,"LOC"],[0,14,"ORG"],[9,21,"LOC"]]}',
      { "New York Times[ORG]" }, { overlap = "longest" })
   shows("a.jsonl", '{"text":"New York","entities":[[0,8,"LOC"],[0,8,"LOC"]]}', { "New York[LOC]" })
end)

fs.remove(dir)
check.done()
