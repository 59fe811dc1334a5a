--- Labels that do not exclude each other, as files hold them: a delimited cell ("joy;hope"), a JSON array, or a column of 0 and
--- 1 for each label. No label at all is an empty cell or an empty array.

local json = require "ftpipe.core.json"
local labelled = require "ftpipe.reading.labelled"

local label_sets = {}

label_sets.separators = { "|", ";", "," }      -- of which the first that occurs in a file is its separator

-- Each once, in their order.
local function unique(list)
   local seen, out = {}, {}
   for _, label in ipairs(list) do
      if not seen[label] then
         seen[label] = true
         out[#out + 1] = label
      end
   end
   return out
end

local function of_array(cell)
   local list, message = json.decode(cell)
   if type(list) ~= "table" then
      return nil, ("the labels begin with [ but are no JSON array (%s); write [\"a\",\"b\"]"):format(message)
   end
   local out = {}
   for i, label in ipairs(list) do
      if type(label) ~= "string" and type(label) ~= "number" then return nil, ("label %d of the array is no text"):format(i) end
      out[i] = tostring(label)
      if not out[i]:find "%S" then return nil, ("label %d of the array is empty"):format(i) end
   end
   return unique(out)
end

--- A list, or the cell itself where it must still be cut; nil and what is wrong.
function label_sets.of_cell(cells)
   local cell = cells[1]
   if not cell then return nil, "the labels are null; write [] where there are none" end
   if cell:find "^%s*%[" then return of_array(cell) end
   return cell
end

local truth = { ["1"] = true, ["true"] = true, ["yes"] = true, ["0"] = false, ["false"] = false, ["no"] = false }

local function of_columns(cells, names)
   local out = {}
   for i, name in ipairs(names) do
      local cell = cells[i] or ""
      local held = truth[cell:lower():gsub("%.0$", "")]
      if held == nil then return nil, ("column '%s' holds '%s', want 0 or 1"):format(name, cell) end
      if held then out[#out + 1] = name end
   end
   return out
end

local function cut(cell, separator)
   local out = {}
   for part in (cell .. separator):gmatch("(.-)" .. separator:gsub("%p", "%%%0")) do
      part = part:match "^%s*(.-)%s*$"
      if part ~= "" then out[#out + 1] = part end
   end
   return unique(out)
end

-- The first of the usual separators that occurs.
local function separator_of(labels)
   for _, separator in ipairs(label_sets.separators) do
      for _, cell in ipairs(labels) do
         if type(cell) == "string" and cell:find(separator, 1, true) then return separator end
      end
   end
end

--- Lists of what of_cell gave, and what cut them, nil where nothing did.
---@param labels (string|string[])[]
---@param separator string "auto": the first of the usual ones that occurs
---@return string[][] sets, string? separator
function label_sets.cut_all(labels, separator)
   local sets = {}
   separator = separator ~= "auto" and separator or separator_of(labels)
   for i, label in ipairs(labels) do sets[i] = type(label) == "string" and cut(label, separator or "\n") or label end
   return sets, separator
end

local function renamed(list, map)
   local out = {}
   for _, label in ipairs(list) do out[#out + 1] = map[label] end
   return unique(out)
end

--- Rows as labelled.read gives them, with a list of labels for each; `separator` is what cut them, nil where nothing did.
--- params: as there; labels (columns of 0 and 1) or label, and separator ("auto": one of the usual ones).
---@param path string
---@param params table
---@param bad fun(line: integer, message: string, raw: string)
function label_sets.read(path, params, bad)
   local names = params.labels
   local rows = labelled.read(path, params, bad, function(cells)
      if names then return of_columns(cells, names) end
      return label_sets.of_cell(cells)
   end)
   if params.labelled == false then
      for i in ipairs(rows.labels) do rows.labels[i] = {} end
      return rows
   end
   rows.labels, rows.separator = label_sets.cut_all(rows.labels, params.separator)
   local map = labelled.mapping(params.map)
   for i, set in ipairs(rows.labels) do rows.labels[i] = map and renamed(set, map) or set end
   return rows
end

return label_sets
