--- What was fetched and unpacked, as entries of the store for `ftpipe cache`: files by digest (DIR/downloads/sha256), what archives
-- were unpacked to (DIR/downloads/unpacked, by the archive's digest), and what broken-off downloads left.
--
-- What an address gave first stays noted (DIR/downloads/urls) when its file is removed: it still is what it must give.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"

local downloads = {}

--- Names of such entries in the journal and in run.json.
function downloads.key(kind, digest) return ("%s:%s"):format(kind, digest) end

-- Seconds since 1970 when the newest of these files was written.
local function written(paths)
   local newest = 0
   for _, path in ipairs(paths) do
      local status = fs.status(path)
      newest = math.max(newest, status and status.mtime // 1000000000 or 0)
   end
   return newest
end

local function add(out, kind, digest, dir, bytes, files)
   out[#out + 1] = { key = downloads.key(kind, digest), kind = kind, digest = digest, dir = dir, bytes = bytes,
      made = written(files) }
end

local function add_fetched(out, store)
   local top = store.dir .. "/downloads/sha256"
   for _, part in ipairs(fs.list(top) or {}) do
      for _, digest in ipairs(fs.list(top .. "/" .. part) or {}) do
         local dir, bytes, files = ("%s/%s/%s"):format(top, part, digest), 0, {}
         for i, name in ipairs(fs.list(dir) or {}) do      -- under several names it is one file
            files[i] = dir .. "/" .. name
            local _, size = fs.stat(files[i])
            bytes = math.max(bytes, size or 0)
         end
         add(out, "fetched", digest, dir, bytes, files)
      end
   end
end

local function add_unpacked(out, store)
   local top = store.dir .. "/downloads/unpacked"
   for _, digest in ipairs(fs.list(top) or {}) do
      local dir, records = top .. "/" .. digest, {}
      for _, name in ipairs(fs.list(dir) or {}) do
         if name:find "^%.of%-" then records[#records + 1] = dir .. "/" .. name end
      end
      add(out, "unpacked", digest, dir, store.size_of(dir), records)
   end
end

-- Unfinished files, each with what is noted of it.
local function add_unfinished(out, dir)
   for _, name in ipairs(fs.list(dir) or {}) do
      local stem = name:match "^(.*)%.part$"
      if stem then
         local path = dir .. "/" .. name
         local _, size = fs.stat(path)
         add(out, "unfinished", stem, path, size or 0, { path })
         out[#out].beside = ("%s/%s.about"):format(dir, stem)
      end
   end
end

--- Every entry: { key, kind = "fetched" | "unpacked" | "unfinished", digest, dir, bytes, made (seconds), beside }.
---@param store ftpipe.cache
function downloads.entries(store)
   local out, hub = {}, require "ftpipe.hub"
   local dir = hub.directory()
   add_fetched(out, store)
   add_unpacked(out, store)
   add_unfinished(out, store.dir .. "/downloads/partial")
   for _, name in ipairs(fs.list(dir) or {}) do add_unfinished(out, hub.partial(dir .. "/" .. name)) end
   return out
end

function downloads.remove(entry)
   fs.remove(entry.dir)
   if entry.beside then fs.remove(entry.beside) end
end

local function record_path(dir, what) return ("%s/.of-%s.json"):format(dir, what) end

--- Note the digests of what was just unpacked to DIR/WHAT.
---@param dir string
---@param what string
---@param digests table<string, string> by name below DIR
function downloads.note_unpacked(dir, what, digests)
   return fs.write(record_path(dir, what), json.encode(digests))
end

local function is_recorded(dir, what, digests_below)
   local text = fs.read(record_path(dir, what))
   local record, now = text and json.decode(text), {}
   if type(record) ~= "table" then return false end
   digests_below(dir .. "/" .. what, now)
   for name, digest in pairs(record) do if now[name] ~= digest then return false end end
   for name in pairs(now) do if not record[name] then return false end end
   return true
end

--- Whether the bytes of an entry are those that came. An unfinished download is judged when it is complete.
---@param entry table
---@param digests_below fun(path: string, out: table)
function downloads.is_whole(entry, digests_below)
   if entry.kind == "unfinished" then return true end
   for _, name in ipairs(fs.list(entry.dir) or {}) do
      if entry.kind == "fetched" then
         if fs.sha256_file(entry.dir .. "/" .. name) ~= entry.digest then return false end
      elseif not name:find "^%.of%-" and not is_recorded(entry.dir, name, digests_below) then
         return false
      end
   end
   return true
end

return downloads
