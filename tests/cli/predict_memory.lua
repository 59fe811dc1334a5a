-- tests/cli/predict_memory.lua MODEL DIR - prediction streams: twenty times the rows, at most 8 MiB more at the peak.

local host = require "ftpipe.core.host"
local fs = require "ftpipe.core.fs"
local sys = require "ftpipe.core.sys"
local predict = require "ftpipe.predict"

local dir = arg[2]

local function rows(n)
   local lines = {}
   for i = 1, n do lines[i] = ("row %d was %s"):format(i, (i % 3 == 0 and "dreadful " or "superb "):rep(1 + i % 7)) end
   local path = ("%s/rows%d.txt"):format(dir, n)
   assert(fs.write(path, table.concat(lines, "\n") .. "\n"))
   return path
end

local predictor = predict.open(arg[1])

-- Whether a sanitizer's allocator is in place, known by its terabytes of shadow: it keeps what was freed, so that only what is
-- counted tells anything.
local function sanitized()
   for from, to in (fs.read "/proc/self/maps" or ""):gmatch "(%x+)%-(%x+) " do
      if tonumber(to, 16) - tonumber(from, 16) > 1 << 40 then return true end
   end
   return false
end
local is_counted = sanitized()

local function peak()
   local memory = sys.memory()
   return is_counted and memory.peak + math.floor(host.collectgarbage "count" * 1024) or memory.resident
end

-- Peak bytes after predicting n rows: resident, or counted.
local function peak_after(n)
   local path = rows(n)
   host.collectgarbage()
   local total = predictor:stream { input = path, output = dir .. "/out.csv" }
   assert(total.rows == n, "all rows are answered")
   return peak()
end

peak_after(40)
local few = peak_after(2000)
rows(40000)               -- making the file is not what is measured
local before = peak()
local many = peak_after(40000)
local growth = many - math.max(few, before)
sys.out(("2,000 rows: %.1f MiB, 40,000 rows: %.1f MiB\n"):format(few / 2 ^ 20, many / 2 ^ 20))
assert(growth < 8 << 20, ("grew by %.1f MiB"):format(growth / 2 ^ 20))
return 0
