-- tests/real/minilm.lua - all-MiniLM-L6-v2 against recorded float64 runs: ftpipe lua tests/real/minilm.lua MODEL SST2_TRAIN
--
-- Hidden states of 100 sentences and the loss curve of one epoch on the first 1,000 sentences of SST-2
-- (stsa.binary.train), from the recorded head and in the recorded order.

local fs = require "ftpipe.core.fs"
local graph = require "ftpipe.core.graph"
local json = require "ftpipe.core.json"
local store = require "ftpipe.core.store"
local sys = require "ftpipe.core.sys"
local tensor = require "ftpipe.core.tensor"
local model = require "ftpipe.model"
local nn = require "ftpipe.nn"

local dir, sst2 = arg[1], arg[2]
local expect = assert(json.decode(assert(fs.read "tests/fixtures/bert/minilm.json")))
local values = assert(store.open "tests/fixtures/bert/minilm.safetensors")
local function get(key) return assert(values:tensor(key)):table() end

local m = model.replace_head(model.open(dir), { head = "classification", labels = { "0", "1" } }, 1)
m.dims.dropout, m.dims.attention_dropout, m.c.dropout = 0, 0, 0
local H = m.dims.hidden

local function lines_of(path)
   local out = {}
   for line in assert(fs.read(path)):gmatch "[^\n]+" do out[#out + 1] = line end
   return out
end

-- ==== Hidden states ====

local worst = 0
local function compare(got, first, want, at, n, what)
   for i = 0, n - 1 do
      local off = math.abs(got[first + i] - want[at + i])
      worst = math.max(worst, off)
      if off ~= off or off >= 1e-4 then error(("%s differs by %g"):format(what, off), 0) end
   end
end

local sentences = lines_of "tests/fixtures/bert/sentences.txt"
local tokens = assert(m.tokenizer:encode_all(sentences, nil, { max_length = 128 }))
local cls, last, mean = get "cls", get "last", get "mean"
for i = 1, #sentences do
   graph.begin "eval"
   local h = m:hidden(tokens:batch { i }):tensor():table()
   local n = #h // H
   assert(n == expect.sentences.tokens[i], "token count of sentence " .. i)
   compare(h, 1, cls, (i - 1) * H + 1, H, "first row of sentence " .. i)
   compare(h, (n - 1) * H + 1, last, (i - 1) * 96 + 1, 96, "last row of sentence " .. i)
   local average = {}
   for c = 1, H do
      local sum = 0
      for t = 0, n - 1 do sum = sum + h[t * H + c] end
      average[c] = sum / n
   end
   compare(average, 1, mean, (i - 1) * H + 1, H, "mean of sentence " .. i)
end
sys.out(("hidden states of %d sentences: largest difference %.2g\n"):format(#sentences, worst))

-- ==== Loss curve ====

local texts, labels = {}, {}
for i, line in ipairs(lines_of(sst2)) do
   if i > 1000 then break end
   local y, text = line:match "^(%d) (.*)$"
   texts[i], labels[i] = text, tonumber(y)
end
m.by_name["head.out.weight"]:tensor():copy(assert(values:tensor "head.weight"))
m.by_name["head.out.bias"]:tensor():fill(0)
tokens = assert(m.tokenizer:encode_all(texts, nil, { max_length = 128 }))
local curve = expect.curve
local opt = nn.adamw(m, { lr = 1, weight_decay = 0.01, clip = 1, schedule = function(k) return curve.learning_rates[k] end })
local off_loss, off_norm = 0, 0
for k = 1, #curve.loss do
   local index, gold = {}, {}
   for i = (k - 1) * 32 + 1, math.min(k * 32, 1000) do
      index[#index + 1], gold[#gold + 1] = i, labels[i]
   end
   graph.begin("train", 1, k)
   local loss = nn.cross_entropy(m:forward(tokens:batch(index)), tensor.from(gold, nil, "i32"))
   local sum = 0
   for _, x in ipairs(loss:tensor():table()) do sum = sum + x end
   graph.backward(loss, 1 / #index)
   local _, norm = opt:step { index = k, total = #curve.loss }
   off_loss = math.max(off_loss, math.abs(sum / #index - curve.loss[k]) / curve.loss[k])
   off_norm = math.max(off_norm, math.abs(norm - curve.grad_norm[k]) / curve.grad_norm[k])
end
sys.out(("loss curve of %d updates: largest relative difference %.2g, of the gradient norm %.2g\n"):format(#curve.loss,
   off_loss, off_norm))
assert(off_loss < 1e-3 and off_norm < 1e-2, "the loss curve differs")
sys.out("2 passed, 0 failed\n")
return 0
