-- tests/cli/spoil_weights.lua - an encoder's weights made wrong: ftpipe lua tests/cli/spoil_weights.lua HOW FROM TO
--
-- missing: one weight left out; misshapen: the same one with its sizes swapped; offsets: a header that claims a size for
-- one tensor that is not that of its shape. The header keeps its length, so all else stays where it was.

local fs = require "ftpipe.core.fs"
local store = require "ftpipe.core.store"

local how, from, to = arg[1], arg[2] .. "/model.safetensors", arg[3] .. "/model.safetensors"
local NAME = "encoder.layer.1.output.dense.weight"

local function spoil_offsets(text)
   local changed, n = text:gsub('("shape":%[)32(,64%])', "%133%2", 1)
   assert(n == 1, "no shape to change")
   return changed
end

if how == "offsets" then
   assert(fs.write(to, spoil_offsets(assert(fs.read(from)))))
   return 0
end
local saved, tensors = assert(store.open(from)), {}
for _, name in ipairs(saved:names()) do
   -- in some files the names carry the model's prefix
   if name:sub(-#NAME) ~= NAME then
      tensors[name] = assert(saved:tensor(name)):clone()
   elseif how == "misshapen" then
      tensors[name] = assert(saved:tensor(name)):clone():view(1, { 64, 32 })
   end
end
assert(store.write(to, tensors, { format = "pt" }))
return 0
