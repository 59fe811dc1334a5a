--- Labelled rows from a file: text columns joined by a line break, and a label: text, or what a task takes it for.
--
-- Rows are { texts, labels, lines, file, unmapped, kept = { column = values } }, with `pairs` where second texts are asked
-- for; those whose label `map` does not name are counted and left out.

local data = require "ftpipe.core.data"
local failure = require "ftpipe.failure"

local labelled = {}

--- { {from, to}, ... } as a table from -> to; nil stays nil.
function labelled.mapping(list)
   if not list then return nil end
   local map = {}
   for _, pair in ipairs(list) do
      if type(pair) ~= "table" or not pair[1] or not pair[2] then
         failure.raise("usage", "map must be pairs from:to, for instance 1:neg,5:pos")
      end
      map[tostring(pair[1])] = tostring(pair[2])
   end
   return map
end

-- Cells first .. first + n - 1 joined, nil where they are empty. Values are false where a JSON cell is null.
local function joined(values, first, n, joiner)
   local text = values[first]
   for i = first + 1, first + n - 1 do
      if values[i] and values[i] ~= "" then text = (text and text ~= "") and text .. joiner .. values[i] or values[i] end
   end
   return text and text:find("%S") and text or nil
end

-- The text and second text of one row, or nil, problem.
local function texts_of(values, n_text, n_pair, joiner)
   local text = joined(values, 1, n_text, joiner)
   if not text then return nil, "the text is empty" end
   if n_pair == 0 then return text end
   local pair = joined(values, n_text + 1, n_pair, joiner)
   if not pair then return nil, "the second text is empty" end
   return text, pair
end

--- The label of the cells of its columns: one cell as it is, or as `map` renames it.
---@param cells (string|false)[]
---@param map table<string, string>?
---@return any label nil where there is none, false where map does not name it
---@return string? problem
function labelled.plain(cells, map)
   local label = cells[1]
   if not label or label == "" then return nil, "the label is empty" end
   if map then return map[label] or false end
   return label
end

local function label_columns(params)
   if params.labelled == false then return {} end
   return params.labels or { params.label }
end

local function no_label() return "" end

local function columns_of(params)
   local columns = { table.unpack(params.text) }
   for _, name in ipairs(params.pair or {}) do columns[#columns + 1] = name end
   for _, name in ipairs(label_columns(params)) do columns[#columns + 1] = name end
   for _, name in ipairs(params.keep or {}) do columns[#columns + 1] = name end
   return columns
end

local function open(path, params, columns)
   return data.open(path, { format = params.format ~= "auto" and params.format or nil,
      header = params.header, quote = params.quote, delimiter = params.delimiter, encoding = params.encoding,
      columns = columns })
end

-- A header of one column that holds a sign which might part several.
local function other_delimiter(names)
   local sign = #names == 1 and names[1]:match "[;\t|,]"
   return sign and ("the columns seem to be separated by %s: say delimiter = \"%s\""):format(sign == "\t" and "tabs" or sign,
      sign == "\t" and "tab" or sign)
end

-- Rows of a table whose columns are parted by something else would be wrong in many ways.
local function check_delimiter(path, wanted, names)
   local hint = names[1] ~= wanted and other_delimiter(names)
   if hint then failure.raise("data", ("%s:1: there is no column \"%s\""):format(path, wanted), hint) end
end

local function lists(params)
   local rows = { texts = {}, labels = {}, lines = {}, unmapped = 0, pairs = params.pair and #params.pair > 0 and {} or nil }
   for _, name in ipairs(params.keep or {}) do
      rows.kept = rows.kept or {}
      rows.kept[name] = {}
   end
   return rows
end

--- All rows of a file. params: text, pair, label (or labels, several columns), map, format, header, quote, delimiter,
-- encoding, as in ft.read; labelled = false: every label is "".
---@param path string
---@param params table
---@param bad fun(line: integer, message: string, raw: string) told of rows that cannot be read
---@param label_of nil|fun(cells: (string|false)[], map: table?): any, string? labelled.plain unless given
function labelled.read(path, params, bad, label_of)
   local columns, map = columns_of(params), labelled.mapping(params.map)
   if params.labelled == false then label_of = no_label end
   local reader = failure.try("data", open(path, params, columns))
   local rows, n, n_pair, n_label = lists(params), #params.text, #(params.pair or {}), #label_columns(params)
   rows.file = path
   check_delimiter(path, columns[1], reader:columns())
   while true do
      local values = table.pack(reader:next(columns, n + n_pair))
      local line = table.remove(values, 1)
      if line == nil then break end
      if line == false then
         if values[1]:find("no column", 1, true) and #rows.texts == 0 then
            failure.raise("data", values[1])
         end
         bad(values[2], values[1], values[3])
      else
         local text, pair = texts_of(values, n, n_pair, "\n")
         local label, problem = nil, pair
         if text then
            label, problem = (label_of or labelled.plain)({ table.unpack(values, n + n_pair + 1, n + n_pair + n_label) }, map)
         end
         if label == nil then
            bad(line, ("%s:%d: %s"):format(path, line, problem), "")
         elseif label == false then
            rows.unmapped = rows.unmapped + 1
         else
            local k = #rows.texts + 1
            rows.texts[k], rows.labels[k], rows.lines[k] = text, label, line
            if rows.pairs then rows.pairs[k] = pair end
            for c, name in ipairs(params.keep or {}) do rows.kept[name][k] = values[n + n_pair + n_label + c] end
         end
      end
   end
   reader:close()
   if #rows.texts == 0 then
      failure.raise("data", ("%s has no rows%s"):format(path, rows.unmapped > 0
         and (": none of its %d labels is in map"):format(rows.unmapped) or ""))
   end
   return rows
end

--- What tells rows apart: their text, with the second one where there is one.
function labelled.keys(rows)
   if not rows.pairs then return rows.texts end
   local keys = {}
   for i, text in ipairs(rows.texts) do keys[i] = text .. "\n\n" .. rows.pairs[i] end
   return keys
end

--- How many rows a file has, nil where it cannot be opened.
function labelled.count(path, params, label_of)
   local columns = columns_of(params)
   local reader = open(path, params, columns)
   if not reader then return nil end
   local map, n, before = labelled.mapping(params.map), 0, #params.text + #(params.pair or {})
   if params.labelled == false then map = nil end
   while true do
      local values = table.pack(reader:next(columns))
      if values[1] == nil then break end
      local cells = { table.unpack(values, before + 2, before + 1 + #label_columns(params)) }
      if values[1] and (not map or (label_of or labelled.plain)(cells, map)) then n = n + 1 end
   end
   return n
end

return labelled
