--- Texts with named entities: columns (CoNLL), JSON Lines, JSON, and the exports of doccano, Label Studio and Prodigy.
--
-- However a file writes them, rows are { texts, words, entities, styles, lines, file, n }: words as
-- ftpipe.core.tagging.split gives them, entities { first word, last word, type }. Where a file gives words, a row's text is the
-- words with a blank between each two ("spaced"); where it gives text and places, words are cut from the text so that
-- every entity is made of whole ones ("fine").

local data = require "ftpipe.core.data"
local json = require "ftpipe.core.json"
local tagging = require "ftpipe.core.tagging"
local unicode = require "ftpipe.core.text"
local annotations = require "ftpipe.reading.annotations"
local columns = require "ftpipe.reading.columns"
local failure = require "ftpipe.failure"
local files = require "ftpipe.reading.files"
local places = require "ftpipe.reading.places"
local tags = require "ftpipe.tags"

local entities = {}

---@alias ftpipe.entity { [1]: integer, [2]: integer, [3]: string, [4]: number? } first and last word, type, score

---@class ftpipe.entity_rows
---@field n integer
---@field texts string[]
---@field words string[]
---@field entities ftpipe.entity[][]
---@field styles ("spaced"|"fine")[]
---@field lines (integer|string)[] where a row begins; of an array of JSON "item 3"
---@field raw table? the objects or sentences that rows come from
---@field left_out integer rows that their annotators rejected
---@field file string

local bad = annotations.bad

-- ==== Names ====

local function mapping(list)
   if not list then return nil end
   local map = {}
   for _, pair in ipairs(list) do
      if type(pair) ~= "table" or not pair[1] or not pair[2] then
         failure.raise("usage", "map must be pairs from:to, for instance PERSON:PER,GPE:LOC")
      end
      map[tostring(pair[1])] = tostring(pair[2])
   end
   return map
end

-- Tags renamed by a map of whole tags or of types; what it does not name is O.
local function renamed(list, map)
   if not map then return list end
   local out = {}
   for i, tag in ipairs(list) do
      local prefix, kind = tags.parse(tag)
      out[i] = map[tag] or (prefix ~= "O" and map[kind] and prefix .. "-" .. map[kind]) or tags.OUTSIDE
   end
   return out
end

-- ==== Words with tags ====

local function check_tags(list)
   local with, without
   for _, tag in ipairs(list) do
      if tag:find "^%d+$" then bad "its tags are numbers: name them, for instance with map=0:O,1:B-PER,2:I-PER" end
      if not tags.has_prefix(tag) then without = without or tag
      elseif tag ~= tags.OUTSIDE then with = with or tag end
   end
   return with, without
end

-- All tags of a file have prefixes, or none has (IO); the first row with an entity says which.
local function check_scheme(list, seen)
   local with, without = check_tags(list)
   if with and without then bad(("the tag '%s' has a prefix, '%s' has none"):format(with, without)) end
   local own = with or without
   if not own then return end
   if not seen.example then
      seen.example, seen.with = own, with ~= nil
   elseif seen.with ~= (with ~= nil) then
      bad(("the tag '%s' has %s, those before (such as '%s') have %s"):format(own, with and "a prefix" or "no prefix",
         seen.example, with and "none" or "one"))
   end
end

local function add(rows, row)
   local k = rows.n + 1
   rows.n = k
   for _, name in ipairs { "texts", "words", "entities", "styles", "lines" } do rows[name][k] = row[name] end
   if rows.raw then rows.raw[k] = row.raw end
end

local function add_tagged(rows, words, given, line, raw)
   local list = given and renamed(given, rows.map)
   if list then check_scheme(list, rows.seen) end
   local text, spans = tagging.join(words)
   add(rows, { texts = text, words = spans, entities = list and tags.entities(list) or {}, styles = "spaced",
      lines = line, raw = raw })
end

-- ==== Texts with spans ====

local function slice(text, first, stop) return first and stop and text:sub(first, stop - 1) end

-- Bytes [first, stop) of a span by one way of counting, or nil; `inside`: it cuts a pair of UTF-16 in two.
local function bytes_by(unit, text, span)
   if unit == "bytes" then
      if span[2] > #text then return nil end
      return span[1] + 1, span[2] + 1
   end
   local find = unit == "units" and places.of_unit or places.of_character
   local first, cut = find(text, span[1])
   local stop, cut_too = find(text, span[2])
   return first, stop, cut or cut_too
end

-- Which ways of counting are tried, in order; the span's own text decides.
local ORDERS = { characters = { "characters", "units", "bytes" }, units = { "units", "characters", "bytes" },
   bytes = { "bytes" } }

local function by_its_text(text, span, unit)
   for _, way in ipairs(ORDERS[unit]) do
      local first, stop = bytes_by(way, text, span)
      if slice(text, first, stop) == span[4] then return first, stop end
   end
   local first, stop = bytes_by(unit, text, span)
   bad(("the span %s is not at %d to %d%s; %s"):format(places.shown(span[4]), span[1], span[2], first and stop
      and (", where the text has %s"):format(places.shown(slice(text, first, stop))) or ", behind the text's end",
      places.told(text, span[4], "text")))
end

-- Bytes [first, stop) of a span, without blanks around it.
local function located(text, span, unit)
   if span[2] <= span[1] then bad(("the span %d to %d is empty"):format(span[1], span[2])) end
   local first, stop, cut
   if span[4] then
      first, stop = by_its_text(text, span, unit)
   else
      first, stop, cut = bytes_by(unit, text, span)
      if not first or not stop then
         bad(("the span %d to %d ends behind the text, which has %d characters"):format(span[1], span[2], utf8.len(text)))
      end
   end
   if cut or unicode.cuts(text, first) or unicode.cuts(text, stop) then
      bad(("the span %d to %d cuts a character in two"):format(span[1], span[2]))
   end
   local body = text:sub(first, stop - 1)
   if not body:find "%S" then bad(("the span %d to %d holds nothing but blanks"):format(span[1], span[2])) end
   return first + #body:match "^%s*", stop - #body:match "%s*$"
end

local function told(text, s) return ("%s (%d to %d)"):format(places.shown(slice(text, s.first, s.stop)), s.begin, s.stop_at) end

local function overlap(a, b) return a.first < b.stop and b.first < a.stop end

-- Spans without overlap, in their order. rule: "error", or "longest": of two that overlap, the longer one stays, of equally
-- long ones the earlier.
local function apart(text, list, rule)
   table.sort(list, function(a, b)
      local m, n = a.stop - a.first, b.stop - b.first
      if m ~= n then return m > n end
      if a.first ~= b.first then return a.first < b.first end
      return a.order < b.order
   end)
   local kept = {}
   for _, s in ipairs(list) do
      local other
      for _, k in ipairs(kept) do other = other or (overlap(k, s) and k) end
      local same = other and other.first == s.first and other.stop == s.stop and other.label == s.label
      if not other then kept[#kept + 1] = s
      elseif rule ~= "longest" and not same then
         local a, b = other, s
         if b.first < a.first then a, b = b, a end
         bad(("the spans %s and %s overlap; overlap = \"longest\" keeps the longer one"):format(told(text, a), told(text, b)))
      end
   end
   table.sort(kept, function(a, b) return a.first < b.first end)
   return kept
end

local function add_text(rows, found, line, raw)
   local text, list = found.text, {}
   if not text:find "%S" then bad "the text is empty" end
   if not utf8.len(text) then bad "the text is not UTF-8" end
   for i, span in ipairs(found.spans) do
      local label = span[3]
      if rows.map then label = rows.map[label] end
      if label then
         local first, stop = located(text, span, rows.unit or found.unit)
         list[#list + 1] = { first = first, stop = stop, label = label, order = i, begin = places.characters(text, first),
            stop_at = places.characters(text, stop) }
      end
   end
   list = apart(text, list, rows.overlap)
   local cuts, out = {}, {}
   for _, s in ipairs(list) do
      if cuts[#cuts] ~= s.begin then cuts[#cuts + 1] = s.begin end
      cuts[#cuts + 1] = s.stop_at
   end
   local words, message = tagging.split(text, "fine", cuts)
   if not words then bad(message) end
   for i, s in ipairs(list) do
      local first, last = tagging.locate(words, s.begin, s.stop_at)
      if not first then bad(("the span %s holds no word"):format(told(text, s))) end
      out[i] = { first, last, s.label }
   end
   add(rows, { texts = text, words = words, entities = out, styles = "fine", lines = line, raw = raw })
end

-- ==== Files ====

-- One object; what is wrong with it goes to reject(line, message, row). `place`: a line's number, or "item 3".
local function take(rows, reject, object, where, place, raw)
   local line = math.type(place)
   local ok, problem = pcall(function()
      local found = annotations.of(object, rows.opts)
      if not found then rows.left_out = rows.left_out + 1
      elseif found.tokens then add_tagged(rows, found.tokens, found.tags, place, raw)
      else add_text(rows, found, place, raw) end
   end)
   if ok then return end
   if type(problem) ~= "table" or not problem.bad then error(problem, 0) end
   local id = type(object) == "table" and object.id
   local named = (type(id) == "string" or math.type(id) == "integer") and (" (id %s)"):format(id) or ""
   reject(line and place or 0, ("%s%s: %s"):format(where, named, problem.bad), json.encode(object))
end

local function read_lines(rows, path, reject)
   local reader = failure.try("data", data.open(path, { format = "lines", encoding = rows.opts.encoding }))
   while true do
      local line, raw, at, bytes = reader:next { "text" }
      if line == nil then break end
      if not line then
         reject(at, raw, bytes)
      elseif raw:find "%S" then
         local object, message = json.decode(raw)
         local where = ("%s:%d"):format(rows.file, line)
         if object == nil then
            reject(line, ("%s: invalid JSON in %s"):format(where, (message:gsub("^.-line %d+, ", ""))), raw)
         else
            take(rows, reject, object, where, line, rows.raw and { object = object, bytes = raw })
         end
      end
   end
   reader:close()
end

local function read_json(rows, path, reject)
   local bytes = files.text(path, rows.opts.encoding)
   local value, message = json.decode(bytes)
   if value == nil then
      local line, rest = message:match "line (%d+), (.*)$"
      failure.raise("data", ("%s:%s: invalid JSON in %s"):format(rows.file, line or "1", rest or message))
   end
   if type(value) ~= "table" or (#value == 0 and next(value) ~= nil) then
      failure.raise("data", rows.file .. ": expected a JSON array of objects")
   end
   for i, object in ipairs(value) do
      local place = "item " .. i
      take(rows, reject, object, rows.file .. ": " .. place, place, rows.raw and { object = object })
   end
end

local function read_columns(rows, path, reject)
   columns.each(path, { word = rows.opts.text, tag = rows.opts.label, tagged = rows.opts.answers ~= false,
      encoding = rows.opts.encoding }, function(s)
      local ok, problem = pcall(add_tagged, rows, s.words, rows.opts.answers ~= false and s.tags or nil, s.line,
         rows.raw and { sentence = s })
      if ok then return end
      if type(problem) ~= "table" or not problem.bad then error(problem, 0) end
      reject(s.line, ("%s:%d: %s"):format(rows.file, s.line, problem.bad), table.concat(s.raw, " | "))
   end, reject)
end

local readers = { conll = read_columns, jsonl = read_lines, doccano = read_lines, prodigy = read_lines, json = read_json,
   labelstudio = read_json }

local by_extension = { jsonl = "jsonl", ndjson = "jsonl", json = "json", conll = "conll", txt = "conll", tsv = "conll",
   bio = "conll", iob = "conll", iob2 = "conll", bioes = "conll", data = "conll", dat = "conll" }

--- The format of a file by its name, unless it is said.
---@param path string
---@param format string?
function entities.format_of(path, format)
   if format and format ~= "auto" then
      if not readers[format] then
         failure.raise("usage", ("format = %s: entities are read from conll, jsonl, json, doccano, labelstudio and prodigy files")
            :format(format))
      end
      return format
   end
   local found = by_extension[(path:match "%.([^./]+)$" or ""):lower()]
   if not found then
      failure.raise("usage", ("%s: which format is that? Entities are read from columns (.conll, .txt, .tsv), .jsonl and .json")
         :format(path), "say format = \"conll\", \"jsonl\", \"json\", \"doccano\", \"labelstudio\" or \"prodigy\"")
   end
   return found
end

---@class ftpipe.entity_options
---@field format string? auto, conll, jsonl, json, doccano, labelstudio or prodigy
---@field text string? the field that holds the text, or the number of the column that holds the word
---@field label string? the field that holds tags or spans, or the number of the column
---@field map table? { {from, to}, ... } of types, or of whole tags; others are dropped
---@field overlap "error"|"longest"|nil
---@field offsets "auto"|"characters"|"units"|"bytes"|nil what spans count that do not tell their own text
---@field encoding string? of the file, auto: by its mark
---@field answers boolean? false: only texts and words are wanted
---@field predicted boolean? entities that `ftpipe predict` added count before those that were there
---@field raw boolean? keep what each row comes from

--- All rows of a file.
---@param path string
---@param opts ftpipe.entity_options
---@param reject fun(line: integer, message: string, raw: string) told of rows that cannot be read
---@return ftpipe.entity_rows
function entities.read(path, opts, reject)
   local format = entities.format_of(path, opts.format)
   local rows = { n = 0, texts = {}, words = {}, entities = {}, styles = {}, lines = {}, left_out = 0, seen = {},
      file = path == "-" and "standard input" or path, map = mapping(opts.map), overlap = opts.overlap,
      unit = opts.offsets ~= "auto" and opts.offsets or nil, raw = opts.raw and {} or nil, format = format,
      opts = { text = opts.text or "text", label = opts.label or "label", format = format, answers = opts.answers,
         predicted = opts.predicted, encoding = opts.encoding } }
   readers[format](rows, path, reject)
   rows.seen, rows.map, rows.opts, rows.overlap, rows.unit = nil, nil, nil, nil, nil
   if rows.n == 0 then failure.raise("data", ("%s has no sentences"):format(rows.file)) end
   return rows
end

return entities
