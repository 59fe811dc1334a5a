-- tests/demo/entities.lua - writes a tiny random encoder whose words are those of the built-in entities:
-- ftpipe lua tests/demo/entities.lua DIR

local encoder = require "encoder"
local entities = require "ftpipe.reading.entities"
local vocabulary = require "ftpipe.vocabulary"

local dir = assert(arg and arg[1], "usage: ftpipe lua tests/demo/entities.lua DIR")
local rows = entities.read("pipelines/builtin/entities/train.txt", {}, function(_, message) error(message, 0) end)

local at = 0
local learnt = vocabulary.train { dir = dir, size = 1500, lowercase = false, texts = function()
   at = at + 1
   return rows.texts[at]
end }
encoder.write(dir, encoder.config(learnt.size, 96))
return 0
