-- tests/demo/long.lua - writes long texts whose label is told by a word near their end: ftpipe lua tests/demo/long.lua FILE
--
-- For the encoder of make.lua, which reads 64 tokens.

local data = require "ftpipe.core.data"
local sys = require "ftpipe.core.sys"

local drawn = 0
local function pick(list)
   drawn = drawn + 1
   return list[sys.random(9, "long", drawn, #list) + 1]
end

local things, parts = { "kettle", "lamp", "tent", "chair", "radio" }, { "handle", "battery", "fabric", "button", "colour" }
local w = assert(data.create(arg[1], "csv", { "text", "label" }))
for i = 1, 240 do
   local words, label = {}, i % 2 == 0 and "pos" or "neg"
   for k = 1, 40 + pick { 0, 10, 20, 30, 40 } do words[k] = k % 2 == 0 and pick(things) or pick(parts) end
   for k = #words - 8, #words, 2 do words[k] = label == "pos" and pick { "superb", "lovely" } or pick { "flimsy", "useless" } end
   assert(w:row(table.concat(words, " "), label))
end
assert(w:commit())
return 0
