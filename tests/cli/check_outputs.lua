-- tests/cli/check_outputs.lua - contents of a finished run: ftpipe lua tests/cli/check_outputs.lua RUN TESTFILE
--
-- Prints "ok NAME" for each file that holds what it should, "FAILED NAME: why" for the others.

local data = require "ftpipe.core.data"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"

local run, test_file = assert(arg[1]), assert(arg[2])

local function read(name) return assert(fs.read(run .. "/" .. name)) end

local function rows(path, columns)
   local reader, out = assert(data.open(path)), {}
   while true do
      local values = table.pack(reader:next(columns))
      if values[1] == nil then return out end
      assert(values[1], values[2])
      out[#out + 1] = values
   end
end

local function metrics()
   local m = assert(json.decode(read "metrics.json"))
   local own = m.models.two.test
   assert(m.model == "two" and m.split == "test", "not of the test rows of the exported model")
   assert(math.type(own.rows) == "integer" and own.rows == #rows(test_file, { "text" }), "another number of test rows")
   for _, key in ipairs { "accuracy", "f1" } do
      assert(m[key] >= 0 and m[key] <= 1 and m[key] == own[key], key .. " at the top is not that of models.two.test")
   end
   for _, name in ipairs { "head", "two", "one" } do assert(m.models[name].test, "no scores of " .. name) end
   assert(m.computed_with:find "kernels" and m.seed == 1 and #m.verdict > 0, "no library, seed or verdict")
end

local function predictions()
   local m, right = assert(json.decode(read "metrics.json")), 0
   local given = rows(test_file, { "text", "label" })
   local said = rows(run .. "/predictions.csv", { "row", "text", "gold", "predicted", "probability" })
   assert(#said == #given, "not a row for each test row")
   for i, row in ipairs(said) do
      local _, n, text, gold, predicted, probability = table.unpack(row)
      assert(tonumber(n) == i and text == given[i][2] and gold == given[i][3], ("row %d is not that of the test file"):format(i))
      assert(tonumber(probability) >= 0.5 and tonumber(probability) <= 1, "a winner of two labels below a half")
      if gold == predicted then right = right + 1 end
   end
   assert(math.abs(right / #said - m.accuracy) < 1e-12, "the accuracy of predictions.csv is another")
end

local function log()
   local m, last = assert(json.decode(read "metrics.json")), {}
   local settled = m.settled
   for line in read("log.jsonl"):gmatch "[^\n]+" do
      local entry = assert(json.decode(line))
      for _, key in ipairs { "step", "loss", "learning_rate", "gradient_norm", "tokens_per_second" } do
         assert(type(entry[key]) == "number" and entry[key] == entry[key] and entry[key] >= 0, "no number " .. key)
      end
      assert(entry.learning_rate <= (1 + 1e-12) * settled[entry.stage].lr, "a learning rate above that of the stage")
      assert(entry.step == (last[entry.stage] or 0) + 1, ("%s: update %d follows %d"):format(entry.stage, entry.step,
         last[entry.stage] or 0))
      last[entry.stage] = entry.step
   end
   for _, stage in ipairs { "head", "tuned", "control" } do
      local per_epoch = -(-m.data.rows.train // settled[stage].batch)
      assert(last[stage] == per_epoch * settled[stage].epochs, ("%s: %s updates"):format(stage, last[stage] or "no"))
   end
end

local function plan()
   local text = read "plan.json"
   local p = assert(json.decode(text))
   assert(json.encode(p) .. "\n" == text, "not in canonical form")
   assert(p.name == "sentiment" and p.api == 1 and p.seed == 1 and #p.steps >= 8, "not the plan of this run")
end

for name, f in pairs { metrics = metrics, predictions = predictions, log = log, plan = plan } do
   local ok, message = pcall(f)
   print(ok and "ok " .. name or ("FAILED %s: %s"):format(name, message))
end
return 0
