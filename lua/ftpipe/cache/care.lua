--- Looking after the store: sizes, cleaning, checking.
--
-- Cleaning takes the store's lock alone, so that no run is at work; what an unfinished run would go on with stays.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local downloads = require "ftpipe.cache.downloads"
local failure = require "ftpipe.failure"

local care = {}

--- Every entry: { key, dir, record (nil if unreadable), bytes }, in order of key.
---@param store ftpipe.cache
function care.entries(store)
   local out = {}
   for _, part in ipairs(fs.list(store.dir .. "/steps") or {}) do
      for _, key in ipairs(fs.list(store.dir .. "/steps/" .. part) or {}) do
         local record = store:find(key)
         local dir = store:place(key)
         out[#out + 1] = { key = key, dir = dir, record = record, bytes = record and record.bytes or store.size_of(dir) }
      end
   end
   return out
end

--- { bytes, entries, kinds = { kind = { bytes, entries } } }; what was fetched, unpacked and left unfinished are kinds as well.
---@param store ftpipe.cache
function care.usage(store)
   local all = { dir = store.dir, bytes = 0, entries = 0, kinds = {} }
   local entries = care.entries(store)
   for _, e in ipairs(downloads.entries(store)) do entries[#entries + 1] = e end
   for _, e in ipairs(entries) do
      local name = e.kind or e.record and e.record.kind or "unreadable"
      local kind = all.kinds[name] or { bytes = 0, entries = 0 }
      all.kinds[name] = kind
      for _, sum in ipairs { all, kind } do sum.bytes, sum.entries = sum.bytes + e.bytes, sum.entries + 1 end
   end
   return all
end

-- Days since 1970 of a date of the common calendar (after H. Hinnant's "chrono-compatible low-level date algorithms").
local function days(y, m, d)
   y = m <= 2 and y - 1 or y
   local era = y // 400
   local of_era = y - era * 400
   local of_year = (153 * (m + (m > 2 and -3 or 9)) + 2) // 5 + d - 1
   return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
end

--- "2026-11-24T10:00:00Z" as seconds since 1970; 0 for anything else.
function care.seconds(date)
   local y, m, d, h, min, s = tostring(date):match "^(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)Z$"
   if not y then return 0 end
   return ((days(tonumber(y), tonumber(m), tonumber(d)) * 24 + tonumber(h)) * 60 + tonumber(min)) * 60 + tonumber(s)
end

-- When each key was used last, as the journal tells; a line that was cut off is passed over.
local function uses(store)
   local out = {}
   for line in (fs.read(store.dir .. "/journal.jsonl") or ""):gmatch "[^\n]+" do
      local event = json.decode(line)
      if type(event) == "table" then
         local at = care.seconds(event.time)
         for _, key in ipairs(type(event.keys) == "table" and event.keys or { event.key }) do
            if not out[key] or at >= out[key].at then out[key] = { at = at, date = event.time } end
         end
      end
   end
   return out
end

-- Keys that unfinished runs would go on with. A run that is gone or done is forgotten.
local function needed(store)
   local out = {}
   for _, name in ipairs(fs.list(store.dir .. "/runs") or {}) do
      local dir = fs.read(store.dir .. "/runs/" .. name)
      local state = dir and json.decode(fs.read(dir .. "/.run/state.json") or "null")
      local about = dir and json.decode(fs.read(dir .. "/run.json") or "null")
      if type(state) == "table" and not state.done then
         about = type(about) == "table" and about or {}
         for _, step in ipairs(about.steps or {}) do
            if step.key then out[step.key] = true end
         end
         for _, key in ipairs(about.downloads or {}) do out[key] = true end
      else
         fs.remove(store.dir .. "/runs/" .. name)
      end
   end
   return out
end

-- The journal without what it tells of entries that are gone.
local function compact(store, kept, used)
   local lines = {}
   for _, e in ipairs(kept) do
      if e.record then
         lines[#lines + 1] = json.encode { event = "publish", key = e.key, kind = e.record.kind, bytes = e.bytes,
            seconds = e.record.seconds, time = e.record.created }
      end
      if used[e.key] and used[e.key].at > (e.record and care.seconds(e.record.created) or e.made) then
         lines[#lines + 1] = json.encode { event = "use", key = e.key, time = used[e.key].date }
      end
   end
   failure.try("system", fs.write(store.dir .. "/journal.jsonl", table.concat(lines, "\n") .. (#lines > 0 and "\n" or "")))
end

--- Remove entries that were not used for `days` days, then the least recently used ones until at most `keep` bytes are left,
-- and what killed processes left behind. Entries that unfinished runs need stay. What was fetched counts like what was computed.
---@param store ftpipe.cache
---@param options { days: number?, keep: integer?, now: string }
function care.clean(store, options)
   failure.try("system", fs.mkdirs(store.dir .. "/steps"))
   local lock = fs.lock(store.dir .. "/lock")
   if not lock then failure.raise("lock", store.dir .. " is in use by a run", "try again when it is over") end
   local used, keep, now = uses(store), needed(store), care.seconds(options.now)
   local entries, left, removed = care.entries(store), 0, { bytes = 0, entries = 0 }
   for _, e in ipairs(entries) do
      e.damaged = not e.record
      e.made = e.record and care.seconds(e.record.created) or 0
   end
   for _, e in ipairs(downloads.entries(store)) do entries[#entries + 1] = e end
   for _, e in ipairs(entries) do
      e.used = math.max(used[e.key] and used[e.key].at or 0, e.made)
      left = left + e.bytes
   end
   table.sort(entries, function(a, b)
      if a.used ~= b.used then return a.used < b.used end
      return a.key < b.key
   end)
   local kept = {}
   for _, e in ipairs(entries) do
      local old = options.days and now - e.used > options.days * 86400
      if not keep[e.key] and (e.damaged or old or options.keep and left > options.keep) then
         downloads.remove(e)
         left = left - e.bytes
         removed.bytes, removed.entries = removed.bytes + e.bytes, removed.entries + 1
      elseif not e.damaged then
         kept[#kept + 1] = e
      end
   end
   store:sweep()
   compact(store, kept, used)
   lock:close()
   removed.left, removed.needed = left, 0
   for _ in pairs(keep) do removed.needed = removed.needed + 1 end
   return removed
end

--- Read every entry and compare it with its digests, also what was fetched and unpacked; what does not fit is removed. Gives the
-- number of entries and the keys that were damaged.
---@param store ftpipe.cache
function care.verify(store)
   store:begin()
   local damaged, entries = {}, care.entries(store)
   for _, e in ipairs(entries) do
      local ok = e.record ~= nil
      for name, digest in pairs(e.record and e.record.files or {}) do
         ok = ok and fs.sha256_file(e.dir .. "/" .. name) == digest
      end
      if not ok then
         damaged[#damaged + 1] = e.key
         store:drop(e.key)
      end
   end
   local fetched = downloads.entries(store)
   for _, e in ipairs(fetched) do
      if not downloads.is_whole(e, store.digests_below) then
         damaged[#damaged + 1] = e.key
         downloads.remove(e)
      end
   end
   return #entries + #fetched, damaged
end

return care
