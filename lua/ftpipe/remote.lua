--- Files behind web addresses: "https://HOST/PATH", perhaps with "#sha256=<64 hex digits>".
--
-- Files lie in the store, DIR/downloads/sha256/ab/<digest>/<name>. What an address gave first is noted in
-- DIR/downloads/urls/<digest of the address>.json, and is what it must give from then on, unless the address says a digest.

local net = require "ftpipe.core.net"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local cache = require "ftpipe.cache"
local failure = require "ftpipe.failure"

local remote = {}

--- The folder of all that was fetched.
function remote.directory() return cache.directory() .. "/downloads" end

--- { url, sha256 } of an address; nil where the text is none.
---@param text string
function remote.parse(text)
   if not text:lower():find "^https?://" then return nil end
   local url, fragment = text:match "^([^#]*)#?(.*)$"
   if fragment == "" then return { url = url } end
   local digest = fragment:match "^sha256=(%x+)$"
   if not digest or #digest ~= 64 then
      failure.raise("usage", ("%s: what follows # must be sha256= and 64 hex digits"):format(text))
   end
   return { url = url, sha256 = digest:lower() }
end

local function note_path(url) return ("%s/urls/%s.json"):format(remote.directory(), fs.sha256(url)) end

--- What is noted of an address: { url, sha256, name, size }, or nil.
---@param url string
function remote.known(url)
   local text = fs.read(note_path(url))
   local note = text and json.decode(text)
   if type(note) ~= "table" or type(note.sha256) ~= "string" or not note.sha256:find "^%x+$" then return nil end
   return note
end

--- Note what an address gave.
function remote.note(url, sha256, size)
   failure.try("system", fs.mkdirs(remote.directory() .. "/urls"))
   failure.try("system", fs.write(note_path(url), json.encode { url = url, sha256 = sha256, size = size } .. "\n"))
end

--- Forget it, so that the address may give something else.
function remote.forget(url) fs.remove(note_path(url)) end

--- The folder of files by digest.
function remote.store() return remote.directory() .. "/sha256" end

--- The file of an address, or nil where it is not here.
---@param spec { url: string, sha256: string? }
---@return string|nil
function remote.find(spec)
   local note = not spec.sha256 and remote.known(spec.url)
   local digest = spec.sha256 or note and note.sha256
   if not digest then return nil end
   local dir = ("%s/%s/%s"):format(remote.store(), digest:sub(1, 2), digest)
   local path = dir .. "/" .. net.name(spec.url)
   if fs.stat(path) == "file" then return path end
   for _, name in ipairs(fs.list(dir) or {}) do      -- fetched from elsewhere, under another name
      if fs.stat(dir .. "/" .. name) == "file" and fs.symlink(name, path) then return path end
   end
end

return remote
