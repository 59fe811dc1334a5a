-- tests/cli/same_json.lua - two JSON files hold the same value.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"

local function canonical(path) return json.encode(json.decode(assert(fs.read(path)))) end
if canonical(arg[1]) ~= canonical(arg[2]) then error(arg[1] .. " and " .. arg[2] .. " differ", 0) end
