--- Labelled rows from a file: text columns joined by a line break, and a label that stays text.
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

-- The text, label and second text of one row, or nil, problem.
local function parts_of(values, n_text, n_pair, joiner)
   local text, pair = joined(values, 1, n_text, joiner), nil
   if not text then return nil, "the text is empty" end
   if n_pair > 0 then
      pair = joined(values, n_text + 1, n_pair, joiner)
      if not pair then return nil, "the second text is empty" end
   end
   local label = values[n_text + n_pair + 1]
   if not label or label == "" then return nil, "the label is empty" end
   return text, label, pair
end

local function columns_of(params)
   local columns = { table.unpack(params.text) }
   for _, name in ipairs(params.pair or {}) do columns[#columns + 1] = name end
   columns[#columns + 1] = params.label
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

--- All rows of a file. params: text, pair, label, map, format, header, quote, delimiter, encoding,
-- as in ft.read.
---@param path string
---@param params table
---@param bad fun(line: integer, message: string, raw: string) told of rows that cannot be read
---@param problem_of nil|fun(label: string): string? what is wrong with a label
function labelled.read(path, params, bad, problem_of)
   local columns, map = columns_of(params), labelled.mapping(params.map)
   local reader = failure.try("data", open(path, params, columns))
   local rows = { texts = {}, labels = {}, lines = {}, file = path, unmapped = 0 }
   local n, n_pair, kept = #params.text, #(params.pair or {}), params.keep or {}
   if n_pair > 0 then rows.pairs = {} end
   for _, name in ipairs(kept) do
      rows.kept = rows.kept or {}
      rows.kept[name] = {}
   end
   while true do
      local values = table.pack(reader:next(columns))
      local line = table.remove(values, 1)
      if line == nil then break end
      if line == false then
         if values[1]:find("no column", 1, true) and #rows.texts == 0 then
            failure.raise("data", values[1], other_delimiter(reader:columns()))
         end
         bad(values[2], values[1], values[3])
      else
         local text, label, pair = parts_of(values, n, n_pair, "\n")
         local problem = text and problem_of and problem_of(label)
         if problem then text, label = nil, problem end
         if not text then
            bad(line, ("%s:%d: %s"):format(path, line, label), "")
         elseif map and not map[label] then
            rows.unmapped = rows.unmapped + 1
         else
            local k = #rows.texts + 1
            rows.texts[k], rows.labels[k], rows.lines[k] = text, map and map[label] or label, line
            if rows.pairs then rows.pairs[k] = pair end
            for c, name in ipairs(kept) do rows.kept[name][k] = values[n + n_pair + 1 + c] end
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
function labelled.count(path, params)
   local columns = columns_of(params)
   local reader = open(path, params, columns)
   if not reader then return nil end
   local map, n = labelled.mapping(params.map), 0
   while true do
      local values = table.pack(reader:next(columns))
      if values[1] == nil then break end
      if values[1] and (not map or map[values[#params.text + #(params.pair or {}) + 2]]) then n = n + 1 end
   end
   return n
end

return labelled
