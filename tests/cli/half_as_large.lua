-- tests/cli/half_as_large.lua A B - whether the tensors of A take half the bytes of those of B.

local fs = require "ftpipe.core.fs"

local function data_bytes(path)
   local bytes = assert(fs.read(path))
   return #bytes - 8 - string.unpack("<I8", bytes)
end

local a, b = data_bytes(arg[1]), data_bytes(arg[2])
if 2 * a ~= b then error(("%d and %d bytes"):format(a, b), 0) end
