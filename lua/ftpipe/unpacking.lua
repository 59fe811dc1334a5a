--- What is inside archives and compressed files: unpacked once for each content, below the store's downloads.

local net = require "ftpipe.core.net"
local fs = require "ftpipe.core.fs"
local cache = require "ftpipe.cache"
local downloads = require "ftpipe.cache.downloads"
local failure = require "ftpipe.failure"

local unpacking = {}

local archives = { "%.zip$", "%.tar$", "%.tar%.gz$", "%.tgz$", "%.tar%.bz2$", "%.tbz2?$", "%.tar%.xz$", "%.txz$", "%.tar%.zst$",
   "%.tzst$" }
local compressed = { "%.gz$", "%.bz2$", "%.xz$", "%.zst$" }

local function ends(path, patterns)
   for _, pattern in ipairs(patterns) do if path:lower():find(pattern) then return true end end
   return false
end

--- Whether a file is an archive, or one compressed file, by its name.
---@param path string
---@return "archive"|"compressed"|nil
function unpacking.kind(path)
   return ends(path, archives) and "archive" or ends(path, compressed) and "compressed" or nil
end

local used = {}      -- archives that were looked into, by digest

--- Keys of what this process read of what was unpacked.
---@return string[]
function unpacking.used()
   local out = {}
   for digest in pairs(used) do out[#out + 1] = downloads.key("unpacked", digest) end
   table.sort(out)
   return out
end

-- The path at which something of an archive is, made by make(path) where it is not there yet; nil where there is no archive.
local function unpacked(path, what, make)
   local digest = cache.open().files:of(path)
   if not digest then return nil end
   local dir = ("%s/downloads/unpacked/%s"):format(cache.directory(), digest)
   local target = dir .. "/" .. what
   used[digest] = true
   if fs.stat(target) then return target end
   failure.try("system", fs.mkdirs(dir))
   failure.try("data", make(target))
   local digests = {}
   cache.digests_below(target, digests)
   failure.try("system", downloads.note_unpacked(dir, what, digests))
   return target
end

-- An archive whose files lie in one folder stands for that folder.
local function descend(dir)
   local names = fs.list(dir) or {}
   if #names == 1 and fs.stat(dir .. "/" .. names[1]) == "directory" then return descend(dir .. "/" .. names[1]) end
   return dir
end

-- The folder that one of an archive, or all of it, is unpacked to.
local function whole(path, folder, limits)
   local encoding = limits and limits.encoding or ""
   local what = folder and fs.sha256(folder .. "\0" .. encoding):sub(1, 20) or "all" .. encoding:gsub("[^%w]", "")
   return unpacked(path, what, function(target) return net.unpack(path, folder, target, limits or {}) end) or path
end

--- The file or folder that a member of an archive is unpacked to; all of it without a member; of a pattern: the same pattern
-- where it is unpacked.
---@param path string of the archive
---@param member string?
---@param limits { bytes: integer?, entries: integer?, depth: integer?, encoding: string? }?
function unpacking.member(path, member, limits)
   member = member and member:gsub("^/+", ""):gsub("/+$", "")
   if member == "" then member = nil end
   if member and member:find "[*?]" then      -- a pattern: of what its folder is unpacked to
      local folder, rest = member:match "^([^*?]*)/(.*)$"
      return whole(path, folder, limits) .. "/" .. (rest or member)
   end
   local dir = whole(path, member, limits)
   if dir == path then return path end
   local file = member and dir .. "/" .. member:match "[^/]*$"
   if file and fs.stat(file) == "file" and #(fs.list(dir) or {}) == 1 then return file end
   return member and dir or descend(dir)
end

--- The file that a compressed one is decompressed to.
---@param path string
function unpacking.plain(path)
   local name = path:match "[^/]*$":gsub("%.[^.]*$", "")
   return unpacked(path, name, function(target) return net.decompress(path, target, {}) end) or path
end

return unpacking
