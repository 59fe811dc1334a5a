-- tests/demo/topics.lua - writes sentences with any number of labels: ftpipe lua tests/demo/topics.lua DIR
--
-- For the encoder of make.lua. DIR/topics.csv has the labels in one cell, topics.jsonl as arrays, columns.csv as columns of 0 and
-- 1; a sentence in four has none.

local data = require "ftpipe.core.data"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"

local dir = assert(arg[1], "usage: ftpipe lua tests/demo/topics.lua DIR")
local things = { "kettle", "lamp", "tent", "chair", "radio" }
local words = { praise = { "superb", "lovely" }, blame = { "flimsy", "useless" }, sound = { "sound", "radio" } }
local labels = { "blame", "praise", "sound" }

local drawn = 0
local function pick(list)
   drawn = drawn + 1
   return list[sys.random(6, "topics", drawn, #list) + 1]
end

local cells = assert(data.create(dir .. "/topics.csv", "csv", { "text", "labels" }))
local columns = assert(data.create(dir .. "/columns.csv", "csv", { "text", table.unpack(labels) }))
local lines = {}
for _ = 1, 400 do
   local parts, names, held = { "my", pick(things), "is" }, json.array {}, {}
   for k, label in ipairs(labels) do
      held[k] = pick { 0, 1 }
      if held[k] == 1 then
         names[#names + 1] = label
         parts[#parts + 1] = pick(words[label])
      end
   end
   local text = table.concat(parts, " ") .. " ."
   assert(cells:row(text, table.concat(names, ";")))
   assert(columns:row(text, table.unpack(held)))
   lines[#lines + 1] = json.encode { text = text, labels = names }
end
assert(cells:commit())
assert(columns:commit())
assert(fs.write(dir .. "/topics.jsonl", table.concat(lines, "\n") .. "\n"))
return 0
