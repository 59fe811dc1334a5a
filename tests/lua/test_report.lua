-- tests/lua/test_report.lua - the layout of the report: alignment, widths, what is left out.

if package then package.path = "lua/?.lua;tests/lua/?.lua;" .. package.path end

local check = require "check"
local classification = require "ftpipe.metric.classification"
local report = require "ftpipe.report"
local verdict = require "ftpipe.verdict"

local function gather(recorded, opts)
   return require("ftpipe.evaluation").gather(recorded, require("ftpipe.task.classification").measure, opts)
end

check.suite "report"

local function recorded(name)
   return gather(check.json("tests/fixtures/verdict/" .. name .. ".json"), { random = check.random(7) })
end

local function lines_of(text)
   local out = {}
   for line in text:gmatch "([^\n]*)\n" do out[#out + 1] = line end
   return out
end

-- The lines under a heading, up to the next empty line.
local function section(text, heading)
   local out, inside = {}, false
   for _, line in ipairs(lines_of(text)) do
      if line == "" then inside = false end
      if inside then out[#out + 1] = line end
      if line:find(heading, 1, true) == 1 then inside = true end
   end
   if #out == 0 then error("no section " .. heading, 2) end
   return out
end

local function evaluation_of(gold, predicted, labels)
   local scores = classification.score { gold = gold, predicted = predicted, labels = labels }
   return { labels = labels, models = { two = { test = scores } } }
end

check.test("the table of models", function()
   local lines = section(report.render(recorded "gain"), "Models")
   check.equal(lines[1], "                  train  valid     test accuracy     test macro F1    MCC  loss")
   check.equal(lines[2], "  majority class   26.3   19.0              23.8               9.6  0.000     -")
   check.contains(lines[3], "head alone       70.7   63.0  68.7 (")
   check.contains(lines[4], "two stages       89.0   84.0  90.2 (")
   check.contains(lines[5], "one stage        83.7   84.0  79.7 (")
   for i = 2, 5 do check.equal(#lines[i], #lines[1], "aligned") end
end)

check.test("the confusion matrix with names as columns", function()
   local text = report.render(evaluation_of({ 1, 1, 2, 3 }, { 1, 2, 2, 3 }, { "a", "bb", "ccc" }))
   check.equal(section(text, "Confusion"), {
      "  gold  a  bb  ccc",
      "  a     1   1    0",
      "  bb    0   1    0",
      "  ccc   0   0    1",
   })
end)

check.test("the table of classes", function()
   local text = report.render(evaluation_of({ 1, 1, 2, 2 }, { 1, 2, 2, 2 }, { "no", "yes" }))
   check.equal(section(text, "Classes"), {
      "  label  precision  recall    F1  rows  predicted",
      "  no         100.0    50.0  66.7     2          1",
      "  yes         66.7   100.0  80.0     2          3",
   })
end)

check.test("labels outside ASCII keep columns aligned", function()
   local text = report.render(evaluation_of({ 1, 2 }, { 1, 2 }, { "être", "plain" }))
   local lines = section(text, "Classes")
   check.equal(utf8.len(lines[2]), utf8.len(lines[3]))
   check.equal(report.shorten("überraschung", 6), "überr…")
   check.equal(report.shorten("kurz", 4), "kurz")
end)

check.test("labels neither break lines nor colour the terminal", function()
   local text = report.render(evaluation_of({ 1, 2 }, { 1, 2 }, { "a\nb", "\27[31mred" }))
   check.contains(text, "a?b")
   check.contains(text, "?[31mred")
   check.equal(text:find("\27", 1, true), nil)
end)

check.test("bytes that are not UTF-8 are laid out all the same", function()
   local text = report.render(evaluation_of({ 1, 2 }, { 1, 2 }, { "\xff\xfe", ("\xff"):rep(300) }), nil, { width = 80 })
   for _, line in ipairs(lines_of(text)) do check.is_true(#line <= 90, "too wide") end
end)

-- An evaluation with n labels of long names, every row of class k predicted as k or k + 1.
local function many(n)
   local gold, predicted, labels = {}, {}, {}
   for k = 1, n do
      labels[k] = ("category number %d with a very long name indeed"):format(k)
      for r = 1, k + 1 do
         gold[#gold + 1] = k
         predicted[#predicted + 1] = r == 1 and k % n + 1 or k
      end
   end
   return evaluation_of(gold, predicted, labels)
end

check.test("twenty classes are shown whole, with numbers for columns", function()
   local lines = section(report.render(many(20), nil, { width = 100 }), "Confusion")
   check.equal(#lines, 21)
   check.contains(lines[1], "gold")
   check.contains(lines[2], " 1 category")
   for _, line in ipairs(lines) do check.is_true(utf8.len(line) <= 100, line) end
end)

check.test("more classes give the weakest ones and the most confused pairs", function()
   local text = report.render(many(30))
   check.contains(text, "the 20 of 30 with the lowest F1")
   check.equal(#section(text, "Classes"), 21)
   local pairs_listed = section(text, "Most confused pairs")
   check.equal(#pairs_listed, 11)
   check.contains(pairs_listed[2], "category number 1 with")
end)

check.test("no line is wider than the page", function()
   for _, width in ipairs { 80, 90, 100 } do
      for _, name in ipairs { "shuffled", "leaked", "tie", "gain", "overfit", "small", "one_class" } do
         local e = recorded(name)
         local text = report.render(e, { sentences = verdict.sentences(e) }, { width = width })
         for _, line in ipairs(lines_of(text)) do check.is_true(utf8.len(line) <= width, name .. ": " .. line) end
      end
      for _, n in ipairs { 12, 20, 30 } do
         for _, line in ipairs(lines_of(report.render(many(n), nil, { width = width }))) do
            check.is_true(utf8.len(line) <= width, line)
         end
      end
   end
end)

check.test("the data card", function()
   local text = report.render { models = {}, labels = { "no", "yes" }, data = {
      rows = { train = 800, valid = 100, test = 100 }, counts = { train = { 300, 500 }, test = { 40, 60 } },
      duplicates = { train = 3 }, shared = { train_test = 2, train_valid = 0 }, max_tokens = 64,
      truncated = { train = 0.015, valid = 0.0, test = 0.02 },
      lengths = { train = { mean = 21.26, median = 19, p95 = 55, max = 130 } },
   } }
   check.equal(section(text, "Data"), {
      "                           train  valid   test",
      "  rows                       800    100    100",
      "  repeated texts               3      -      -",
      "  tokens: mean              21.3      -      -",
      "  tokens: median              19      -      -",
      "  tokens: 95th percentile     55      -      -",
      "  tokens: longest            130      -      -",
      "  cut at 64 tokens         1.5 %  0.0 %  2.0 %",
      "  validation rows also in train: 0",
      "  test rows also in train: 2",
      "  label  train  valid  test",
      "  yes      500      -    60",
      "  no       300      -    40",
   })
end)

check.test("rarer labels are added up", function()
   local e = { labels = { "a", "b", "c", "d" }, data = { counts = { train = { 1, 2, 3, 4 } } } }
   local lines = section(report.render(e, nil, { classes = 2 }), "Data")
   check.equal(lines[2], "  d                         4      -     -")
   check.equal(lines[4], "  … and 2 rarer labels      3      -     -")
end)

check.test("weights are grouped by prefix, layers as ranges", function()
   local names = { "encoder.embed.word", "encoder.embed.position" }
   for _, layer in ipairs { 0, 1, 2, 4, 10, 11 } do
      for _, part in ipairs { "attention.query.weight", "attention.query.bias" } do
         names[#names + 1] = ("encoder.layer.%d.%s"):format(layer, part)
      end
   end
   names[#names + 1] = "encoder.pool.weight"
   check.equal(report.group_names(names), {
      { name = "encoder.embed.*", count = 2 },
      { name = "encoder.layer.0-2,4,10-11.*", count = 12 },
      { name = "encoder.pool.weight", count = 1 },
   })
end)

check.test("a name without a dot is a group of its own", function()
   check.equal(report.group_names { "scale", "head.bias" }, {
      { name = "scale", count = 1 }, { name = "head.bias", count = 1 } })
end)

check.test("the list of weights", function()
   local text = report.render({}, { weights = {
      loaded = { "encoder.layer.0.w", "encoder.layer.1.w" }, new = { "head.out.weight", "head.out.bias" }, frozen = {},
      dropped = { "cls.predictions.bias", "cls.predictions.transform.dense.weight", "qa_outputs.weight" },
   } })
   check.equal(section(text, "Weights"), {
      "  loaded                 2",
      "    encoder.layer.0-1.*  2",
      "  new                    2",
      "    head.out.*           2",
      "  frozen                 0",
      "  dropped                3",
      "    cls.predictions.*    2",
      "    qa_outputs.weight    1",
   })
end)

check.test("the verdict is wrapped and marked, a percent sign stays with its number", function()
   local text = report.render({}, { sentences = {
      { level = "warning", text = "Something with 95 % of the rows is worth a look here." },
      { level = "good", text = "Short." },
   } }, { width = 22 })
   check.equal(section(text, "Verdict"), {
      "  ! Something with", "    95 % of the rows", "    is worth a look", "    here.", "  + Short.",
   })
end)

check.test("colour only where it is asked for", function()
   local args = { sentences = { { level = "warning", text = "Careful." } } }
   check.equal(report.render({}, args):find("\27", 1, true), nil)
   check.contains(report.render({}, args, { colour = true }), "\27[33m  ! Careful.\27[0m")
end)

check.test("a task with a metric of its own has that one column", function()
   local scores = { ["exact match"] = 0.5, rows = 10 }
   local text = report.render { metric = "exact match", models = { two = { test = scores } } }
   check.equal(section(text, "Models")[1], "              train  valid  test exact match  loss")
   check.equal(section(text, "Models")[2], "  two stages      -      -              50.0     -")
end)

check.test("models with names of their own follow the known ones", function()
   local one = { test = { accuracy = 0.5, rows = 2 } }
   local lines = section(report.render { models = { zeta = one, two = one, alpha = one } }, "Models")
   check.contains(lines[2], "two stages")
   check.contains(lines[3], "alpha")
   check.contains(lines[4], "zeta")
end)

check.test("negative figures: no minus zero, and intervals with 'to'", function()
   local e = { metric = "mcc", models = { two = { test = { accuracy = 0.5, f1 = 0.5, mcc = -0.0001, rows = 9 } } } }
   check.contains(section(report.render(e), "Models")[2], "0.000")
   check.equal(section(report.render(e), "Models")[2]:find("-0.000", 1, true), nil)
   local own = { value = -0.1, low = -0.2, high = 0.0 }
   e = { metric = "own", models = { two = { test = { own = -0.1, rows = 9, interval = { own = own } } } } }
   check.contains(section(report.render(e), "Models")[2], "-10.0 (-20.0 to 0.0)")
end)

check.test("an empty evaluation is an empty page", function()
   check.equal(report.render({}), "\n")
end)

check.done()
