-- tests/demo/questions.lua - writes a tiny random encoder whose words are those of the built-in questions:
-- ftpipe lua tests/demo/questions.lua DIR

local encoder = require "encoder"
local questions = require "ftpipe.reading.questions"
local vocabulary = require "ftpipe.vocabulary"

local dir = assert(arg and arg[1], "usage: ftpipe lua tests/demo/questions.lua DIR")
local rows = questions.read "pipelines/builtin/questions/train.json"

local texts, seen = {}, {}
for i = 1, rows.n do
   texts[#texts + 1] = rows.questions[i]
   if not seen[rows.contexts[i]] then texts[#texts + 1] = rows.contexts[i] end
   seen[rows.contexts[i]] = true
end
local at = 0
local learnt = vocabulary.train { dir = dir, size = 1500, lowercase = true, texts = function()
   at = at + 1
   return texts[at]
end }
encoder.write(dir, encoder.config(learnt.size, 96))
return 0
