-- tests/cli/rejected_are.lua RUN PHRASES GOOD - a run put aside just the rows that PHRASES tells of, each with its text, and read
-- all of the GOOD (a number in a file) others.

local data = require "ftpipe.core.data"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"

local phrases = {}
for line in assert(fs.read(arg[2])):gmatch "[^\n]+" do phrases[#phrases + 1] = line end
local good = math.tointeger(tonumber((assert(fs.read(arg[3])):gsub("%s", ""))))

local reader, n = assert(data.open(arg[1] .. "/rejected.csv")), 0
while true do
   local line, reason, row = reader:next { "reason", "row" }
   if line == nil then break end
   n = n + 1
   assert(phrases[n] and reason:find(phrases[n], 1, true), ("%s\nis not\n%s"):format(reason, phrases[n]))
   assert(#row > 0, reason .. ": its text is lost")
end
assert(n == #phrases, ("%d rows were put aside, not %d"):format(n, #phrases))

local rows, read = assert(json.decode(assert(fs.read(arg[1] .. "/metrics.json")))).data.rows, 0
for _, count in pairs(rows) do read = read + count end
assert(read == good, ("%d rows were read, not %d"):format(read, good))
sys.out(("%d rows put aside, %d read\n"):format(n, read))
return 0
