-- tests/demo/pairs.lua - writes pairs of sentences that agree or do not: ftpipe lua tests/demo/pairs.lua FILE
--
-- For the encoder of make.lua. A model must look at both sentences: each word of praise occurs with both labels.

local data = require "ftpipe.core.data"
local sys = require "ftpipe.core.sys"

local things = { "kettle", "lamp", "tent", "chair", "radio" }

local drawn = 0
local function pick(list)
   drawn = drawn + 1
   return list[sys.random(5, "pairs", drawn, #list) + 1]
end

local w = assert(data.create(arg[1], "csv", { "premise", "hypothesis", "label", "score" }))
for _ = 1, 400 do
   local thing, a, b = pick(things), pick { "superb", "flimsy" }, pick { "superb", "flimsy" }
   assert(w:row(("the %s is %s."):format(thing, a), ("my %s was %s."):format(thing, b),
      a == b and "same" or "other", a == b and 1 or -0.5))
end
assert(w:commit())
return 0
