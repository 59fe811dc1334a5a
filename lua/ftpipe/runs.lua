--- The runs there are below runs/: finding, telling and comparing them. A run notes about itself in run.json.

local data = require "ftpipe.core.data"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"
local stats = require "ftpipe.stats"

local runs = {}

local function read_json(path)
   local text = fs.read(path)
   local value = text and json.decode(text)
   return type(value) == "table" and value or nil
end

--- A run by its directory: { dir, about (run.json), done, metrics, log }; nil where there is none.
---@param dir string
function runs.read(dir)
   local about = read_json(dir .. "/run.json")
   if not about then return nil end
   local state = read_json(dir .. "/.run/state.json")
   return { dir = dir, about = about, done = state ~= nil and state.done == true, metrics = read_json(dir .. "/metrics.json") }
end

-- Names in a folder, numbers by their value and before all else; without what is hidden and links to the newest.
local function in_order(dir)
   local names = {}
   for _, name in ipairs(fs.list(dir) or {}) do
      if not name:find "^%." and name ~= "latest" then names[#names + 1] = name end
   end
   table.sort(names, function(a, b)
      local x, y = math.tointeger(tonumber(a)), math.tointeger(tonumber(b))
      if x and y and x ~= y then return x < y end
      if (x ~= nil) ~= (y ~= nil) then return x ~= nil end
      return a < b
   end)
   return names
end

local DEPTH = 3      -- folders in folders that are looked into: ./runs/NAME/NUMBER

--- All runs in a directory and below it, by name and number; the directory may be a run itself.
---@param base? string
function runs.all(base)
   local out = {}
   local function add(dir, depth)
      local run = runs.read(dir)
      if run then out[#out + 1] = run end
      if run or depth == DEPTH then return end
      for _, name in ipairs(in_order(dir)) do
         local inner = dir == "." and name or dir .. "/" .. name
         if fs.stat(inner) == "directory" then add(inner, depth + 1) end
      end
   end
   add(base and base:gsub("(.)/+$", "%1") or "runs", 0)
   return out
end

--- A run by what the user calls it: a directory, NAME/NUMBER, NAME (its latest), or a number where only one name has it.
---@param word string
function runs.find(word)
   for _, dir in ipairs { word, "runs/" .. word, "runs/" .. word .. "/latest" } do
      local number = dir:find "/latest/*$" and (fs.real(dir) or ""):match "[^/]*$"
      local run = runs.read(number and dir:gsub("latest/*$", number) or (dir:gsub("/+$", "")))
      if run then return run end
   end
   local all, found, names = runs.all(), {}, {}
   for _, run in ipairs(all) do
      if run.dir:match "[^/]*$" == word then found[#found + 1] = run end
      names[#names + 1] = run.dir:gsub("^runs/", "")
   end
   if #found == 1 then return found[1] end
   if #found > 1 then failure.raise("usage", ("there are %d runs '%s'"):format(#found, word), "say NAME/NUMBER") end
   local near = sys.nearest(word, names)
   failure.raise("usage", ("there is no run '%s'%s"):format(word, near and ("; did you mean '%s'?"):format(near) or ""),
      "`ftpipe runs` lists them")
end

-- ==== Comparing ====

local function text_of(value)
   if value == nil then return "" end
   if type(value) == "table" then return json.encode(value) end
   if math.type(value) == "float" then return ("%.4g"):format(value) end
   return tostring(value)
end

-- Numbers at the top of metrics.json are the headline scores of the model that the run is for.
local function scores_of(run)
   local out = {}
   for name, value in pairs(run.metrics or {}) do
      if type(value) == "number" and name ~= "seed" and name ~= "rows" then out[name] = value end
   end
   return out
end

-- What decided about a run, by dotted names.
local function settings_of(run)
   local out = {}
   for name, value in pairs(run.about.params or {}) do out[name] = text_of(value) end
   for id, values in pairs(run.metrics and run.metrics.settled or {}) do
      for name, value in pairs(values) do out[("%s.%s (used)"):format(id, name)] = text_of(value) end
   end
   for _, source in ipairs(run.about.sources or {}) do out[source.name] = source.commit or source.sha256 end
   out.seed, out.version, out.computed_with = text_of(run.about.seed), run.about.version, run.about.computed_with
   return out
end

local function rows_of(tables)
   local names, seen = {}, {}
   for _, t in ipairs(tables) do
      for name in pairs(t) do
         if not seen[name] then names[#names + 1] = name end
         seen[name] = true
      end
   end
   local out = {}
   for _, name in ipairs(names) do
      local row = { name = name, values = json.array {}, differs = false }
      for i, t in ipairs(tables) do
         row.values[i] = t[name] == nil and json.null or t[name]
         row.differs = row.differs or t[name] ~= tables[1][name]
      end
      out[#out + 1] = row
   end
   table.sort(out, function(a, b)
      if a.differs ~= b.differs then return a.differs end
      return a.name < b.name
   end)
   return out
end

-- The test rows as the run predicted them, and the digest of texts and gold labels; nil for tasks without such a file.
local function predictions(run)
   local path = run.dir .. "/predictions.csv"
   local reader = fs.stat(path) and data.open(path, { columns = { "text", "gold", "predicted" } })
   if not reader then return nil end
   local gold, predicted, texts = {}, {}, {}
   while true do
      local line, text, label, said = reader:next { "text", "gold", "predicted" }
      if line == nil then break end
      if not line then return nil end
      gold[#gold + 1], predicted[#predicted + 1] = label, said
      texts[#texts + 1] = ("%d:%s\n%s\n"):format(#text, text, label)
   end
   reader:close()
   return { gold = gold, predicted = predicted, rows = fs.sha256(table.concat(texts)) }
end

-- Labels of several columns as numbers from 1.
local function numbered(columns)
   local ids, n, out = {}, 0, {}
   for c, column in ipairs(columns) do
      out[c] = {}
      for i, label in ipairs(column) do
         if not ids[label] then
            n = n + 1
            ids[label] = n
         end
         out[c][i] = ids[label]
      end
   end
   return out, n
end

-- Differences of scores to the first run, with paired bootstrap intervals; only on the same rows.
local function differences(list)
   local out, first = json.array {}, predictions(list[1])
   for i = 2, #list do
      local other = predictions(list[i])
      local entry = { a = list[1].dir, b = list[i].dir }
      if not first or not other then
         entry.reason = "not both runs have predictions of labelled rows"
      elseif first.rows ~= other.rows then
         entry.reason = "their test rows are not the same"
      else
         local columns, classes = numbered { first.gold, other.predicted, first.predicted }
         local n = 0
         local found = stats.paired(columns[1], columns[2], columns[3], { classes = classes, random = function(below)
            n = n + 1
            return sys.random(1, "compare", n, below)
         end })
         entry.rows, entry.accuracy, entry.f1 = #first.gold, found.accuracy, found.f1
      end
      out[#out + 1] = entry
   end
   return out
end

--- Runs side by side: { runs, scores, settings, differences }; rows that differ come first. A difference is "other less
--- first".
---@param list table[] from runs.read
function runs.compare(list)
   local scores, settings, dirs = {}, {}, json.array {}
   for i, run in ipairs(list) do scores[i], settings[i], dirs[i] = scores_of(run), settings_of(run), run.dir end
   return { runs = dirs, scores = json.array(rows_of(scores)), settings = json.array(rows_of(settings)),
      differences = differences(list) }
end

runs.value_text = text_of

return runs
