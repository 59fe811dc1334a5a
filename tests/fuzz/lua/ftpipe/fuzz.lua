--- tests/fuzz/lua/ftpipe/fuzz.lua - what the fuzz targets json, pack, journal and plan do with their input, a file's path.
--
-- Each gives 0 where all is well. Refusals are errors of ftpipe's own kind, or texts without a place in its sources; an error
-- that has such a place was not meant.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local pack = require "ftpipe.core.pack"
local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"

local fuzz = {}

local function meant(e)
   if failure.is(e) then return not e.message:find "lua/ftpipe/[%w_/]+%.lua:%d+: " end
   return type(e) == "string" and not e:find "lua/ftpipe/[%w_/]+%.lua:%d+: "
end

-- f's value, or nil where it refused; other errors are passed on.
local function tried(f, ...)
   local ok, value = pcall(f, ...)
   if ok then return value end
   if not meant(value) then error(value, 0) end
   return nil
end

--- JSON text.
function fuzz.json(args)
   local path = args[1]
   local value, message = json.decode(fs.read(path))
   if value == nil then return type(message) == "string" and 0 or 1 end
   local ok, text = pcall(json.encode, value)
   if not ok then return 0 end      -- a number that JSON cannot write
   local again = json.decode(text)
   return json.encode(again) == text and 0 or 1
end

--- A packed value, with an object that the reader has.
function fuzz.pack(args)
   local path = args[1]
   local shared = { ["data/rows"] = { "an object" } }
   local value, message = pack.read(path, shared)
   if value == nil then return (message == nil or type(message) == "string") and 0 or 1 end
   local bytes <close> = pack.bytes(value, { ["data/rows"] = shared["data/rows"] })
   if not bytes then return 0 end
   local copy = ("%s/pack-%d"):format(sys.getenv "TMPDIR" or "/tmp", sys.pid())
   assert(bytes:write(copy))
   local again, problem = pack.read(copy, shared)
   assert(again ~= nil, problem)      -- it may be false
   local second <close> = assert(pack.bytes(again, shared))
   return second:sha256() == bytes:sha256() and 0 or 1
end

local store

-- A store, opened once.
local function small_store()
   local cache = require "ftpipe.cache"
   if store then return store end
   local dir = ("%s/store-%d"):format(sys.getenv "TMPDIR" or "/tmp", sys.pid())
   fs.remove(dir)
   store = cache.open(dir)
   return store
end

--- One text in the place of everything that a store reads besides its entries, and in the place of an entry's record.
function fuzz.journal(args)
   local path = args[1]
   local care, speeds = require "ftpipe.cache.care", require "ftpipe.cache.speeds"
   local text, kept = fs.read(path), small_store()
   local key = ("ab"):rep(32)
   assert(fs.mkdirs(kept:place(key)))
   assert(fs.write(kept:place(key) .. "/value.pack", "x"))
   assert(fs.write(kept:place(key) .. "/record.json", json.encode { key = key, kind = "read", digest = "0", type = "value",
      step = {}, facts = {}, bytes = 1, created = "2026-11-24T09:00:00Z", files = { ["value.pack"] = fs.sha256 "x" } }))
   for _, name in ipairs { "journal.jsonl", "speeds", "files", "engines" } do assert(fs.write(kept.dir .. "/" .. name, text)) end
   kept.journal = nil
   tried(care.usage, kept)
   local known = speeds.open(kept, "engine")
   tried(known.of, "finetune", { flops = 1, tokens = 1 })
   assert(kept.files:of(path))
   care.clean(kept, { days = 3650, keep = 1 << 40, now = "2026-11-24T10:00:00Z" })
   assert(kept:find(key), "an entry is gone")
   assert(fs.write(kept:place(key) .. "/record.json", text))
   care.usage(kept)
   care.clean(kept, { days = 1, keep = 1 << 40, now = "2026-11-24T10:00:00Z" })
   care.verify(kept)
   kept.lock:close()
   kept.lock, kept.journal = nil, nil
   return 0
end

--- What a process that evaluated a file answers.
function fuzz.plan(args)
   local path = args[1]
   local wire = require "ftpipe.sandbox.wire"
   local data = json.decode(fs.read(path))
   if data == nil then return 0 end
   local plan = tried(wire.into, data, "file.lua")
   if not plan then return 0 end
   local text = plan:json()
   tried(function() plan:text({}, {}) end)
   local again = tried(wire.into, json.decode(json.encode(wire.out(plan))), "file.lua")
   return (not again or again:json() == text) and 0 or 1
end

-- What is found is told as text.
for name, f in pairs(fuzz) do
   fuzz[name] = function(args)
      local ok, e = pcall(f, args)
      if ok then return e end
      error(failure.is(e) and e.message or tostring(e), 0)
   end
end

return fuzz
