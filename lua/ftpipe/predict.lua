--- Prediction with a tuned model: single texts, or files of any size in windows of rows.
--
-- Rows keep their order and their columns. What is added: label, score (the label's probability) and the probabilities
-- of all labels, as columns prob_LABEL in CSV and TSV, as an object "probabilities" in JSON Lines. A name that the input
-- has already becomes predicted_NAME. JSON Lines keep their bytes: the additions are written before the closing
-- brace, so that numbers and nested values survive.

local data = require "ftpipe.core.data"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"
local files = require "ftpipe.reading.files"
local line_file = require "ftpipe.line_file"
local texts_of = require "ftpipe.texts"

local predict = {}

predict.WINDOW = 1024      -- rows that are read, sorted by length and computed together

local function fail(message, hint) failure.raise("data", message, hint) end

local try = failure.try

-- ==== The model ====

---@class ftpipe.predictor
---@field labels string[]
---@field text string[]|nil columns that training read
---@field max_length integer

local predictor = {}
predictor.__index = predictor
predict.predictor = predictor      -- what predictors of other tasks begin with

--- A model directory, or the model/ of a run's directory.
---@param dir string
function predict.directory(dir)
   if not fs.stat(dir .. "/config.json") and fs.stat(dir .. "/model/config.json") then return dir .. "/model" end
   return dir
end

--- Load a model directory, or the model/ of a run's directory.
---@param dir string
---@return ftpipe.model
function predict.load(dir) return require("ftpipe.model").load(predict.directory(dir)) end

--- A classifier, by its directory or loaded.
---@param model string|ftpipe.model
---@return ftpipe.predictor
function predict.open(model)
   if type(model) == "string" then model = predict.load(model) end
   local own = model.own or {}
   return setmetatable({ model = model, labels = model.options.labels, text = own.text, pair = own.pair,
      joiner = own.joiner or "\n", long = own.long, stride = own.stride,
      max_length = own.max_length or math.min(model.dims.positions, 512) }, predictor)
end

--- Probabilities of each text, in order of the labels, and how many texts were longer than the model reads.
---@param texts string[]
---@param seconds string[]? second texts
---@return number[][] probabilities, integer cut
function predictor:probabilities(texts, seconds)
   local tokens, full, windows = texts_of.tokens(self.model.tokenizer, texts, seconds, self)
   if not tokens then fail(full) end
   local all = self.scores(self.model, tokens, nil, windows)
   tokens:close()
   return all, windows and 0 or texts_of.too_long(full, self.max_length)
end

--- What is computed of tokens: predictors of other tasks have something else.
function predictor.scores(...) return require("ftpipe.scoring").probabilities(...) end

--- What is predicted of texts, and how many of them were cut. Predictors of other tasks give a list of something else, which
-- added_columns, added_cells and additions know. Rows may have a second text, `pair`.
function predictor:compute(texts, rows)
   local seconds
   if self.pair then
      seconds = {}
      for i, row in ipairs(rows) do seconds[i] = row.pair end
   end
   return self:probabilities(texts, seconds)
end

--- Parts of a text as training joins them: empty ones leave no gap.
function predictor:join(parts)
   local kept = {}
   for _, part in ipairs(parts) do if part and part ~= "" then kept[#kept + 1] = part end end
   return table.concat(kept, self.joiner)
end

--- Label and probability of the most probable class; the first of equals.
function predictor:best(p)
   local best = 1
   for k = 2, #p do if p[k] > p[best] then best = k end end
   return self.labels[best], p[best]
end

-- ==== Output ====

local function number(x) return ("%.6g"):format(x) end

--- A name that is free among those taken, as JSON.
function predict.free(n, taken)
   while taken[n] ~= nil do n = "predicted_" .. n end
   return json.encode(n)
end

--- `"label":"good","score":0.9,"probabilities":{...}` with the names that are free.
function predictor:additions(p, taken)
   local function name(n) return predict.free(n, taken) end
   local label, score = self:best(p)
   local all = {}
   for k, x in ipairs(p) do all[k] = json.encode(self.labels[k]) .. ":" .. number(x) end
   return ("%s:%s,%s:%s,%s:{%s}"):format(name "label", json.encode(label), name "score", number(score),
      name "probabilities", table.concat(all, ","))
end

--- Names of the columns that are added to a table, and the cells of one row.
function predictor:added_columns()
   local names = { "label", "score" }
   for k, label in ipairs(self.labels) do names[k + 2] = "prob_" .. label end
   return names
end

function predictor:added_cells(p)
   local cells = { self:best(p) }
   cells[2] = number(cells[2])
   for k, x in ipairs(p) do cells[2 + k] = number(x) end
   return cells
end

--- One prediction as a JSON object in one line.
---@param text string
---@param p number[]
function predictor:json(text, p)
   return ('{"text":%s,%s}'):format(json.encode(text), self:additions(p, {}))
end

-- Standard output took no more. Where its reader has gone, the next flush ends the program as a closed pipe ends others;
-- all else is for the caller to tell.
local function flush_to_nobody()
   sys.out "\n"
   sys.err ""
end

local sinks = {}
local sink_meta = { __close = function(sink) sink:abandon() end }

-- CSV and TSV: the writer of runtime/data, which is atomic by itself.
local function tabular_sink(self, path, format, source)
   local names, taken = {}, {}
   for i, name in ipairs(source.columns) do
      names[i] = name ~= "" and name or tostring(i)
      taken[names[i]] = true
   end
   for _, name in ipairs(self:added_columns()) do
      while taken[name] do name = "predicted_" .. name end
      taken[name] = true
      names[#names + 1] = name
   end
   local writer = try(path and "usage" or "system", data.create(path, format, names))
   local n = #source.columns
   return {
      row = function(_, row, p)
         local values, added = table.move(source.cells(row), 1, n, 1, {}), self:added_cells(p)
         table.move(added, 1, #added, n + 1, values)
         local ok, message = writer:row(table.unpack(values, 1, n + #added))
         if not ok and not path then flush_to_nobody() end
         return ok, message
      end,
      commit = function() return writer:commit() end,
      abandon = function() local _ <close> = writer end,      -- a writer that was not committed leaves nothing
   }
end
sinks.csv, sinks.tsv = tabular_sink, tabular_sink

function sinks.jsonl(self, path, _, source)
   local file = line_file.open(path)
   return {
      row = function(_, row, p)
         local body, taken = source.object(row)
         return file:write(("%s%s%s}\n"):format(body, body:find "^{%s*$" and "" or ",", self:additions(p, taken)))
      end,
      commit = function() return file:commit() end,
      abandon = function() file:abandon() end,
   }
end

local extensions = { csv = "csv", tsv = "tsv", tab = "tsv", jsonl = "jsonl", ndjson = "jsonl" }
local natural = { csv = "csv", tsv = "tsv", jsonl = "jsonl", json = "jsonl", lines = "csv" }

local function format_of_name(path)
   local extension = path:match "%.([^./]+)$"
   return extension and extensions[extension:lower()]
end

-- The format of the output: --json, else the extension of its path, else what the input is.
local function output_format(opts, source)
   if opts.json then return "jsonl" end
   if not opts.output then return natural[source.format] end
   local format = format_of_name(opts.output)
   if not format then
      failure.raise("usage", ("%s: the output's format is not known by its name"):format(opts.output),
         "end it with .csv, .tsv or .jsonl, or give --json")
   end
   return format
end

-- ==== Input: a source gives rows; cells(row) and object(row) are their two forms ====

local function has(list, wanted)
   for _, x in ipairs(list) do if x == wanted then return true end end
   return false
end

local TEXT_HINT = "name the column that holds the text with --text NAME, several as --text A,B"

-- Columns that hold the text: as asked for, as in training, or where there is no doubt.
local function text_columns(opts, self, names, path)
   if opts.text then return opts.text end
   if self.text then return self.text end
   if has(names, "text") then return { "text" } end
   if #names == 1 then return { names[1] } end
   failure.raise("usage", ("%s: which column is the text? There are: %s"):format(path, table.concat(names, ", ")),
      TEXT_HINT)
end

-- A JSON object that begins with these names and values, without its closing brace; and the set of names.
local function begin_object(names, values)
   local parts, taken = {}, {}
   for i, name in ipairs(names) do
      name = name ~= "" and name or tostring(i)
      parts[i] = json.encode(name) .. ":" .. (values[i] and json.encode(values[i]) or "null")
      taken[name] = true
   end
   return "{" .. table.concat(parts, ","), taken
end

local function tabular_source(self, reader, path, opts)
   local names = reader:columns()
   local wanted, columns = {}, names
   if reader:format() == "lines" then
      if self.pair then failure.raise("usage", path .. ": lines of text have no second text", "give CSV, TSV or JSON Lines") end
      wanted[1], columns = "text", { "text" }
   else
      for i, name in ipairs(text_columns(opts, self, names, path)) do wanted[i] = name end
   end
   local n_text = #wanted
   for _, name in ipairs(self.pair or {}) do wanted[#wanted + 1] = name end
   local n_wanted = #wanted
   for i, name in ipairs(columns) do wanted[n_wanted + i] = name ~= "" and name or tostring(i) end
   local function read()
      local row = table.pack(reader:next(wanted, n_wanted))
      if row[1] == nil then return nil end
      if not row[1] then fail(row[2], row[2]:find("no column", 1, true) and not opts.text and TEXT_HINT or nil) end
      return { text = self:join { table.unpack(row, 2, n_text + 1) },
         pair = self.pair and self:join { table.unpack(row, n_text + 2, n_wanted + 1) },
         cells = table.move(row, n_wanted + 2, row.n, 1, {}) }
   end
   local first = read()      -- before anything is written: a column that is missing shows here
   return {
      format = reader:format(), columns = columns,
      next = function()
         local row = first
         if row then first = nil else row = read() end
         return row
      end,
      cells = function(row) return row.cells end,
      object = function(row) return begin_object(columns, row.cells) end,
   }
end

-- A value of a decoded object by key, else by a dotted path; list items by number.
local function at_path(object, path)
   if object[path] ~= nil then return object[path] end
   local value = object
   for key in path:gmatch "[^.]+" do
      if type(value) ~= "table" then return nil end
      local inner = value[key]
      if inner == nil then inner = value[math.tointeger(tonumber(key))] end
      value = inner
   end
   return value
end

local function keys_of(object)
   local keys = {}
   for key in pairs(object) do keys[#keys + 1] = key end
   table.sort(keys)
   return keys
end

-- The same with dotted paths into objects, for the nearest one.
local function paths_of(object, before, out)
   for _, key in ipairs(keys_of(object)) do
      local name = before .. tostring(key)
      out[#out + 1] = name
      if type(object[key]) == "table" and #object[key] == 0 and #out < 1000 then paths_of(object[key], name .. ".", out) end
   end
   return out
end

-- A JSON value as the text of a cell; null is false.
local function cell_text(value)
   if value == json.null then return false end
   if type(value) == "string" then return value end
   return json.encode(value)
end

local function object_text(self, columns, object, where)
   local parts = {}
   for i, column in ipairs(columns) do
      local value = at_path(object, column)
      if value == nil then
         local keys = keys_of(object)
         local near = sys.nearest(column, paths_of(object, "", {}))
         fail(("%s: no column '%s'; %s"):format(where, column, near and ("did you mean '%s'?"):format(near)
            or #keys > 0 and "there: " .. table.concat(keys, ", ") or "the object is empty"), TEXT_HINT)
      end
      if type(value) == "table" and #value == 0 and next(value) ~= nil then
         fail(('%s: "%s" is an object, no text; name a field of it, as in "%s"'):format(where, column,
            paths_of(value, column .. ".", {})[1]), TEXT_HINT)
      end
      parts[i] = cell_text(value)
   end
   return self:join(parts)
end

-- Rows that are objects: next_object gives the object, its text without the closing brace, and where it is.
local function object_source(self, format, path, opts, next_object)
   local columns, first, source
   local function read()
      local object, body, where = next_object()
      if not object then return nil end
      columns = columns or text_columns(opts, self, keys_of(object), path)
      return { text = object_text(self, columns, object, where),
         pair = self.pair and object_text(self, self.pair, object, where), object = object, body = body, where = where }
   end
   first = read()
   source = { format = format, columns = first and keys_of(first.object) or {} }
   local known = {}
   for _, name in ipairs(source.columns) do known[name] = true end
   function source.next()
      local row = first
      if row then first = nil else row = read() end
      return row
   end
   function source.object(row) return row.body, row.object end
   function source.cells(row)
      local cells = {}
      for key in pairs(row.object) do
         if not known[key] then
            fail(("%s: '%s' is no column of the first row, so a table has no place for it"):format(row.where, key),
               "write JSON Lines instead: --json, or an output that ends with .jsonl")
         end
      end
      for i, name in ipairs(source.columns) do
         local value = row.object[name]
         cells[i] = value ~= nil and cell_text(value)
      end
      return cells
   end
   return source
end

local function decode_line(raw, where)
   local object, message = json.decode(raw)
   if object == nil then fail(("%s: %s"):format(where, (message:gsub(" at line %d+, column (%d+)", ", column %1")))) end
   if not raw:find "^%s*{" then fail(where .. ": expected a JSON object") end
   return object, (raw:gsub("}%s*$", ""))
end

-- JSON Lines, from a reader of plain lines (so that a row's bytes are at hand). `line, raw` is a row read before.
local function jsonl_source(self, reader, name, opts, line, raw)
   return object_source(self, "jsonl", name, opts, function()
      while true do
         local at, text = line, raw
         line = nil
         if not at then at, text = reader:next { "text" } end
         if at == nil then return nil end
         if not at then fail(text) end
         if text:find "%S" then
            local where = ("%s:%d"):format(name, at)
            local object, body = decode_line(text, where)
            return object, body, where
         end
      end
   end)
end

-- One JSON array of objects, read at once.
local function json_source(self, path, name, opts)
   local text = files.text(path, opts.encoding)
   local list, message = json.decode(text)
   if list == nil then fail(("%s: %s"):format(name, message)) end
   if type(list) ~= "table" or (#list == 0 and next(list) ~= nil) then fail(name .. ": expected an array of objects") end
   local i = 0
   return object_source(self, "json", name, opts, function()
      i = i + 1
      local object = list[i]
      if object == nil then return nil end
      local where = ("%s: item %d"):format(name, i)
      local body = type(object) == "table" and json.encode(object)
      if not body or (body:sub(1, 1) ~= "{" and next(object) ~= nil) then fail(where .. ": expected an object") end
      return object, body:sub(1, 1) == "{" and body:sub(1, -2) or "{", where
   end)
end

-- Standard input without --format is lines, or JSON Lines if its first byte that is no space is "{".
local function sniffed_source(self, reader, name, opts)
   local skipped = {}
   while true do
      local line, raw = reader:next { "text" }
      if line == nil then break end
      if not line then fail(raw) end
      if raw:find "%S" then
         if raw:find "^%s*{" then return jsonl_source(self, reader, name, opts, line, raw) end
         skipped[#skipped + 1] = raw
         break
      end
      skipped[#skipped + 1] = raw
   end
   local source = tabular_source(self, reader, name, opts)
   local read, i = source.next, 0
   function source.next()
      i = i + 1
      if skipped[i] then return { text = skipped[i], cells = { skipped[i] } } end
      return read()
   end
   return source
end

local function open_file(self, path, opts)
   local function open(format)
      return try("usage", data.open(path, { format = format, columns = opts.text or self.text,
         delimiter = opts.delimiter, quote = opts.quote, encoding = opts.encoding }))
   end
   local name = path == "-" and "standard input" or path
   if path == "-" and not opts.format then return sniffed_source(self, open "lines", name, opts) end
   local format = opts.format
   if not format and format_of_name(path) == "jsonl" then format = "jsonl" end      -- opened once: it may be a pipe
   if not format then
      local reader = open()
      format = reader:format()
      if format ~= "jsonl" and format ~= "json" then return tabular_source(self, reader, name, opts) end
      reader:close()
   end
   if format == "json" then return json_source(self, path, name, opts) end
   if format == "jsonl" then return jsonl_source(self, open "lines", name, opts) end
   return tabular_source(self, open(format), name, opts)
end

-- The texts of a folder, a file each.
local function folder_source(self, path, list, opts)
   local i = 0
   if self.pair then failure.raise("usage", path .. ": texts in a folder have no second text", "give CSV, TSV or JSON Lines") end
   return {
      format = "csv", columns = { "file", "text" },
      next = function()
         i = i + 1
         if not list[i] then return nil end
         local text = files.text(list[i], opts.encoding):gsub("%s+$", "")
         return { text = text, cells = { list[i], text } }
      end,
      cells = function(row) return row.cells end,
      object = function(row) return begin_object({ "file", "text" }, row.cells) end,
   }
end

-- Several files one after the other, as one; they must have the same columns.
local function several_sources(self, list, opts)
   local i, source = 1, open_file(self, list[1], opts)
   local all = { format = source.format, columns = source.columns }
   local names = table.concat(source.columns, ", ")
   function all.next()
      while true do
         local row = source.next()
         if row then return row end
         i = i + 1
         if not list[i] then return nil end
         source = open_file(self, list[i], opts)
         if source.format ~= all.format or table.concat(source.columns, ", ") ~= names then
            fail(("%s has the columns %s, where %s has %s"):format(list[i], table.concat(source.columns, ", "), list[1], names))
         end
      end
   end
   function all.cells(row) return source.cells(row) end
   function all.object(row) return source.object(row) end
   return all
end

--- Rows of a file ("-": standard input), of the files of a pattern, or of a folder of texts.
---@param self ftpipe.predictor
---@param path string
---@param opts { format: string?, text: string[]?, delimiter: string?, quote: string?, encoding: string? }
local function open_source(self, path, opts)
   local texts = files.texts(path)
   if texts then return folder_source(self, path, texts, opts) end
   local list = files.some(path)
   if #list == 1 then return open_file(self, list[1], opts) end
   return several_sources(self, list, opts)
end

-- ==== Streaming ====

---@class ftpipe.predict_options
---@field input string      path, or "-"
---@field output string?    path; nil: standard output
---@field json boolean?     JSON Lines, whatever the input
---@field format string?    of the input: csv, tsv, jsonl, json, lines
---@field text string[]?    columns that hold the text
---@field delimiter string?, quote string?, encoding string? of the input, as for ft.read
---@field batch_rows integer? rows of a window
---@field source table?     rows that were opened already
---@field sink nil|fun(path: string?): table where rows go, instead of a table or JSON Lines: { row, commit, abandon }
---@field progress ftpipe.progress?

local function read_window(source, size)
   local rows, texts = {}, {}
   while #rows < size do
      local row = source.next()
      if not row then break end
      rows[#rows + 1], texts[#texts + 1] = row, row.text
   end
   return rows, texts
end

--- Predict every row of a file. Nothing is at the output's path unless all went well.
---@param opts ftpipe.predict_options
---@return { rows: integer, cut: integer }
function predictor:stream(opts)
   if opts.output and fs.stat(opts.output) == "directory" then
      failure.raise("usage", line_file.cannot_write(opts.output, "it is a directory"))
   end
   local source = opts.source or open_source(self, opts.input, opts)
   local format = not opts.sink and output_format(opts, source)
   local sink <close> = setmetatable(opts.sink and opts.sink(opts.output) or sinks[format](self, opts.output, format, source),
      sink_meta)
   local total = { rows = 0, cut = 0 }
   if opts.progress then opts.progress:stage("predict", nil, "rows", 0) end
   while true do
      local rows, texts = read_window(source, opts.batch_rows or predict.WINDOW)
      if #rows == 0 then break end
      local all, cut = self:compute(texts, rows)
      for i, row in ipairs(rows) do try("system", sink:row(row, all[i])) end
      total.rows, total.cut = total.rows + #rows, total.cut + cut
      if opts.progress then opts.progress:update { step = total.rows } end
   end
   try("system", sink:commit())
   return total
end

return predict
