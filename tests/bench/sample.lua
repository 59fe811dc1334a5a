-- tests/bench/sample.lua TRAIN.csv N SEED - N rows drawn from a file, as many of each label, on standard output.
local rows = require "rows"

local all, n, seed = rows.read(arg[1], { "text", "label" }), math.tointeger(arg[2]), math.tointeger(arg[3])
local counts, labels, out = {}, 0, {}
for _, row in ipairs(all) do
   if not counts[row[2]] then counts[row[2]], labels = 0, labels + 1 end
end
for _, row in ipairs(rows.shuffled(all, seed, "sample")) do
   if counts[row[2]] < n // labels then
      counts[row[2]] = counts[row[2]] + 1
      out[#out + 1] = row
   end
end
rows.write(nil, out)
