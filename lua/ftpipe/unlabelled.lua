--- Unlabelled text from files and folders, document by document.
--
-- Formats: "lines" (every line is a document: reviews, messages), "paragraphs" (documents are parted by empty lines),
-- "doc" (blocks between <doc ...> and </doc>, as WikiExtractor writes them), and the tables csv, tsv, jsonl and json (every
-- row is a document). "auto" goes by the name, and for what is no table by the first line: "<doc " or not.

local data = require "ftpipe.core.data"
local fs = require "ftpipe.core.fs"
local failure = require "ftpipe.failure"
local patterns = require "ftpipe.reading.files"
local source = require "ftpipe.source"

local unlabelled = {}

local tables = { csv = "csv", tsv = "tsv", tab = "tsv", jsonl = "jsonl", ndjson = "jsonl", json = "json" }

unlabelled.formats = { "auto", "lines", "paragraphs", "doc", "csv", "tsv", "jsonl", "json" }

unlabelled.encodings = { "auto", "utf-8", "utf-16", "utf-16le", "utf-16be", "latin-1" }

--- Files below the paths given, folders searched in byte order of their names; hidden files are passed over. A path may be a
-- pattern, or lie elsewhere (ftpipe.source).
-- What is still to be fetched stands for itself.
---@param paths string[]
---@return string[]
function unlabelled.files(paths)
   local out = {}
   local function add(path)
      local kind = fs.stat(path)
      if not kind then failure.raise("usage", ("there is no file or folder %s%s"):format(path, patterns.did_you_mean(path))) end
      if kind ~= "directory" then
         out[#out + 1] = path
         return
      end
      local names = failure.try("system", fs.list(path))
      table.sort(names)
      for _, name in ipairs(names) do
         if not name:find "^%." then add((path:gsub("/$", "")) .. "/" .. name) end
      end
   end
   for _, text in ipairs(paths) do
      local path = source.path(text)
      if source.is_foreign(text) and not fs.stat(path) then out[#out + 1] = path
      else for _, file in ipairs(patterns.some(path)) do add(file) end end
   end
   if #out == 0 then failure.raise("usage", ("there are no files in %s"):format(table.concat(paths, ", "))) end
   return out
end

-- Rows of a reader: an iterator over (line number, values...), which raises at a bad row.
local function rows(path, format, columns, encoding)
   local reader = failure.try("data", data.open(path, { format = format, columns = columns, encoding = encoding }))
   return function()
      local row = table.pack(reader:next(columns, #columns))
      if row[1] == false then failure.raise("data", row[2]) end
      return table.unpack(row, 1, row.n)
   end
end

local function visit_table(path, format, opts, visit)
   local next_row = rows(path, format, opts.text or { "text" }, opts.encoding)
   while true do
      local row = table.pack(next_row())
      if row[1] == nil then return end
      local parts = {}
      for i = 2, row.n do if row[i] and row[i] ~= "" then parts[#parts + 1] = row[i] end end
      if #parts > 0 then visit(table.concat(parts, "\n")) end
      visit(false)
   end
end

local function visit_lines(path, format, opts, visit)
   local first = true
   for _, text in rows(path, "lines", { "text" }, opts.encoding) do
      local marker = text:find "^<doc " or text:find "^</doc>"
      if first and format == "auto" then format = marker and "doc" or "lines" end
      first = false
      local blank = not text:find "%S"
      if format == "doc" and marker or format == "paragraphs" and blank then visit(false)
      elseif not blank then
         visit(text)
         if format == "lines" then visit(false) end
      end
   end
   visit(false)
end

--- Call visit(text) for each piece of text, and visit(false) where a document ends. Texts hold no more than a line
-- or a row, so that files may be larger than memory.
---@param path string
---@param opts { format: string?, text: string[]?, encoding: string? }
---@param visit fun(text: string|false)
function unlabelled.each(path, opts, visit)
   local format = opts.format or "auto"
   local extension = path:match "%.([^./]+)$"
   local by_name = extension and tables[extension:lower()]
   if format == "auto" and by_name then format = by_name end
   if tables[format] then return visit_table(path, format, opts, visit) end
   return visit_lines(path, format, opts, visit)
end

return unlabelled
