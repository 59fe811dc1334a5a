-- tests/lua/test_rows.lua - the steps that choose, change, join and share out rows.

if package then package.path = "lua/?.lua;tests/lua/?.lua;" .. package.path end

local check = require "check"
local steps = require "ftpipe.step"

check.suite "rows"

-- n rows of two labels; every three rows are of one product.
local function made(n, file)
   local from = { texts = {}, labels = {}, lines = {}, file = file or "a.csv", kept = { product = {} } }
   for i = 1, n do
      from.texts[i] = ("text number %d of %s is about thing %d"):format(i, from.file, i * 7919 % 1009)
      from.labels[i], from.lines[i] = i % 4 == 0 and "pos" or "neg", i + 1
      from.kept.product[i] = "p" .. (i - 1) // 3
   end
   return { task = "classification", splits = { all = from } }
end

local function run(kind, inputs, params, seed)
   local unit, said = steps[kind], {}
   local given = {}
   for name, spec in pairs(unit.params) do given[name] = spec.default end
   for name, value in pairs(params or {}) do given[name] = value end
   local ctx = { seed = seed or 1, step = kind, say = function(_, text) said[#said + 1] = text end }
   return unit.run(ctx, inputs, given), said
end

local function count(list, value)
   local n = 0
   for _, x in ipairs(list) do if x == value then n = n + 1 end end
   return n
end

local function values(list)
   local seen = {}
   for _, x in ipairs(list) do seen[x] = true end
   return seen
end

check.test("sample keeps the share of each label and the order of the rows", function()
   local out = run("sample", { rows = made(200) }, { n = 40, split = "all" }).splits.all
   check.equal(#out.texts, 40)
   check.equal(count(out.labels, "pos"), 10)
   for i = 2, 40 do check.is_true(out.lines[i] > out.lines[i - 1], "order") end
   check.equal(#out.kept.product, 40)
   check.equal(#run("sample", { rows = made(200) }, { share = 0.25, split = "all" }).splits.all.texts, 50)
   check.error_contains("needs n or share", function() run("sample", { rows = made(5) }, {}) end)
   check.error_contains("9 rows are wanted, a.csv has 5", function() run("sample", { rows = made(5) }, { n = 9 }) end)
end)

check.test("filter sees text, label, line, file and kept columns", function()
   local seen
   local out, said = run("filter", { rows = made(20) }, { keep = function(row)
      seen = row
      return row.label == "pos" and row.product ~= "p0"
   end })
   check.equal(#out.splits.all.texts, 5)
   check.equal(said[1], "filter: 15 rows dropped")
   check.equal(seen.line, 21)
   check.equal(seen.file, "a.csv")
   check.equal(seen.split, "all")
   check.error_contains("filter leaves no row", function() run("filter", { rows = made(4) }, { keep = function() end }) end)
end)

check.test("map changes, drops and multiplies rows", function()
   local out = run("map", { rows = made(8) }, { with = function(row)
      if row.line == 2 then return nil end
      row.text = row.text:upper()
      if row.line == 3 then return { row, { text = "again", label = "new" } } end
      return row
   end }).splits.all
   check.equal(#out.texts, 8)
   check.equal(out.texts[2], "again")
   check.equal(out.labels[2], "new")
   check.equal(out.lines[2], 3)
   check.is_true(out.texts[1]:find "^TEXT NUMBER 2", out.texts[1])
   check.error_contains("has no label any more", function()
      run("map", { rows = made(2) }, { with = function(row) return { text = row.text } end })
   end)
   check.error_contains("gave a string", function() run("map", { rows = made(2) }, { with = function() return "x" end }) end)
end)

check.test("concat joins split by split and remembers each row's file", function()
   local a, b = made(4, "a.csv"), made(2, "b.csv")
   b.splits.all.kept = nil
   local out = run("concat", { rows = { second = b, first = a } }).splits.all
   check.equal(#out.texts, 6)
   check.equal(out.files[5], "b.csv")
   check.equal(out.file, "a.csv + b.csv")
   check.is_true(out.kept == nil, "a column that only one has is dropped")
   local parts = { splits = { train = b.splits.all } }
   check.error_contains("some rows are split", function() run("concat", { rows = { a = a, b = parts } }) end)
end)

check.test("split and folds keep groups together", function()
   local out = run("split", { rows = made(300) }, { valid = 0.1, test = 0.2, group = "product" }).splits
   check.equal(#out.train.texts + #out.valid.texts + #out.test.texts, 300)
   check.near(#out.test.texts, 60, 3)
   check.near(#out.valid.texts, 30, 3)
   local train, test = values(out.train.kept.product), values(out.test.kept.product)
   for product in pairs(test) do check.is_true(not train[product], product) end
   check.error_contains("did you mean 'product'", function() run("split", { rows = made(30) }, { group = "produkt" }) end)
end)

check.test("folds: each row is tested on once", function()
   for _, group in ipairs { "none", "product" } do
      local tested = {}
      for fold = 1, 4 do
         local out = run("folds", { rows = made(100) }, { folds = 4, fold = fold, group = group ~= "none" and group or nil }).splits
         check.equal(#out.train.texts + #out.valid.texts + #out.test.texts, 100)
         check.near(#out.test.texts, 25, 3)
         for _, line in ipairs(out.test.lines) do
            check.is_true(not tested[line], "twice")
            tested[line] = true
         end
      end
      for line = 2, 101 do check.is_true(tested[line], "never: " .. line) end
   end
   check.error_contains("fold = 5 is more than folds = 4", function() run("folds", { rows = made(9) }, { folds = 4, fold = 5 }) end)
   check.error_contains("not split", function() run("folds", { rows = { splits = { train = {} } } }, { fold = 1 }) end)
end)

check.test("dedupe drops repetitions and tells what leaked", function()
   local rows = made(6)
   local from = rows.splits.all
   local splits = { train = from, test = {
      texts = { from.texts[2], "something else", (from.texts[3]:gsub("about", "aboot")), "Something else." },
      labels = { "pos", "pos", "neg", "neg" }, lines = { 2, 3, 4, 5 }, file = "t.csv" } }
   from.texts[6] = from.texts[5]
   local out, said = run("dedupe", { rows = { splits = splits } }, { near = 0.7 })
   check.equal(#out.splits.test.texts, 3)
   check.equal(#out.splits.train.texts, 3)
   check.equal(out.leakage.counts.exact.train_test, 1)
   check.equal(out.leakage.counts.near.train_test, 1)
   check.equal(out.leakage.counts.near.test, 1)
   check.equal(out.leakage.counts.exact.train, 1)
   check.contains(said[1], "4 repeated texts, 2 of them exactly")
   local exact = run("dedupe", { rows = { splits = splits } }, { near = 0, across = false }).splits
   check.equal(#exact.train.texts, 5)
   check.equal(#exact.test.texts, 4)
end)

check.done()
