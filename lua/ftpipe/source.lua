--- Where what a pipeline names lies: paths as they are, "builtin:NAME" (a folder that comes with ftpipe), web addresses, "file:"
-- addresses, "hf:OWNER/NAME" (a hub), and members of archives ("reviews.tar.gz!/train.csv"). Here everything is looked for in
-- the store and the hub's cache; ftpipe.fetching gets what is not there. Compressed files and archives are unpacked into the store.
--
-- The folders are looked for beside the program as it is installed (../share/ftpipe/pipelines/builtin), above it as it is
-- built, and in the current folder.

local fs = require "ftpipe.core.fs"
local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"
local files = require "ftpipe.reading.files"
local cache = require "ftpipe.cache"
local hub = require "ftpipe.hub"
local remote = require "ftpipe.remote"
local unpacking = require "ftpipe.unpacking"

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

-- Where "builtin:NAME" lies.
local function builtin_path(name)
   local wanted, rest = name:match "^builtin:([^/]*)(.*)$"
   -- not by its parent's list: a step's process may read what its pipeline names and nothing beside it
   for _, dir in ipairs(wanted:find "^[%w_-]+$" and folders() or {}) do
      if fs.stat(("%s/%s"):format(dir, wanted)) == "directory" then return ("%s/%s%s"):format(dir, wanted, rest) end
   end
   local names = source.builtin()
   if #names == 0 then
      failure.raise("system", ("the folder of what comes with ftpipe is missing, so there is no %s"):format(name),
         "install it again: make install PREFIX=...")
   end
   local near = sys.nearest(wanted, names)
   failure.raise("usage", ("there is no builtin:%s%s"):format(wanted, near and ("; did you mean builtin:%s?"):format(near)
      or "; there: " .. table.concat(names, ", ")))
end

--- A source without the member of an archive.
---@param text string
---@return string base, string? member
function source.base(text)
   local base, member = text:match "^(.-)!/(.*)$"
   if base then return base, member end
   return text
end

--- Whether a source is none of a path and "builtin:".
---@param text any
function source.is_foreign(text)
   return type(text) == "string" and (text:lower():find "^https?://" ~= nil or text:find "^hf:" ~= nil or text:find "^file:" ~= nil
      or text:find("!/", 1, true) ~= nil or (unpacking.kind(text) ~= nil and fs.stat(text) == "file"))
end

--- The sources that a step's parameters name.
---@param step table of the plan
function source.texts(step)
   local out = {}
   if not step.unit.files then return out end
   if step.unit.addresses then return { step.unit.addresses(step.params)[1] } end
   for _, name in ipairs(step.unit.sources or { "from" }) do
      local value = step.params[name]
      for _, text in ipairs(type(value) == "table" and value or { value }) do
         if type(text) == "string" then out[#out + 1] = text end
      end
   end
   return out
end

--- What names on a hub mean for a step, where they do not say.
function source.hub_type(step) return step.kind == "pretrained" and "models" or "datasets" end

-- "file:///a%20b" as a path; only of this machine.
local function file_path(text)
   local path = text:match "^file://localhost(/.*)$" or text:match "^file://(/.*)$" or text:match "^file:(/[^/].*)$"
   if not path then failure.raise("usage", ("%s: a file of this machine is file:///PATH"):format(text)) end
   return (path:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

-- Where there is never anything.
local function awaited() return cache.directory() .. "/downloads/missing/" end

-- The file or folder of a source without member; where it is not here yet, a path at which there is nothing.
local function base_path(text, type)
   if text:find "^builtin:" then return builtin_path(text) end
   if text:find "^file:" then return file_path(text) end
   local address, name = remote.parse(text), hub.parse(text, type)
   if not address and not name then return text end
   local found = address and remote.find(address) or name and hub.find(name)
   return found or ("%s%s"):format(awaited(), fs.sha256(text):sub(1, 20)
      .. "/" .. (address and require("ftpipe.core.net").name(address.url) or "hub"))
end

--- Whether a path stands for what is still to be fetched.
---@param path string
function source.is_awaited(path) return path:sub(1, #awaited()) == awaited() end

--- The archive that a source without member is, as it is.
---@param text string
function source.archive(text) return base_path(text, "datasets") end

local known = {}      -- what was looked up before

--- Look everything up anew: something was fetched.
function source.forget() known = {} end

local function look_up(text, type)
   local base, member = source.base(text)
   local path = base_path(base, type)
   if fs.stat(path) ~= "file" then return path end
   if member then return unpacking.member(path, member), true end
   local kind = unpacking.kind(path)
   if kind == "archive" then return unpacking.member(path), true end
   return kind == "compressed" and unpacking.plain(path) or path, true
end

--- The path of a source. Of what is not here yet: one at which there is nothing.
---@param text string
---@param type string? of names on a hub: "models", "datasets" (if nothing is said)
function source.path(text, type)
   if not source.is_foreign(text) then return text:find "^builtin:" and builtin_path(text) or text end
   local key = (type or "datasets") .. " " .. text
   if known[key] then return known[key] end
   local path, final = look_up(text, type or "datasets")
   if final then known[key] = path end
   return path
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
      for _, name in ipairs(split == "valid" and { "valid", "validation", "dev" } or { split }) do
         for _, extension in ipairs(extensions) do
            local file = ("%s/%s.%s"):format(path, name, extension)
            if not out[split] and fs.stat(file) == "file" then out[split] = file end
         end
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
