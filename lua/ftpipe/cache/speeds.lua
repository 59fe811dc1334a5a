--- How fast finished steps were on this machine, for forecasts: a line of JSON for each in the store's `speeds`.
--
-- An entry is { kind, seconds, threads, engine } and what there was to do: `flops`, `tokens` or `bytes`. Old lines go when
-- there are many.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"

local speeds = {}

local MOST, KEPT = 1 << 17, 300      -- bytes of the file; lines that stay when it is longer
local RECENT = 9                     -- entries of which the median is taken
local units = { "flops", "tokens", "bytes" }

local function read(store)
   local out = {}
   for line in (fs.read(store.dir .. "/speeds") or ""):gmatch "[^\n]+" do
      local entry = json.decode(line)
      if type(entry) == "table" and type(entry.seconds) == "number" and entry.seconds > 0 then out[#out + 1] = entry end
   end
   return out
end

local function shorten(store)
   local _, size = fs.stat(store.dir .. "/speeds")
   if not size or size < MOST then return end
   local all, lines = read(store), {}
   for i = math.max(1, #all - KEPT), #all do lines[#lines + 1] = json.encode(all[i]) end
   fs.write(store.dir .. "/speeds", table.concat(lines, "\n") .. "\n")
end

--- Remember how long a step took. That it cannot be written is no error: forecasts are only worse without.
---@param store ftpipe.cache
---@param entry table
function speeds.note(store, entry)
   entry.threads = sys.threads()
   local log = fs.append(store.dir .. "/speeds")
   if not log then return end
   log:write(json.encode(entry) .. "\n")
   log:close()
   shorten(store)
end

local function median(list)
   table.sort(list)
   return list[(#list + 1) // 2]
end

-- What the last entries that fit did in a second.
local function recent(entries, unit, fits)
   local rates = {}
   for i = #entries, 1, -1 do
      local e = entries[i]
      if #rates < RECENT and type(e[unit]) == "number" and e[unit] > 0 and fits(e) then rates[#rates + 1] = e[unit] / e.seconds end
   end
   return #rates > 0 and median(rates) or nil
end

--- What this machine has done, to be asked for speeds.
---@param store ftpipe.cache
---@param engine string
function speeds.open(store, engine)
   local entries, threads, known = read(store), sys.threads(), {}
   local self = {}

   -- Of one kind of step; looked up once, because plans have many steps of a kind.
   local function rate_of(kind, unit)
      local name = kind .. " " .. unit
      if known[name] == nil then
         known[name] = recent(entries, unit, function(e)
            return e.kind == kind and e.threads == threads and e.engine == engine
         end) or recent(entries, unit, function(e) return e.kind == kind end) or false
      end
      return known[name]
   end

   --- Units of work in a second, and the unit, for a kind of step; nil where there is none to compare with. What ran with as
   -- many threads and the same library counts first, then what trained or scored with them at all.
   function self.of(kind, work)
      for _, unit in ipairs(units) do
         if work[unit] then
            local rate = rate_of(kind, unit)
            if rate then return rate, unit end
         end
      end
      if work.flops then
         local rate = recent(entries, "flops", function(e) return e.engine == engine and e.threads == threads end)
         if rate then return rate, "flops" end
      end
   end
   return self
end

return speeds
