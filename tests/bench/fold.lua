-- tests/bench/fold.lua DIR FOLD SEED OUT - a fifth of all built-in reviews as fold_test.csv, of the rest a tenth as
-- fold_valid.csv and the others as fold_train.csv. Products stay together in the test part.
local rows = require "rows"

local dir, fold, seed, out = arg[1], math.tointeger(arg[2]), math.tointeger(arg[3]), arg[4]
local products, order = {}, {}
for _, split in ipairs { "train", "valid", "test" } do
   for _, row in ipairs(rows.read(("%s/%s.csv"):format(dir, split), { "product", "text", "label" })) do
      if not products[row[1]] then
         products[row[1]] = {}
         order[#order + 1] = row[1]
      end
      table.insert(products[row[1]], row)
   end
end
table.sort(order)
local test, rest = {}, {}
for k, product in ipairs(rows.shuffled(order, seed, "fold")) do
   local part = k % 5 + 1 == fold and test or rest
   table.move(products[product], 1, #products[product], #part + 1, part)
end
rest = rows.shuffled(rest, seed, "rest")
local n = #rest // 10
rows.write(out .. "/fold_test.csv", test)
rows.write(out .. "/fold_valid.csv", table.move(rest, 1, n, 1, {}))
rows.write(out .. "/fold_train.csv", table.move(rest, n + 1, #rest, 1, {}))
