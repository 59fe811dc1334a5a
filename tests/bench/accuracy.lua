-- tests/bench/accuracy.lua METRICS.json - the test accuracy of a run, in points.
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"

sys.out(("%.2f\n"):format(100 * json.decode(assert(fs.read(arg[1]))).accuracy))
