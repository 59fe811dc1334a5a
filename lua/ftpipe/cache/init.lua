--- The store of what steps left: entries by key, each there whole or not at all.
--
-- DIR/steps/ab/<key>/ holds record.json and the artifact's files. An entry is written in DIR/staging, synced, and renamed
-- into its place; nothing depends on a lock, and of two processes that publish the same key the first one wins. A shared
-- lock is held while a process works, so that `cache gc` leaves alone what is in use. journal.jsonl tells what happened.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"
local digests = require "ftpipe.cache.digests"
local failure = require "ftpipe.failure"

---@class ftpipe.cache
local cache = {}
cache.__index = cache

cache.FORMAT = 1      -- part of every key: entries of another format are not found

local TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# Results of ftpipe's steps; `ftpipe cache` looks after them.\n"

--- Where the store is: $FTPIPE_CACHE, else below the XDG cache directory.
function cache.directory()
   local own = sys.getenv "FTPIPE_CACHE"
   if own and own ~= "" then return own end
   local xdg, home = sys.getenv "XDG_CACHE_HOME", sys.getenv "HOME"
   if xdg and xdg:find "^/" then return xdg .. "/ftpipe" end
   if home and home ~= "" then return home .. "/.cache/ftpipe" end
   return ".ftpipe"
end

--- Open the store; it is made on first use.
---@param dir? string
---@return ftpipe.cache
function cache.open(dir)
   dir = dir or cache.directory()
   return setmetatable({ dir = dir, files = digests.new(dir .. "/files"), n = 0 }, cache)
end

--- Make the directories and hold the store's lock, shared, until the process ends. Before anything is written.
function cache:begin()
   if self.lock then return end
   failure.try("system", fs.mkdirs(self.dir .. "/steps"))
   failure.try("system", fs.mkdirs(self.dir .. "/staging"))
   if not fs.stat(self.dir .. "/CACHEDIR.TAG") then failure.try("system", fs.write(self.dir .. "/CACHEDIR.TAG", TAG)) end
   local lock = fs.lock(self.dir .. "/lock", "shared")
   if not lock then
      failure.raise("lock", ("%s is being cleaned by another ftpipe"):format(self.dir), "wait until `ftpipe cache gc` is over")
   end
   self.lock = lock
end

local function place(self, key) return ("%s/steps/%s/%s"):format(self.dir, key:sub(1, 2), key) end
cache.place = place

--- The record of an entry and its directory, or nil. A record that cannot be read is as good as none.
---@param key string
---@return table|nil record, string|nil dir
function cache:find(key)
   local dir = place(self, key)
   local text = fs.read(dir .. "/record.json")
   local record = text and json.decode(text)
   if type(record) ~= "table" or record.key ~= key or type(record.digest) ~= "string" then return nil end
   return record, dir
end

--- A line in the journal. That it cannot be written is an error: what is not told did not happen.
function cache:note(event)
   event.time = sys.date()
   if not self.journal then self.journal = failure.try("system", fs.append(self.dir .. "/journal.jsonl")) end
   failure.try("system", self.journal:write(json.encode(event) .. "\n"))
   failure.try("system", self.journal:flush())
end

local function size_of(dir)
   local sum = 0
   for _, name in ipairs(fs.list(dir) or {}) do
      local kind, size = fs.stat(dir .. "/" .. name)
      sum = sum + (kind == "directory" and size_of(dir .. "/" .. name) or kind == "file" and size or 0)
   end
   return sum
end
cache.size_of = size_of

-- Digests of all files below a directory, by relative name.
local function digests_below(dir, prefix, out)
   for _, name in ipairs(fs.list(dir) or {}) do
      local path = dir .. "/" .. name
      if fs.stat(path) == "directory" then digests_below(path, prefix .. name .. "/", out)
      else out[prefix .. name] = failure.try("system", fs.sha256_file(path)) end
   end
end

--- Digests of all files below a folder by relative name, or of a file under the name "".
---@param path string
---@param out table<string, string>
function cache.digests_below(path, out)
   if fs.stat(path) == "directory" then return digests_below(path, "", out) end
   out[""] = failure.try("system", fs.sha256_file(path))
end

--- Tell the store of a run that may be interrupted: cleaning leaves what it would go on with.
---@param dir string
function cache:register(dir)
   local real = fs.real(dir) or dir
   failure.try("system", fs.mkdirs(self.dir .. "/runs"))
   failure.try("system", fs.write(self.dir .. "/runs/" .. fs.sha256(real), real))
end

--- The run is over.
function cache:unregister(dir) fs.remove(self.dir .. "/runs/" .. fs.sha256(fs.real(dir) or dir)) end

--- A new directory for files that may become an entry.
function cache:staging()
   self:begin()
   self.n = self.n + 1
   local dir = ("%s/staging/%d-%d-%d"):format(self.dir, sys.pid(), self.n, fs.time())
   failure.try("system", fs.mkdirs(dir))
   return dir
end

--- Make a staging directory, whose files are synced already, the entry of record.key.
---@param staging string
---@param record table key, digest and what else is worth knowing
---@param instead? boolean of an entry that may be there
function cache:publish(staging, record, instead)
   record.bytes, record.files = size_of(staging), {}
   digests_below(staging, "", record.files)
   record.created = sys.date()
   failure.try("system", fs.write(staging .. "/record.json", json.encode(record) .. "\n"))
   failure.try("system", fs.sync(staging))
   local target = place(self, record.key)
   local above = target:match "^(.*)/"
   failure.try("system", fs.mkdirs(above))
   if instead then fs.remove(target) end
   local ok, message = fs.rename(staging, target)
   if not ok then
      local there = self:find(record.key)
      if not there then      -- the remains of an entry that lost its record
         fs.remove(target)
         ok, message = fs.rename(staging, target)
      end
      if not ok and not self:find(record.key) then
         fs.remove(staging)
         failure.raise("system", message)
      end
   end
   fs.remove(staging)
   failure.try("system", fs.sync(above))
   failure.try("system", fs.sync(self.dir .. "/steps"))
   self:note { event = "publish", key = record.key, kind = record.kind, bytes = record.bytes, seconds = record.seconds }
end

--- Forget an entry that turned out to be damaged.
function cache:drop(key)
   self:begin()
   fs.remove(place(self, key))
   self:note { event = "drop", key = key }
end

local function is_gone(pid) return not pid or not fs.stat("/proc/" .. pid) end

--- What processes that are gone left behind: staging directories, files that were cut off while they were written.
function cache:sweep()
   for _, dir in ipairs { self.dir, self.dir .. "/runs" } do
      for _, name in ipairs(fs.list(dir) or {}) do
         local pid = name:match "%.part%-(%d+)$"
         if pid and is_gone(pid) then fs.remove(dir .. "/" .. name) end
      end
   end
   for _, name in ipairs(fs.list(self.dir .. "/staging") or {}) do
      if is_gone(name:match "^(%d+)%-") then fs.remove(self.dir .. "/staging/" .. name) end
   end
end

return cache
