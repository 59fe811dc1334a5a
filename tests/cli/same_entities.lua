-- tests/cli/same_entities.lua - what `predict --as FORMAT` wrote reads back as the entities of its JSON Lines:
-- ftpipe lua tests/cli/same_entities.lua TRUTH.jsonl FORMAT FILE

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local tagging = require "ftpipe.core.tagging"
local entities = require "ftpipe.reading.entities"

local truth, format, path = arg[1], arg[2], arg[3]

-- Label Studio exports what its users accepted in the form of predictions, but as annotations.
if format == "labelstudio" then
   local tasks = json.decode(assert(fs.read(path)))
   for _, task in ipairs(tasks) do
      assert(task.predictions[1].model_version == "ftpipe" and task.data.text)
      task.annotations, task.predictions = task.predictions, nil
   end
   path = path .. ".accepted.json"
   assert(fs.write(path, json.encode(tasks)))
end

-- "text: label=entity ..." of every row.
local function rows_of(file, how)
   local rows, out = entities.read(file, { format = how }, function(_, message) error(message, 0) end), {}
   for i = 1, rows.n do
      local words, parts = tagging.words(rows.texts[i], rows.words[i]), {}
      for _, e in ipairs(rows.entities[i]) do
         parts[#parts + 1] = e[3] .. "=" .. table.concat(words, how == "conll" and " " or "\0", e[1], e[2]):gsub("%z", "")
      end
      out[i] = (how == "conll" and "" or rows.texts[i] .. ": ") .. table.concat(parts, " ")
   end
   return out, rows
end

local want = {}
for line in assert(fs.read(truth)):gmatch "[^\n]+" do
   local row = json.decode(line)
   local parts = {}
   for _, e in ipairs(row.entities) do
      parts[#parts + 1] = e.label .. "=" .. (format == "conll" and e.text or e.text:gsub("[ \t\n]", ""))
   end
   want[#want + 1] = (format == "conll" and "" or row.text .. ": ") .. table.concat(parts, " ")
end
local got = rows_of(path, format)
assert(#got == #want, ("%d rows, want %d"):format(#got, #want))
local some = 0
for i, line in ipairs(want) do
   if got[i] ~= line then error(("row %d: got '%s', want '%s'"):format(i, got[i], line), 0) end
   if line:find "=" then some = some + 1 end
end
assert(some > 2, "too few entities to tell")
