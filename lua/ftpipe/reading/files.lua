--- Rows of one source that may be several files: a file, a pattern ("data/*.csv", its files in sorted order), or a folder of
-- texts by label (pos/*.txt, neg/*.txt: every file is a text, its folder's name the label).

local data = require "ftpipe.core.data"
local fs = require "ftpipe.core.fs"
local failure = require "ftpipe.failure"
local rows_of = require "ftpipe.rows"
local sys = require "ftpipe.core.sys"

local files = {}

-- ==== Patterns ====

--- Whether a path is a pattern: it has "*" or "?" and no file is called so.
---@param path string
function files.is_pattern(path) return path:find "[*?]" ~= nil and fs.stat(path) == nil end

-- "*" and "?" of a name as a Lua pattern; neither matches a dot at its beginning, as in a shell.
local function matcher(part)
   local pattern = "^" .. part:gsub("[%^%$%(%)%%%.%[%]%+%-]", "%%%0"):gsub("%*", ".*"):gsub("%?", ".") .. "$"
   local hidden = part:find "^%." ~= nil
   return function(name) return name:find(pattern) ~= nil and (hidden or name:sub(1, 1) ~= ".") end
end

--- Whether a name with slashes fits a pattern, part by part.
---@param pattern string
---@param name string
function files.fits(pattern, name)
   local next_part = name:gmatch "[^/]+"
   for part in pattern:gmatch "[^/]+" do
      local own = next_part()
      if not own or not matcher(part)(own) then return false end
   end
   return next_part() == nil
end

local function step_into(dirs, part)
   local out = {}
   local matches = part:find "[*?]" and matcher(part)
   for _, dir in ipairs(dirs) do
      local before = dir == "" and "" or dir == "/" and "/" or dir .. "/"
      if not matches then
         if fs.stat(before .. part) then out[#out + 1] = before .. part end
      else
         for _, name in ipairs(fs.list(dir == "" and "." or dir) or {}) do
            if matches(name) then out[#out + 1] = before .. name end
         end
      end
   end
   return out
end

--- The files that a pattern stands for, sorted; those of a path that is none: itself.
---@param path string
---@return string[]
function files.expand(path)
   if not files.is_pattern(path) then return { path } end
   local found = { path:sub(1, 1) == "/" and "/" or "" }
   for part in path:gmatch "[^/]+" do found = step_into(found, part) end
   local out = {}
   for _, name in ipairs(found) do if fs.stat(name) == "file" then out[#out + 1] = name end end
   table.sort(out)
   return out
end

--- What lies beside a path at which there is nothing and is called nearly the same: its path, or nil.
---@param path string
---@param fits? fun(name: string): boolean
function files.near(path, fits)
   local dir, part = path:gsub("(.)/+$", "%1"):match "^(.-)([^/]*)$"
   local names = {}
   for _, name in ipairs(fs.list(dir == "" and "." or dir) or {}) do
      if not fits or fits(name) then names[#names + 1] = name end
   end
   local near = sys.nearest(part, names)
   return near and dir .. near
end

--- "; did you mean PATH?" of such a path, or "".
---@param path string
function files.did_you_mean(path)
   local near = files.near(path)
   return near and ("; did you mean %s?"):format(near) or ""
end

--- The files of a pattern or path; a pattern that no file matches is an error.
---@param path string
function files.some(path)
   local out = files.expand(path)
   if #out > 0 then return out end
   local dir, part = path:match "^(.*)/([^/]*)$"
   local there = {}
   for _, name in ipairs(fs.list(dir or ".") or {}) do
      if fs.stat((dir and dir .. "/" or "") .. name) == "file" then there[#there + 1] = name end
   end
   local near = sys.nearest(part or path, there)
   failure.raise("data", ("no file matches %s%s"):format(path, near and ("; did you mean %s?"):format(near)
      or #there > 0 and ("; there: %s"):format(table.concat(there, ", ", 1, math.min(5, #there))) or ""))
end

-- ==== Folders of texts ====

local function texts_in(dir)
   local out = {}
   for _, name in ipairs(fs.list(dir) or {}) do
      local path = dir .. "/" .. name
      if name:lower():find "%.txt$" and fs.stat(path) == "file" then out[#out + 1] = path end
   end
   table.sort(out)
   return out
end

--- The labels of a folder of texts and their files, or nil where the path is no such folder.
---@param path string
---@return { label: string, files: string[] }[]|nil
function files.labels(path)
   if fs.stat(path) ~= "directory" then return nil end
   local out, names = {}, fs.list(path) or {}
   table.sort(names)
   for _, name in ipairs(names) do
      local dir = path .. "/" .. name
      local texts = name:sub(1, 1) ~= "." and fs.stat(dir) == "directory" and texts_in(dir) or {}
      if #texts > 0 then out[#out + 1] = { label = name, files = texts } end
   end
   return #out > 0 and out or nil
end

--- The texts of a folder, in it or in folders by label; nil where the path is no such folder.
---@param path string
---@return string[]|nil
function files.texts(path)
   if fs.stat(path) ~= "directory" then return nil end
   local out = texts_in(path)
   for _, group in ipairs(files.labels(path) or {}) do table.move(group.files, 1, #group.files, #out + 1, out) end
   return #out > 0 and out or nil
end

--- All files of a source, for what identifies a step.
---@param path string
---@return string[]
function files.of(path)
   local labels = files.labels(path)
   if not labels then return files.expand(path) end
   local out = {}
   for _, group in ipairs(labels) do table.move(group.files, 1, #group.files, #out + 1, out) end
   return out
end

-- ==== Reading ====

--- A whole file as UTF-8 without its mark, whatever its encoding.
---@param path string "-": standard input
---@param encoding string?
function files.text(path, encoding)
   return failure.try("data", data.text(path, encoding))
end

-- The rows of a folder of texts: as those of one file with the columns text and label, and the file of each row.
local function read_folder(path, labels, params, bad, problem_of)
   local map = require("ftpipe.reading.labelled").mapping(params.map)
   local rows = { texts = {}, labels = {}, lines = {}, files = {}, file = path, unmapped = 0 }
   if params.pair or params.keep then
      failure.raise("usage", ("%s: texts in a folder have no columns for %s"):format(path, params.pair and "pair" or "keep"))
   end
   for _, group in ipairs(labels) do
      local label = map and map[group.label] or not map and group.label or nil
      local problem = label and problem_of and problem_of(label)
      for _, file in ipairs(group.files) do
         local text, message = data.text(file, params.encoding)
         local what = problem or text and not text:find "%S" and "the text is empty"
         if not label then
            rows.unmapped = rows.unmapped + 1
         elseif not text or what then
            bad(1, not text and message or ("%s:1: %s"):format(file, what), "")
         else
            local k = #rows.texts + 1
            rows.texts[k], rows.labels[k], rows.lines[k], rows.files[k] = text:gsub("%s+$", ""), label, 1, file
         end
      end
   end
   if #rows.texts == 0 then
      failure.raise("data", ("%s has no rows%s"):format(path, rows.unmapped > 0 and (": none of its folders is in map") or ""))
   end
   return rows
end

local function read_several(task, list, path, params, bad)
   local all, unmapped = {}, 0
   for i, file in ipairs(list) do
      all[i] = task.read(file, params, bad)
      unmapped = unmapped + (all[i].unmapped or 0)
   end
   local rows = rows_of.join(task, all)
   rows.file, rows.unmapped = path, all[1].unmapped and unmapped
   return rows
end

--- Rows of a task from a source. bad(line, message, raw, file) is told of rows that cannot be read.
---@param task table
---@param path string
---@param params table of ft.read
---@param bad fun(line: integer, message: string, raw: string)
function files.read(task, path, params, bad)
   local labels = files.labels(path)
   if labels then
      if not task.label_problem then
         failure.raise("usage", ("%s: a folder of texts by label is read for the tasks classification and regression"):format(path))
      end
      return read_folder(path, labels, params, bad, task.label_problem)
   end
   local list = files.some(path)
   if #list == 1 then return task.read(list[1], params, bad) end
   return read_several(task, list, path, params, bad)
end

--- How many rows a source has, nil where that cannot be told.
function files.count(task, path, params)
   local labels, n = files.labels(path), 0
   if labels then
      local map = require("ftpipe.reading.labelled").mapping(params.map)
      for _, group in ipairs(labels) do
         if not map or map[group.label] then n = n + #group.files end
      end
      return n
   end
   for _, file in ipairs(files.expand(path)) do
      local rows = fs.stat(file) == "file" and task.count(file, params)
      if not rows then return nil end
      n = n + rows
   end
   return n > 0 and n or nil
end

return files
