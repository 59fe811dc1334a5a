--- ft.read: labelled rows from files, either one file (to be split) or one per split.
--
-- Gives { splits = { train = rows, valid = rows, test = rows } } or { splits = { all = rows } }; rows is
-- { texts = {...}, labels = {...}, lines = {...}, file = path }. Labels stay text here.

local data = require "ftpipe.core.data"
local fs = require "ftpipe.core.fs"
local failure = require "ftpipe.failure"

local step = { kind = "read", version = 1, inputs = {} }

step.params = {
   from = { type = "string", help = "one file, split later" },
   train = { type = "string" }, valid = { type = "string" }, test = { type = "string" },
   text = { type = "list", default = { "text" }, help = "columns, joined by a line break" },
   label = { type = "string", default = "label" },
   map = { type = "list", help = "{ {from, to}, ... }: renames labels and drops the others" },
   bad = { type = "string", default = "error", choices = { "error", "quarantine" } },
   format = { type = "string", default = "auto", choices = { "auto", "csv", "tsv", "jsonl", "json" } },
   header = { type = "string", default = "auto", choices = { "auto", "yes", "no" } },
   quote = { type = "string", default = "auto" },
}

local splits = { "train", "valid", "test" }

--- Files that the step reads.
function step.files(params)
   local out = {}
   for _, key in ipairs { "from", "train", "valid", "test" } do
      if params[key] then out[#out + 1] = params[key] end
   end
   return out
end

local function mapping(list)
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

-- The text and label of one row, or nil, problem. Values are false where a JSON cell is null.
local function parts_of(values, n_text, joiner)
   local text = values[1]
   for i = 2, n_text do
      if values[i] and values[i] ~= "" then text = (text and text ~= "") and text .. joiner .. values[i] or values[i] end
   end
   if not text or not text:find("%S") then return nil, "the text is empty" end
   local label = values[n_text + 1]
   if not label or label == "" then return nil, "the label is empty" end
   return text, label
end

local function open(path, params, columns)
   return failure.try("data", data.open(path, { format = params.format ~= "auto" and params.format or nil,
      header = params.header, quote = params.quote, columns = columns }))
end

local function read_file(path, params, map, reject)
   local columns = { table.unpack(params.text) }
   columns[#columns + 1] = params.label
   local reader = open(path, params, columns)
   local rows = { texts = {}, labels = {}, lines = {}, file = path, unmapped = 0 }
   local n = #params.text
   local function bad(line, message, raw)
      if params.bad == "error" then
         failure.raise("data", message, "fix the row, or keep bad rows aside with --set bad=quarantine")
      end
      reject(path, line, message, raw)
   end
   while true do
      local values = table.pack(reader:next(columns))
      local line = table.remove(values, 1)
      if line == nil then break end
      if line == false then
         if values[1]:find("no column", 1, true) and #rows.texts == 0 then failure.raise("data", values[1]) end
         bad(values[2], values[1], values[3])
      else
         local text, label = parts_of(values, n, "\n")
         if not text then
            bad(line, ("%s:%d: %s"):format(path, line, label), "")
         elseif map and not map[label] then
            rows.unmapped = rows.unmapped + 1
         else
            local k = #rows.texts + 1
            rows.texts[k], rows.labels[k], rows.lines[k] = text, map and map[label] or label, line
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

-- Rejected rows go to rejected.csv in the run's directory.
local function quarantine(ctx)
   local writer, count = nil, 0
   return function(path, line, message, raw)
      if not writer then
         writer = failure.try("system", data.create(ctx.out .. "/rejected.csv", "csv", { "file", "line", "reason", "row" }))
      end
      count = count + 1
      -- a row that is not text itself (broken UTF-8, NUL) is shown by its printable bytes
      raw = (raw or ""):gsub("[%c\x80-\xff]", "?")
      failure.try("system", writer:row(path, line, (message:gsub("[%c\x80-\xff]", "?")), raw))
   end, function()
      if writer then failure.try("system", writer:commit()) end
      return count
   end
end

function step.run(ctx, _, params)
   if not params.from and not params.train then
      failure.raise("usage", "no data: give one file (data=FILE), or train=FILE and test=FILE")
   end
   if params.from and params.train then
      failure.raise("usage", "give either one file (data) or one per split (train, ...), not both")
   end
   local map = mapping(params.map)
   local reject, finish = quarantine(ctx)
   local out = { splits = {} }
   if params.from then
      out.splits.all = read_file(params.from, params, map, reject)
   else
      for _, name in ipairs(splits) do
         if params[name] then out.splits[name] = read_file(params[name], params, map, reject) end
      end
   end
   out.rejected = finish()
   if out.rejected > 0 then ctx:say(("%d bad rows are in %s/rejected.csv"):format(out.rejected, ctx.out)) end
   out.text, out.label, out.map = params.text, params.label, params.map
   return out
end

--- Rows that will be trained on, as far as can be told before running: counts the rows of the file.
function step.count_training_rows(params, share)
   local path = params.train or params.from
   if not path or fs.stat(path) ~= "file" then return nil end
   local columns = { table.unpack(params.text) }
   columns[#columns + 1] = params.label
   local reader = data.open(path, { format = params.format ~= "auto" and params.format or nil, header = params.header,
      quote = params.quote, columns = columns })
   if not reader then return nil end
   local map, n = mapping(params.map), 0
   while true do
      local values = table.pack(reader:next(columns))
      if values[1] == nil then break end
      if values[1] and (not map or map[values[#values]]) then n = n + 1 end
   end
   return params.train and n or math.floor(n * share)
end

return step
