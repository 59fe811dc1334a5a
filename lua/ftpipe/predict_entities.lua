--- Entities that a tuned model finds in texts: single ones, or the rows of a file, also as pre-annotations for doccano, Label
-- Studio and Prodigy.
--
-- Raw text is cut into words as the training data were: as in annotated corpora where they came as words, else at every
-- punctuation mark. Places count code points from 0; Label Studio's count UTF-16 units, as its editor does.

local json = require "ftpipe.core.json"
local tagging = require "ftpipe.core.tagging"
local failure = require "ftpipe.failure"
local line_file = require "ftpipe.line_file"
local places = require "ftpipe.reading.places"
local predict = require "ftpipe.predict"
local reading = require "ftpipe.reading.entities"
local tagger = require "ftpipe.tagger"
local tags = require "ftpipe.tags"

local entities = {}

---@class ftpipe.found_entity
---@field start integer code points from 0
---@field stop integer  behind the last one
---@field label string
---@field text string
---@field score number  mean probability of its words' tags
---@field first integer its first and last word, from 1
---@field last integer

---@class ftpipe.tagged_text
---@field text string
---@field words string as ftpipe.core.tagging gives them
---@field entities ftpipe.found_entity[]

local predictor = setmetatable({}, { __index = predict.predictor })
predictor.__index = predictor

--- From a loaded model. What transformers wrote is taken to be trained on words of a corpus.
---@param model ftpipe.model
function entities.open(model)
   local own = model.own or {}
   local max_length = own.max_length or math.min(model.dims.positions, 512)
   return setmetatable({ model = model, labels = model.options.labels, text = own.text, joiner = "\n", max_length = max_length,
      stride = own.stride or tagger.stride(max_length), style = own.words or "spaced" }, predictor)
end

local function described(text, words, e)
   local start = tagging.span(words, e[1])
   local _, stop = tagging.span(words, e[2])
   return { start = start, stop = stop, label = e[3], score = e[4], first = e[1], last = e[2],
      text = text:sub(utf8.offset(text, start + 1), utf8.offset(text, stop + 1) - 1) }
end

--- Entities of texts; rows may bring their words. Nothing is ever cut: the second result is 0.
---@param texts string[]
---@param given { words: string? }[]?
---@return ftpipe.tagged_text[], integer
function predictor:compute(texts, given)
   local rows, out = { texts = texts, words = {} }, {}
   for i, text in ipairs(texts) do
      local words, message = given and given[i].words, nil
      if not words then words, message = tagging.split(text, self.style) end
      if not words then failure.raise("data", ("text %d: %s"):format(i, message)) end
      rows.words[i] = words
   end
   local split = tagger.windows(self.model.tokenizer, rows, self.max_length, self.stride)
   local scores <close> = tagger.scores(self.model, split)
   for i, found in ipairs(tagger.entities(self.model, scores, split)) do
      out[i] = { text = texts[i], words = rows.words[i], entities = {} }
      for k, e in ipairs(found) do out[i].entities[k] = described(texts[i], rows.words[i], e) end
   end
   split.tokens:close()
   return out, 0
end

-- ==== As JSON, cells and marked-up text ====

local function number(x) return ("%.6g"):format(x) end

local function json_list(p)
   local parts = {}
   for i, e in ipairs(p.entities) do
      parts[i] = ('{"start":%d,"end":%d,"label":%s,"text":%s,"score":%s}'):format(e.start, e.stop, json.encode(e.label),
         json.encode(e.text), number(e.score))
   end
   return "[" .. table.concat(parts, ",") .. "]"
end

--- `"entities":[...]`, under a name that is free in `taken`.
function predictor:additions(p, taken) return ("%s:%s"):format(predict.free("entities", taken), json_list(p)) end

function predictor:added_columns() return { "entities", "marked" } end

function predictor:added_cells(p) return { json_list(p), entities.marked(p) } end

--- The text in one line with its entities marked: "[Ana Belić|PER] moved to [Porto|LOC]".
---@param p ftpipe.tagged_text
---@return string
function entities.marked(p)
   local out, at = {}, 1
   for _, e in ipairs(p.entities) do
      local first, stop = utf8.offset(p.text, e.start + 1), utf8.offset(p.text, e.stop + 1)
      out[#out + 1] = p.text:sub(at, first - 1)
      out[#out + 1] = ("[%s|%s]"):format(e.text, e.label)
      at = stop
   end
   out[#out + 1] = p.text:sub(at)
   return (table.concat(out):gsub("%c", " "))
end

-- ==== Pre-annotations ====

-- A copy of the object that a row came from (nothing for rows of tables), to which what is predicted is added.
local function own_object(row)
   local out, from = {}, row.raw and row.raw.object or row.object
   for k, v in pairs(type(from) == "table" and from or {}) do out[k] = v end
   return out
end

local writers = {}

function writers.doccano(p, row)
   local object = own_object(row)
   object.entities, object.spans, object.labels, object.tokens, object.tags = nil, nil, nil, nil, nil
   object.text, object.label = p.text, json.array {}
   for i, e in ipairs(p.entities) do object.label[i] = json.array { e.start, e.stop, e.label } end
   return object
end

function writers.prodigy(p, row)
   local object = own_object(row)
   object.answer, object.entities, object.label, object.tags = nil, nil, nil, nil
   object.text, object.tokens, object.spans = p.text, json.array {}, json.array {}
   for i, word in ipairs(tagging.words(p.text, p.words)) do
      local start, stop = tagging.span(p.words, i)
      local after = i < tagging.count(p.words) and tagging.span(p.words, i + 1) or stop
      object.tokens[i] = { text = word, start = start, ["end"] = stop, id = i - 1, ws = after > stop }
   end
   for i, e in ipairs(p.entities) do
      object.spans[i] = { start = e.start, ["end"] = e.stop, label = e.label, token_start = e.first - 1, token_end = e.last - 1 }
   end
   return object
end

-- Label Studio's prediction for a project whose configuration names its tags "label" and "text", as its template does.
function writers.labelstudio(p, row)
   local object, result, sum = own_object(row), json.array {}, 0.0
   local task = { id = object.id, data = type(object.data) == "table" and object.data or object }
   if task.data == object then
      for _, key in ipairs { "id", "annotations", "predictions", "tokens", "tags", "spans", "entities", "label" } do
         object[key] = nil
      end
      object.text = p.text
   end
   for i, e in ipairs(p.entities) do
      local first, stop = utf8.offset(p.text, e.start + 1), utf8.offset(p.text, e.stop + 1)
      result[i] = { id = "e" .. i, from_name = "label", to_name = "text", type = "labels", score = e.score,
         value = { start = places.units(p.text, first), ["end"] = places.units(p.text, stop), text = e.text,
            labels = json.array { e.label } } }
      sum = sum + e.score
   end
   task.predictions = json.array { { model_version = "ftpipe", result = result,
      score = #p.entities > 0 and sum / #p.entities or nil } }
   return task
end

-- Words with their tags; where the row came in columns, those and one more.
local function columns_of(p, row)
   local list, lines = {}, {}
   for i, e in ipairs(p.entities) do list[i] = { e.first, e.last, e.label } end
   local from = row.raw and row.raw.sentence
   local words = from and from.raw or tagging.words(p.text, p.words)
   local gap = from and words[1]:find "^[^\t]* " and " " or "\t"
   for i, tag in ipairs(tags.of(list, #words)) do
      lines[i] = (from and words[i] or words[i]:gsub("[\t\r\n]", " ")) .. gap .. tag
   end
   return table.concat(lines, "\n") .. "\n\n"
end

local function lines_of(write)
   return function(file, p, row) return file:write(write(p, row)) end
end

local rows_as = {
   conll = lines_of(columns_of),
   text = lines_of(function(p) return entities.marked(p) .. "\n" end),
   doccano = lines_of(function(p, row) return json.encode(writers.doccano(p, row)) .. "\n" end),
   prodigy = lines_of(function(p, row) return json.encode(writers.prodigy(p, row)) .. "\n" end),
}

-- One array, an item on each line.
local function array_sink(file)
   local before = "[\n"
   return {
      row = function(_, row, p)
         local text = before .. json.encode(writers.labelstudio(p, row))
         before = ",\n"
         return file:write(text)
      end,
      commit = function()
         local ok, problem = file:write(before == "[\n" and "[]\n" or "\n]\n")
         if not ok then return nil, problem end
         return file:commit()
      end,
      abandon = function() file:abandon() end,
   }
end

local function sink_of(format)
   return function(path)
      local file = line_file.open(path)
      if format == "labelstudio" then return array_sink(file) end
      return {
         row = function(_, row, p) return rows_as[format](file, p, row) end,
         commit = function() return file:commit() end,
         abandon = function() file:abandon() end,
      }
   end
end

-- ==== Files ====

local annotated = { conll = true, doccano = true, labelstudio = true, prodigy = true }

-- Rows of a file in a format of annotations, whose annotations are not looked at.
local function annotated_source(self, path, format, text, encoding)
   local rows = reading.read(path, { format = format, text = text, encoding = encoding, answers = false, raw = true },
      function(_, message) failure.raise("data", message) end)
   local i = 0
   for k, style in ipairs(rows.styles) do
      if style ~= "spaced" then rows.words[k] = tagging.split(rows.texts[k], self.style) end      -- no words of its own
   end
   return {
      format = format == "conll" and "conll" or "jsonl", columns = { "text" },
      next = function()
         i = i + 1
         return rows.texts[i] and { text = rows.texts[i], words = rows.words[i], raw = rows.raw[i] }
      end,
      cells = function(row) return { row.text } end,
      object = function(row)
         local object = row.raw.object or { text = row.text }
         local body = (row.raw.bytes or json.encode(object)):gsub("}%s*$", "")
         return body, object
      end,
   }
end

local function extension(path) return path and (path:match "%.([^./]+)$" or ""):lower() end

--- Find the entities of every row of a file. opts as ftpipe.predict_options, and `as`, by the
-- output's name (.conll, .txt) unless it is given: conll, doccano, jsonl, labelstudio, prodigy or text.
---@param opts ftpipe.predict_options
---@return { rows: integer, cut: integer }
function predictor:stream(opts)
   local own = {}
   for k, v in pairs(opts) do own[k] = v end
   local format = opts.format or (extension(opts.input) == "conll" and "conll") or nil
   if annotated[format] then
      own.source = annotated_source(self, opts.input, format, opts.text and opts.text[1], opts.encoding)
   end
   local named = extension(opts.output)
   local as = opts.as or (named == "conll" and "conll") or (named == "txt" and "text")
      or (not opts.output and not opts.json and format == "conll" and "conll") or nil
   if as == "jsonl" then own.json = true
   elseif as then own.sink = sink_of(as) end
   return predict.predictor.stream(self, own)
end

return entities
