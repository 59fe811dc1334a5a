--- ft.read: rows of a task from files, either one file (to be split) or one per split.
--
-- Gives { task, splits = { train = rows, valid = rows, test = rows } } or { task, splits = { all = rows } }; what rows are is
-- the task's affair.

local data = require "ftpipe.core.data"
local fs = require "ftpipe.core.fs"
local failure = require "ftpipe.failure"
local files = require "ftpipe.reading.files"
local source = require "ftpipe.source"
local tasks = require "ftpipe.task"

local step = { kind = "read", version = 2, early = true, exact = true, seedless = true,
   inputs = { from = "optional", train = "optional", valid = "optional", test = "optional" },
   sources = { "from", "train", "valid", "test" } }

step.params = {
   task = { type = "string", default = "classification", choices = tasks.names },
   from = { type = "string", help = "one file, a pattern (\"data/*.csv\"), or a folder of texts by label (pos/*.txt), split later; "
      .. "or a folder with train, valid and test" },
   train = { type = "string" }, valid = { type = "string" }, test = { type = "string" },
   text = { type = "list", default = { "text" }, help = "columns, joined by a line break" },
   pair = { type = "list", help = "columns of a second text, for labels of pairs" },
   label = { type = "string", default = "label" },
   labelled = { type = "boolean", help = "false: the rows have no labels yet, ft.predict gives them" },
   labels = { type = "list", help = "multi_label: columns of 0 and 1, one for each label, instead of `label`" },
   separator = { type = "string", default = "auto", help = "multi_label: what stands between labels; auto: the first of | ; , "
      .. "that occurs" },
   keep = { type = "list", help = "further columns, for the group of ft.split and the functions of ft.filter and ft.map" },
   map = { type = "list", help = "{ {from, to}, ... }: renames labels and drops the others" },
   bad = { type = "string", default = "error", choices = { "error", "quarantine" } },
   format = { type = "string", default = "auto", choices = { "auto", "csv", "tsv", "jsonl", "json", "squad", "conll",
      "doccano", "labelstudio", "prodigy" } },
   header = { type = "string", default = "auto", choices = { "auto", "yes", "no" } },
   quote = { type = "string", default = "auto", help = "of csv and tsv: auto, none or a character" },
   delimiter = { type = "string", help = "between the columns of csv and tsv, where it is not usual: \";\", \"|\", \"tab\"" },
   encoding = { type = "string", choices = { "auto", "utf-8", "utf-16", "utf-16le", "utf-16be", "latin-1" },
      help = "of the files; nothing said: UTF-16 where its mark is, else UTF-8" },
   overlap = { type = "string", default = "error", choices = { "error", "longest" }, help = "of two entities that overlap" },
   offsets = { type = "string", default = "auto", choices = { "auto", "characters", "units", "bytes" },
      help = "what places of entities count: code points, UTF-16 units or bytes" },
}

local splits = { "train", "valid", "test" }
local TOLD = 5      -- bad rows of a file that are told one by one

-- Paths by key: { from } or { train, valid, test }.
local function places(params, inputs)
   local out = {}
   for _, key in ipairs { "from", "train", "valid", "test" } do
      local given = inputs and inputs[key] and inputs[key].path or params[key]
      out[key] = given and source.path(given)
   end
   return out.from and not out.train and source.splits(out.from) or out
end

--- Files that the step reads.
function step.files(params)
   local out, at = {}, places(params)
   for _, key in ipairs { "from", "train", "valid", "test" } do
      local list = at[key] and files.of(at[key]) or {}
      table.move(list, 1, #list, #out + 1, out)
   end
   return out
end

local function escaped(bytes) return (bytes:gsub(".", function(b) return ("\\x%02X"):format(b:byte()) end)) end

-- Bytes as text that any program reads: what is not UTF-8, and control characters other than tab and line break, as \xNN.
local function as_text(bytes)
   local out, at = {}, 1
   while at <= #bytes do
      local _, wrong = utf8.len(bytes, at)
      local stop = wrong or #bytes + 1
      out[#out + 1] = (bytes:sub(at, stop - 1):gsub("[%z\1-\8\11-\31\127]", escaped))
      if wrong then out[#out + 1] = escaped(bytes:sub(wrong, wrong)) end
      at = stop + 1
   end
   return table.concat(out)
end

-- Rejected rows, as they go to rejected.csv in the directory of each run.
local function quarantine()
   local rows = {}
   return rows, function(path, line, message, raw) rows[#rows + 1] = { path, line, as_text(message), as_text(raw or "") } end
end

--- What the step leaves in a run's directory; true where there is anything.
function step.leave(out, artifact)
   if #artifact.rejected_rows == 0 then return false end
   local writer = failure.try("system", data.create(out .. "/rejected.csv", "csv", { "file", "line", "reason", "row" }))
   for _, row in ipairs(artifact.rejected_rows) do failure.try("system", writer:row(table.unpack(row))) end
   failure.try("system", writer:commit())
   return true
end

local function check(params, inputs)
   params = setmetatable({ from = inputs.from, train = inputs.train }, { __index = params })
   if not params.from and not params.train then
      failure.raise("usage", "no data: give one file (data=FILE), or train=FILE and test=FILE")
   end
   if params.labels and params.task ~= "multi_label" then
      failure.raise("usage", "labels, a column for each, are for the task multi_label; other tasks have `label`")
   end
   if params.separator == "" then failure.raise("usage", "separator is empty") end
   if params.from and params.train then
      failure.raise("usage", "give either one file (data) or one per split (train, ...), not both")
   end
end

local function hint_for(message, params, path)
   if not params.encoding and message:find "not UTF%-8" then
      return 'convert the file to UTF-8, or say which it is: encoding = "latin-1"'
   elseif not params.encoding and message:find "a NUL byte" then
      return 'if the file is UTF-16 without a mark, say so: encoding = "utf-16le" (or "utf-16be")'
   end
   local near = path and not fs.stat(path) and files.near(path)
   return near and ("did you mean %s?"):format(near) or nil
end

local QUARANTINE = "fix the row, or keep bad rows aside with --set bad=quarantine"

-- Rows of a file; what is wrong with it goes to the list, so that all files are looked at.
local function read_file(task, path, params, reject, problems)
   local bad = 0
   local ok, rows = pcall(files.read, task, path, params, function(line, message, raw)
      if params.bad == "quarantine" then return reject(path, line, message, raw) end
      bad = bad + 1
      if bad <= TOLD then
         problems[#problems + 1] = failure.new("data", message, hint_for(message, params) or QUARANTINE)
      end
   end)
   if ok and bad > TOLD then
      problems[#problems + 1] = failure.new("data", ("%s: and %d more row%s that cannot be read"):format(path,
         bad - TOLD, bad == TOLD + 1 and "" or "s"))
   elseif not ok and bad == 0 then
      if not failure.is(rows) and type(rows) ~= "string" then error(rows, 0) end
      local problem = failure.wrap(rows)
      problem.hint = problem.hint or hint_for(problem.message, params, path)
      problems[#problems + 1] = problem
   end
   return ok and rows or nil
end

function step.run(ctx, inputs, params)
   check(params, inputs)
   local task = tasks.find(params.task)
   local rejected, reject = quarantine()
   local problems = {}
   local out = { task = task.name, splits = {}, rejected_rows = rejected, text = params.text, pair = params.pair,
      label = params.label, map = params.map, labelled = params.labelled }
   local at = places(params, inputs)
   for _, name in ipairs { "from", table.unpack(splits) } do
      if at[name] and (name == "from") == (at.from ~= nil) then
         out.splits[name == "from" and "all" or name] = read_file(task, at[name], params, reject, problems)
      end
   end
   failure.raise_all(problems)
   out.rejected = #rejected
   if out.rejected > 0 then ctx:say(("%d bad rows are in %s/rejected.csv"):format(out.rejected, ctx.out)) end
   return out
end

local counts = setmetatable({}, { __mode = "k" })      -- by parameters: many steps may ask for the same rows

local function count(params)
   local at = places(params)
   local path = at.train or at.from
   return path and files.count(tasks.find(params.task), path, params)
end

--- Rows that will be trained on, as far as can be told before running: counts the rows of the file.
function step.count_training_rows(params, share)
   if counts[params] == nil then counts[params] = count(params) or false end
   local n = counts[params]
   return n and (places(params).train and n or math.floor(n * share))
end

return step
