--- What can be told of labelled rows before any weight is read.

local sys = require "ftpipe.core.sys"
local duplicates = require "ftpipe.duplicates"
local failure = require "ftpipe.failure"
local files = require "ftpipe.reading.files"
local labelled = require "ftpipe.reading.labelled"
local rows_of = require "ftpipe.rows"
local source = require "ftpipe.source"
local tasks = require "ftpipe.task"

local check = {}

local NEAR = 0.8            -- similarity of near duplicates
local RARE = 0.02           -- a label typo is this rare beside the label that it is near to, and
local LEAST = 3             -- rows that a label needs to be in train, validation and test
local ENORMOUS = 20000      -- bytes of one text
local TRUNCATED = 0.1       -- share of truncated rows that is worth a word
local TOLD = 3              -- examples of one finding

local function place(rows, i)
   local line = rows.lines[i] or "?"
   return (math.type(line) and "%s:%d" or "%s: %s"):format(rows.files and rows.files[i] or rows.file, line)
end

-- The first few of a list, and how many more there are.
local function some(list, text_of)
   local out = {}
   for k = 1, math.min(TOLD, #list) do out[k] = text_of(list[k]) end
   if #list > TOLD then out[#out + 1] = ("and %d more"):format(#list - TOLD) end
   return table.concat(out, ", ")
end

-- ==== Reading ====

local function header_of(path)
   local text = require("ftpipe.core.fs").read(path, 1 << 30) or ""
   return (text:match "^\xef?\xbb?\xbf?([^\r\n]*)") or ""
end

local separators = { { ";", 'semicolons: say delimiter = ";"' }, { "\t", 'tabs: say delimiter = "tab"' },
   { "|", 'vertical bars: say delimiter = "|"' } }

-- A header that has the wanted columns when it is cut at another sign.
local function other_separator(path, wanted)
   local header = header_of(files.expand(path)[1] or path)
   for _, s in ipairs(separators) do
      local names = {}
      for name in (header .. s[1]):gmatch("(.-)%" .. s[1]) do names[name:gsub('^"(.*)"$', "%1")] = true end
      if names[wanted] then return s[2] end
   end
end

local bad_kinds = { { "UTF%-8", "encoding" }, { "NUL", "encoding" }, { "text is empty", "empty_text" },
   { "label is empty", "empty_label" } }

local function read_file(path, params, find)
   local task, bad = tasks.find(params.task), {}
   local ok, rows = pcall(files.read, task, path, params, function(line, message)
      local kind = "bad_row"
      for _, k in ipairs(bad_kinds) do
         if message:find(k[1]) then
            kind = k[2]
            break
         end
      end
      bad[kind] = bad[kind] or {}
      table.insert(bad[kind], { line = line, message = message })
   end)
   for kind, list in pairs(bad) do
      local said = list[1].message
      local message = (said:find "^[^\n]-:%d+: " or said:sub(1, #path + 2) == path .. ": ") and said
         or ("%s:%s: %s"):format(path, tostring(list[1].line), list[1].message)
      find(kind, message .. (#list > 1 and (" (and %d more such rows)"):format(#list - 1) or ""))
   end
   if ok then return rows end
   local separator = not params.delimiter and other_separator(path, params.text[1])
   if separator then
      find("delimiter", ("%s: its columns seem to be separated by %s"):format(path, separator))
   elseif next(bad) == nil then
      find("unreadable", failure.is(rows) and rows.message or tostring(rows))
   end
end

-- ==== Findings ====

-- The labels of a row: one, or several.
local function labels_of(rows, i) return type(rows.labels[i]) == "table" and rows.labels[i] or { rows.labels[i] } end

local function counts_of(splits)
   local counts, first = {}, {}
   for _, name in ipairs(rows_of.splits) do
      local rows = splits[name]
      for i = 1, rows and #rows.labels or 0 do
         for _, label in ipairs(labels_of(rows, i)) do
            counts[label] = (counts[label] or 0) + 1
            first[label] = first[label] or place(rows, i)
         end
      end
   end
   return counts, first
end

local function sorted(t)
   local keys = {}
   for k in pairs(t) do keys[#keys + 1] = k end
   table.sort(keys)
   return keys
end

-- Labels that are too rare, apart from those that are another label misspelt.
local function labels(splits, find)
   local counts, first = counts_of(splits)
   for _, label in ipairs(sorted(counts)) do
      local frequent = {}
      for _, other in ipairs(sorted(counts)) do
         local rare = counts[label] <= math.max(1, RARE * counts[other])
         if rare and counts[other] > counts[label] then frequent[#frequent + 1] = other end
      end
      local near = not tonumber(label) and #label > 2 and sys.nearest(label, frequent)
      if near then
         find("label_typo", ("%s: label '%s' (%d rows) looks like '%s' (%d rows)"):format(first[label], label, counts[label],
            near, counts[near]))
      elseif counts[label] < LEAST and not (splits.train and splits.test) then
         find("rare_label", ("%s: label '%s' has %d rows, too few for training, validation and test"):format(first[label], label,
            counts[label]))
      end
   end
end

local function conflicts(splits, find)
   local label_of, at, list = {}, {}, {}
   for _, name in ipairs(rows_of.splits) do
      local rows = splits[name]
      for i, text in ipairs(rows and labelled.keys(rows) or {}) do
         local said = { table.unpack(labels_of(rows, i)) }
         table.sort(said)
         local label = table.concat(said, ", ")
         if label_of[text] and label_of[text] ~= label then
            list[#list + 1] = ("%s '%s' and %s '%s'"):format(at[text], label_of[text], place(rows, i), label)
         end
         if not label_of[text] then label_of[text], at[text] = label, place(rows, i) end
      end
   end
   if #list > 0 then
      find("conflicting_labels", ("one text with two labels: %s"):format(some(list, function(x) return x end)))
   end
end

local function repeats(splits, find)
   local texts, kinds = {}, {}
   for name, rows in pairs(splits) do texts[name] = rows.texts end
   for _, d in ipairs(duplicates.find(texts, NEAR)) do
      local kind = (d.exact and "duplicates" or "near_duplicates") .. (d.split ~= d.of.split and "_across_splits" or "")
      kinds[kind] = kinds[kind] or {}
      table.insert(kinds[kind], d)
   end
   for _, kind in ipairs(sorted(kinds)) do
      find(kind, ("%d texts that %s: %s"):format(#kinds[kind], kind:find "near" and "say nearly the same as another"
         or "occur more than once", some(kinds[kind], function(d)
         return ("%s and %s"):format(place(splits[d.of.split], d.of.row), place(splits[d.split], d.row))
      end)))
   end
end

local function enormous(splits, find)
   local list = {}
   for _, name in ipairs(rows_of.splits) do
      local rows = splits[name]
      for i, text in ipairs(rows and rows.texts or {}) do
         if #text > ENORMOUS then list[#list + 1] = ("%s (%d bytes)"):format(place(rows, i), #text) end
      end
   end
   if #list > 0 then find("enormous_text", "texts of enormous length: " .. some(list, function(x) return x end)) end
end

-- Share of rows that are cut, by the tokeniser that the pipeline uses.
local function truncated(splits, tokenizer, most, find)
   for _, name in ipairs(rows_of.splits) do
      local rows = splits[name]
      local _, full = nil, nil
      if rows then _, full = tokenizer:encode_all(rows.texts, rows.pairs, { max_length = most }) end
      local cut = 0
      for _, n in ipairs(type(full) == "table" and full or {}) do if n > most then cut = cut + 1 end end
      if rows and cut / #rows.texts > TRUNCATED then
         find("truncated", ("%s: %d of %d rows are longer than %d tokens and would be cut"):format(rows.file, cut, #rows.texts,
            most))
      end
   end
end

--- Check what a read step would read. find(code, text) is told of each finding.
---@param params table of the step
---@param tokens { tokenizer: userdata, most: integer }|nil
---@param find fun(code: string, text: string)
function check.run(params, tokens, find)
   local splits, any = {}, false
   local paths = {}
   for _, key in ipairs { "from", "train", "valid", "test" } do paths[key] = params[key] and source.path(params[key]) end
   for key, path in pairs(paths.from and source.splits(paths.from) or paths) do
      splits[key == "from" and "all" or key] = read_file(path, params, find)
   end
   for _, rows in pairs(splits) do any = any or rows.texts ~= nil and rows.labels ~= nil end
   if not any then return end
   if params.task ~= "regression" then labels(splits, find) end      -- numbers are no labels that could be rare
   conflicts(splits, find)
   repeats(splits, find)
   enormous(splits, find)
   if tokens and tokens.long ~= "windows" then truncated(splits, tokens.tokenizer, tokens.most, find) end
end

return check
