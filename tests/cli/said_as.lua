-- tests/cli/said_as.lua - what ft.predict left agrees with what `ftpipe predict` says: said_as.lua label|labels|score CSV JSONL,
-- said_as.lua answers CSV JSON; and how many rows a student got beyond its teacher's: said_as.lua rows METRICS N ("-": some).

local data = require "ftpipe.core.data"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"

local what, first, second = table.unpack(arg)

if what == "rows" then
   local facts = assert(json.decode(assert(fs.read(first)))).data.rows
   local teacher = second ~= "-" and tonumber(second)
   sys.out(("train %d, valid %d, test %d\n"):format(facts.train, facts.valid, facts.test))
   -- of the labelled rows 3 in 5 are trained on
   local own = math.floor((facts.valid + facts.test) * 1.5 + 0.5)
   local beyond = facts.train - own
   assert(not teacher or math.abs(beyond - teacher) <= 2, ("%d rows beyond the teacher's"):format(beyond))
   assert(beyond > 0, "no rows beyond the teacher's")
   return 0
end

local function lines_of(path)
   local out = {}
   for line in assert(fs.read(path)):gmatch "[^\n]+" do out[#out + 1] = assert(json.decode(line)) end
   return out
end

local compare = {}

function compare.label(row, said)
   return row.predicted == said.label and math.abs(tonumber(row.probability) - said.score) <= 1e-5
end

function compare.labels(row, said)
   local least = 1
   local held = {}
   for _, name in ipairs(said.labels) do held[name] = true end
   for name, p in pairs(said.probabilities) do least = math.min(least, held[name] and p or 1 - p) end
   return row.predicted == table.concat(said.labels, ";") and math.abs(tonumber(row.probability) - least) <= 1e-5
end

function compare.score(row, said) return math.abs(tonumber(row.predicted) - said.score) <= 1e-4 end

local reader, n = assert(data.open(first)), 0
local names = { "predicted", what ~= "score" and "probability" or nil, what == "answers" and "id" or nil }
local other = what == "answers" and assert(json.decode(assert(fs.read(second)))) or lines_of(second)
while true do
   local line, predicted, probability, id = reader:next(names)
   if line == nil then break end
   n = n + 1
   if what == "answers" then
      local said = other[id]
      assert(said, "no answer to " .. id)
      assert(predicted == (type(said) == "table" and said.answer or said), ("question %s: %s"):format(id, predicted))
   else
      assert(compare[what]({ predicted = predicted, probability = probability }, assert(other[n], "too many rows")),
         ("row %d: %s %s"):format(n, predicted, tostring(probability)))
   end
end
sys.out(("%d rows\n"):format(n))
assert(n > 0 and (what == "answers" or n == #other), "different numbers of rows")
return 0
