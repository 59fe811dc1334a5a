-- tests/real/at_least.lua - fails unless a figure of metrics.json is large enough: at_least.lua FILE KEY BOUND (KEY may be a.b.c)

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"

local value = json.decode(assert(fs.read(arg[1])))
for key in arg[2]:gmatch "[^.]+" do value = value[key] end
sys.out(("%s = %.4f\n"):format(arg[2], value))
assert(value >= tonumber(arg[3]), ("%s is below %s"):format(arg[2], arg[3]))
return 0
