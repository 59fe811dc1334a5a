-- tests/cli/data_forms.lua - the demo's reviews in other forms: ftpipe lua tests/cli/data_forms.lua DIR
--
-- Splits DIR/reviews.csv into train, valid and test, and writes each as .csv, .tsv, .jsonl, .bare.tsv (label first, no
-- header) and .two.csv (the text in two columns, labels 1 and 5); stars.csv has the labels 1, 5 and 10.

local data = require "ftpipe.core.data"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"

local dir = assert(arg[1], "usage: ftpipe lua tests/cli/data_forms.lua DIR")

local splits, stars = { train = {}, valid = {}, test = {} }, {}
local reader, n = assert(data.open(dir .. "/reviews.csv")), 0
while true do
   local line, text, label = reader:next { "text", "label" }
   if line == nil then break end
   n = n + 1
   local name = n % 10 == 8 and "valid" or n % 10 == 9 and "test" or "train"
   table.insert(splits[name], { text, label })
   stars[n] = { text, ({ "10", "1", "5" })[n % 3 + 1] }
end

local function table_file(path, format, columns, rows, cells)
   local w = assert(data.create(path, format, columns))
   for _, row in ipairs(rows) do assert(w:row(cells(row[1], row[2]))) end
   assert(w:commit())
end

local function same(text, label) return text, label end

for name, rows in pairs(splits) do
   local base = dir .. "/" .. name
   table_file(base .. ".csv", "csv", { "text", "label" }, rows, same)
   table_file(base .. ".tsv", "tsv", { "text", "label" }, rows, same)
   table_file(base .. ".two.csv", "csv", { "title", "stars", "body" }, rows, function(text, label)
      local title, body = text:match "^(%S+ %S+) (.*)$"
      return title, label == "pos" and "5" or "1", body
   end)
   local lines, bare = {}, {}
   for i, row in ipairs(rows) do
      lines[i] = json.encode { text = row[1], label = row[2] } .. "\n"
      bare[i] = row[2] .. "\t" .. row[1] .. "\n"
   end
   assert(fs.write(base .. ".jsonl", table.concat(lines)))
   assert(fs.write(base .. ".bare.tsv", table.concat(bare)))
end
table_file(dir .. "/stars.csv", "csv", { "text", "stars" }, stars, same)
return 0
