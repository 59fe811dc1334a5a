-- tests/cli/bad_rows.lua DIR - for each format of entities and questions a file of good rows with one bad row of every kind among
-- them. For FORMAT there are FORMAT.EXT, FORMAT.phrases (what must be said, a line for each bad row) and FORMAT.good (how many good
-- rows); for formats of JSON also FORMAT-open.EXT, whose last row is not closed, and FORMAT-open.phrases.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"

local dir = assert(arg and arg[1], "usage: ftpipe lua tests/cli/bad_rows.lua DIR")
assert(fs.mkdirs(dir))

local function write(name, text) assert(fs.write(dir .. "/" .. name, text)) end

-- Good rows: a text, and its entities in code points.
local good = {}
for _, place in ipairs { "Porto", "Oslo", "Lima", "Bergen" } do
   for _, who in ipairs { "Ana", "Bo", "Zo\u{eb}" } do
      for _, how in ipairs { "moved to", "saw 😀", "left", "knows" } do
         local text = ("%s %s %s"):format(who, how, place)
         local n, m = utf8.len(who), utf8.len(place)
         good[#good + 1] = { text = text, spans = { { 0, n, "PER" }, { utf8.len(text) - m, utf8.len(text), "LOC" } } }
      end
   end
end

-- Bad ones, with what must be said about each.
local TEXT = "Zoe\u{308} moved to Porto"      -- the third and fourth code point are one character
local bad = {
   { { { 0, 99, "PER" } }, "the span 0 to 99 ends behind the text, which has 19 characters" },
   { { { 3, 3, "PER" } }, "the span 3 to 3 is empty" },
   { { { 0, 3, "PER" } }, "the span 0 to 3 cuts a character in two" },
   { { { 5, 19, "LOC" }, { 14, 19, "PER" } }, 'the spans "moved to Porto" (5 to 19) and "Porto" (14 to 19) overlap' },
   { { { 4, 5, "LOC" } }, "the span 4 to 5 holds nothing but blanks" },
   { { { 0, 4, "PER", "Zora" } }, 'the span "Zora" is not at 0 to 4, where the text has "Zoe\u{308}"' },
}

-- One row of each format, from text, spans and id.
local formats = {}

function formats.jsonl(text, spans, id)
   local out = json.array {}
   for i, s in ipairs(spans) do out[i] = { start = s[1], ["end"] = s[2], label = s[3], text = s[4] } end
   return { id = id, text = text, entities = out }
end

function formats.doccano(text, spans, id)
   local out = json.array {}
   for i, s in ipairs(spans) do
      out[i] = s[4] and { start_offset = s[1], end_offset = s[2], label = s[3], text = s[4] } or s
   end
   return { id = id, text = text, label = out }
end

function formats.prodigy(text, spans, id)
   local out = json.array {}
   for i, s in ipairs(spans) do out[i] = { start = s[1], ["end"] = s[2], label = s[3], text = s[4] } end
   return { id = id, text = text, spans = out, answer = "accept" }
end

function formats.labelstudio(text, spans, id)      -- which tells no text here, and so counts UTF-16 units
   local wide, result = text:find "😀" ~= nil, json.array {}
   for i, s in ipairs(spans) do
      local more = wide and s[1] > 4 and 1 or 0
      result[i] = { type = "labels", value = { start = s[1] + more, ["end"] = s[2] + more, labels = json.array { s[3] },
         text = s[4] } }
   end
   return { id = id, data = { text = text }, annotations = json.array { { result = result } } }
end

local function numbered(format, make, is_array)
   local extension = is_array and ".json" or ".jsonl"
   local lines, phrases, n = {}, {}, 0
   for i, row in ipairs(good) do
      lines[#lines + 1] = json.encode(make(row.text, row.spans, "good" .. i))
      local b = i % 7 == 0 and bad[i // 7]
      if b then
         n = n + 1
         lines[#lines + 1] = json.encode(make(TEXT, b[1], "bad" .. n))
         local where = is_array and (": item %d (id bad%d): "):format(#lines, n) or (":%d (id bad%d): "):format(#lines, n)
         phrases[#phrases + 1] = format .. extension .. where .. b[2]
      end
   end
   assert(n == #bad)
   return lines, phrases, extension
end

local function put(format, lines, phrases, extension, count)
   local is_array = extension == ".json"
   local function whole(list) return is_array and "[" .. table.concat(list, ",\n") .. "]\n" or table.concat(list, "\n") .. "\n" end
   write(format .. extension, whole(lines))
   write(format .. ".phrases", table.concat(phrases, "\n") .. "\n")
   write(format .. ".good", count .. "\n")
   local open = whole { lines[1], lines[2], lines[3] }:gsub("[%]}%s]*$", "") .. "\n"
   write(format .. "-open" .. extension, open)
   write(format .. "-open.phrases", ("%s-open%s:%d: invalid JSON in\n"):format(format, extension, is_array and 4 or 3))
end

for _, format in ipairs { "jsonl", "doccano", "prodigy", "labelstudio" } do
   local lines, phrases, extension = numbered(format, formats[format], format == "labelstudio")
   put(format, lines, phrases, extension, #good)
end

-- ==== Words with tags ====

local function tagged(row)
   local words, tags = {}, {}
   for word in row.text:gmatch "%S+" do
      local kind = #words == 0 and "PER" or nil
      words[#words + 1], tags[#tags + 1] = word, kind and "B-" .. kind or "O"
   end
   tags[#tags] = "B-LOC"
   return words, tags
end

local columns, phrases, line = {}, {}, 0
local function sentence(lines)
   table.move(lines, 1, #lines, #columns + 1, columns)
   columns[#columns + 1] = ""
   line = #columns
end
for i, row in ipairs(good) do
   local words, tags = tagged(row)
   local lines = {}
   for k, word in ipairs(words) do lines[k] = word .. "\t" .. tags[k] end
   sentence(lines)
   if i == 9 then
      phrases[#phrases + 1] = ("conll.txt:%d: 1 column, where the lines before have 2"):format(line + 2)
      sentence { "Ana\tB-PER", "moved", "to\tO" }
   elseif i == 19 then
      phrases[#phrases + 1] = ("conll.txt:%d: 3 columns, where the lines before have 2"):format(line + 1)
      sentence { "Ana\tB-PER\tO" }
   elseif i == 29 then
      phrases[#phrases + 1] = ("conll.txt:%d: the tag 'PER' has no prefix, those before (such as 'B-PER') have one"):format(
         line + 1)
      sentence { "Ana\tPER", "moved\tO" }
   elseif i == 39 then
      phrases[#phrases + 1] = ("conll.txt:%d: not UTF-8: byte 0xFF"):format(line + 2)
      sentence { "Ana\tB-PER", "mo\255ved\tO" }
   elseif i == 44 then
      phrases[#phrases + 1] = ("conll.txt:%d: the tag is empty"):format(line + 1)
      sentence { "Ana\t", "moved\tO" }
   end
end
write("conll.txt", table.concat(columns, "\n") .. "\n")
write("conll.phrases", table.concat(phrases, "\n") .. "\n")
write("conll.good", #good .. "\n")

local lists = {}
for i, row in ipairs(good) do
   local words, tags = tagged(row)
   lists[i] = json.encode { id = "good" .. i, tokens = json.array(words), tags = json.array(tags) }
end
table.insert(lists, 20, '{"id":"bad1","tokens":["Ana","moved"],"tags":["B-PER"]}')
table.insert(lists, 30, '{"id":"bad2","tokens":["Ana","moved"],"tags":["B-PER","PER"]}')
table.insert(lists, 40, '{"id":"bad3","tokens":["Ana","moved"]}')
put("tokens", lists, { "tokens.jsonl:20 (id bad1): 2 tokens but 1 tags",
   "tokens.jsonl:30 (id bad2): the tag 'B-PER' has a prefix, 'PER' has none",
   "tokens.jsonl:40 (id bad3): there is no list of tags" }, ".jsonl", #good)

-- ==== Questions ====

local questions, articles, q_phrases, s_phrases, n = {}, json.array {}, {}, {}, 0
local function asked(id, context, answer, start)
   return { id = id, question = "Where is it?", context = context,
      answers = json.array { { text = answer, answer_start = start } } }
end
local function add(row, phrase, squad_phrase)
   questions[#questions + 1] = json.encode(row)
   local qas = { id = row.id, question = row.question, answers = row.answers }
   articles[#articles + 1] = { title = "", paragraphs = json.array {
      { context = row.context, qas = json.array { row.question and qas } } } }
   if not phrase then n = n + 1 return end
   q_phrases[#q_phrases + 1] = ("questions.jsonl:%d: question '%s': %s"):format(#questions, row.id, phrase)
   s_phrases[#s_phrases + 1] = ("squad.json: data[%d].paragraphs[1]%s: %s"):format(#articles,
      squad_phrase and "" or (".qas[1]: question '%s'"):format(row.id), squad_phrase or phrase)
end
for i, row in ipairs(good) do
   local s = row.spans[2]
   add(asked("good" .. i, row.text .. " " .. i, row.text:sub(utf8.offset(row.text, s[1] + 1)), s[1]))
   if i == 10 then
      add(asked("bad1", TEXT, "Porto", 3),
         'the answer "Porto" is not at answer_start 3, where the context has "\u{308} mov"; it occurs at 14')
   elseif i == 20 then
      add(asked("bad2", TEXT, "Zoe", 0), 'the answer "Zoe" cuts a character in two')
   elseif i == 30 then
      add(asked("bad3", TEXT, "Lisbon", 14), 'the answer "Lisbon" is not at answer_start 14')
   elseif i == 40 then
      add({ id = "bad4", context = TEXT }, "there is no question", 'a context without question: "Zoe\u{308} moved to Porto"')
   elseif i == 45 then
      add(asked("bad5", " ", "x", 0), "its context is empty", "there is no context")
   end
end
put("questions", questions, q_phrases, ".jsonl", n)
local squad = json.encode { version = "1.1", data = articles }
write("squad.json", squad)
write("squad.phrases", table.concat(s_phrases, "\n") .. "\n")
write("squad.good", n .. "\n")
write("squad-open.json", squad:sub(1, -5))
write("squad-open.phrases", "squad-open.json:1: invalid JSON in\n")
return 0
