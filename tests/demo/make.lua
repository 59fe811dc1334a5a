-- tests/demo/make.lua - writes a tiny random encoder and labelled sentences: ftpipe lua tests/demo/make.lua DIR
--
-- For demonstrations and tests of the whole job where no pre-trained model is at hand. The sentences are put together
-- from word lists, so a model can learn them in seconds; scores on them mean nothing.

local data = require "ftpipe.core.data"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"
local encoder = require "encoder"

local dir = assert(arg and arg[1], "usage: ftpipe lua tests/demo/make.lua DIR [ROWS]")
local rows = tonumber(arg[2]) or 600

local things = { "kettle", "lamp", "backpack", "keyboard", "blender", "tent", "chair", "radio", "camera", "jacket" }
local parts = { "handle", "battery", "fabric", "button", "colour", "sound", "finish", "cable", "size", "weight" }
local good = { "superb", "sturdy", "reliable", "lovely", "quick", "comfortable", "bright", "excellent" }
local bad = { "flimsy", "broken", "useless", "noisy", "slow", "cheap", "faulty", "dreadful" }
local frame = { "the", "of", "this", "is", "and", "my", "was", "bought", "i", "for", "a", "friend", "week", "last",
   "feels", ".", "," }

-- ==== Encoder ====

local vocab = { "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]" }
for _, list in ipairs { things, parts, good, bad, frame } do
   for _, word in ipairs(list) do vocab[#vocab + 1] = word end
end

local function write_encoder(out)
   encoder.write(out, encoder.config(#vocab, 64))
   assert(fs.write(out .. "/vocab.txt", table.concat(vocab, "\n") .. "\n"))
   assert(fs.write(out .. "/tokenizer_config.json", json.encode { do_lower_case = true, model_max_length = 64 } .. "\n"))
end

-- ==== Reviews ====

local drawn = 0
local function pick(list)
   drawn = drawn + 1
   return list[sys.random(11, "demo", drawn, #list) + 1]
end

local patterns = {
   function(w) return ("the %s of this %s is %s."):format(pick(parts), pick(things), w()) end,
   function(w) return ("i bought this %s last week and the %s feels %s."):format(pick(things), pick(parts), w()) end,
   function(w) return ("my %s was %s, the %s is %s and %s."):format(pick(things), w(), pick(parts), w(), w()) end,
   function(w) return ("bought for a friend, the %s is %s."):format(pick(things), w()) end,
}

local function write_reviews(path)
   local w = assert(data.create(path, "csv", { "text", "label" }))
   local seen, n = {}, 0
   while n < rows do
      local label = n % 2 == 0 and "pos" or "neg"
      local text = pick(patterns)(function() return pick(label == "pos" and good or bad) end)
      if not seen[text] then
         seen[text] = true
         n = n + 1
         assert(w:row(text, label))
      end
   end
   assert(w:commit())
end

write_encoder(dir .. "/encoder")
write_reviews(dir .. "/reviews.csv")
return 0
