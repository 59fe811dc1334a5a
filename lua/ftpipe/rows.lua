--- Rows of a task as steps hand them on: choosing some, seeing one, joining several.
--
-- Rows are lists side by side, one element for each row (those of the task's columns that there are;
-- `kept`: further columns of the file, by name;
-- `files`: the file of each row, where they come from several). All splits of an artifact: { task, splits = { name = rows } }.

local tasks = require "ftpipe.task"

local rows = {}

rows.splits = { "train", "valid", "test", "all" }

--- The task of an artifact.
function rows.task(artifact) return tasks.find(artifact.task or "classification") end

local function each_column(task, from, visit)
   for _, name in ipairs(task.columns) do
      if from[name] then visit(name, from[name], nil) end
   end
   if from.files then visit("files", from.files, nil) end
   for name, column in pairs(from.kept or {}) do visit(name, column, "kept") end
end

local function put(into, name, group, column)
   if group then
      into[group] = into[group] or {}
      into[group][name] = column
   else
      into[name] = column
   end
end

--- How many there are.
function rows.count(task, from) return #from[task.columns[1]] end

--- The rows with these numbers, in the order of the list.
---@param task table
---@param from table
---@param index integer[]
function rows.pick(task, from, index)
   local out = { file = from.file }
   each_column(task, from, function(name, column, group)
      local some = {}
      for k, i in ipairs(index) do some[k] = column[i] end
      put(out, name, group, some)
   end)
   return out
end

--- An artifact like another one, with other splits.
function rows.with(artifact, splits)
   local out = {}
   for k, v in pairs(artifact) do out[k] = v end
   out.splits = splits
   return out
end

--- Each split of an artifact changed by f(rows, name); a split for which it gives nothing is left out.
function rows.each(artifact, f)
   local splits = {}
   for _, name in ipairs(rows.splits) do
      if artifact.splits[name] then splits[name] = f(artifact.splits[name], name) end
   end
   return rows.with(artifact, splits)
end

-- "texts" -> "text": what a function of the pipeline sees of a row
local function singular(name) return name == "entities" and name or (name:gsub("s$", "")) end

--- One row as a function sees it: text, label, line, file, split, and the columns that were kept.
function rows.view(task, from, i, split)
   local row = { file = from.files and from.files[i] or from.file, split = split }
   for name, column in pairs(from.kept or {}) do row[name] = column[i] end
   for _, name in ipairs(task.columns) do
      if from[name] then row[singular(name)] = from[name][i] end
   end
   return row
end

--- Add a row as a function gave it back to lists that grow; `like` says which columns there are.
function rows.add(task, into, row, like)
   for _, name in ipairs(task.columns) do
      local value = row[singular(name)]
      if name == "lines" then value = value or false end      -- questions of a JSON file have none
      if value ~= nil then
         into[name] = into[name] or {}
         table.insert(into[name], value)
      end
   end
   if like.files then
      into.files = into.files or {}
      table.insert(into.files, row.file)
   end
   for name in pairs(like.kept or {}) do
      into.kept = into.kept or {}
      into.kept[name] = into.kept[name] or {}
      table.insert(into.kept[name], row[name] or false)
   end
end

--- Rows of several artifacts one after the other. Columns that not all have kept are dropped.
---@param task table
---@param list table[] rows
function rows.join(task, list)
   local out, files, kept = { files = {} }, {}, nil
   for _, from in ipairs(list) do
      files[#files + 1] = from.file
      local own = {}
      for name in pairs(from.kept or {}) do own[name] = not kept or kept[name] or nil end
      kept = own
   end
   for _, from in ipairs(list) do
      for i = 1, rows.count(task, from) do
         local row = rows.view(task, from, i)
         rows.add(task, out, row, { files = true, kept = kept })
      end
   end
   out.file = table.concat(files, " + ")
   return out
end

return rows
