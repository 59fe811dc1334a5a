--- Where what a pipeline names lies: paths as they are, and "builtin:NAME", a folder that comes with ftpipe.
--
-- The folders are looked for beside the program as it is installed (../share/ftpipe/pipelines/builtin), above it as it is
-- built, and in the current folder.

local fs = require "ftpipe.core.fs"
local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"
local files = require "ftpipe.reading.files"

local source = {}

local function folders()
   local beside = sys.executable():match "^(.*)/[^/]*$" or "."
   return { beside .. "/../share/ftpipe/pipelines/builtin", beside .. "/../pipelines/builtin",
      beside .. "/../../pipelines/builtin", "pipelines/builtin" }
end

--- Names of what comes with ftpipe, and the folder that holds them.
---@return string[] names, string? folder
function source.builtin()
   for _, dir in ipairs(folders()) do
      local names = fs.stat(dir) == "directory" and fs.list(dir)
      if names then
         table.sort(names)
         return names, dir
      end
   end
   return {}, nil
end

--- The path of a source.
---@param name string a path or "builtin:NAME", perhaps with "/" and a path below
function source.path(name)
   local wanted, rest = name:match "^builtin:([^/]*)(.*)$"
   if not wanted then return name end
   local names, dir = source.builtin()
   for _, known in ipairs(names) do
      if known == wanted then return ("%s/%s%s"):format(dir, wanted, rest) end
   end
   if #names == 0 then
      failure.raise("system", ("the folder of what comes with ftpipe is missing, so there is no %s"):format(name),
         "install it again: make install PREFIX=...")
   end
   local near = sys.nearest(wanted, names)
   failure.raise("usage", ("there is no builtin:%s%s"):format(wanted, near and ("; did you mean builtin:%s?"):format(near)
      or "; there: " .. table.concat(names, ", ")))
end

local extensions = { "csv", "tsv", "jsonl", "json", "conll", "txt" }

--- The files of a data set: a folder that holds train.csv (or .tsv, .jsonl, .json, .txt) or the folder train with texts by
-- label, and valid and test the same. Nil where the path is no folder, or itself one of texts by label.
---@param path string
---@return table<string, string>|nil
function source.splits(path)
   if fs.stat(path) ~= "directory" then return nil end
   local out = {}
   for _, split in ipairs { "train", "valid", "test" } do
      for _, extension in ipairs(extensions) do
         local file = ("%s/%s.%s"):format(path, split, extension)
         if not out[split] and fs.stat(file) == "file" then out[split] = file end
      end
      local folder = ("%s/%s"):format(path, split)
      if not out[split] and files.labels(folder) then out[split] = folder end
   end
   if not out.train and files.labels(path) then return nil end
   if not out.train then
      failure.raise("usage", ("%s is a folder without train.csv (or .tsv, .jsonl, .json, .txt), and without texts by label "
         .. "(pos/*.txt, neg/*.txt)"):format(path))
   end
   return out
end

return source
