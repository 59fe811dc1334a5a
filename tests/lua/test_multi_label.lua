-- tests/lua/test_multi_label.lua - several labels at once: scores against scikit-learn, thresholds, files, and transformers'
-- problem types multi_label_classification and regression both ways.

local check = require "check"
local fs = require "ftpipe.core.fs"
local graph = require "ftpipe.core.graph"
local json = require "ftpipe.core.json"
local param = require "ftpipe.core.param"
local sys = require "ftpipe.core.sys"
local tensor = require "ftpipe.core.tensor"
local label_sets = require "ftpipe.reading.label_sets"
local metric = require "ftpipe.metric.multi_label"
local model = require "ftpipe.model"
local replace_head = require "ftpipe.step.replace_head"
local tasks = require "ftpipe.task"

local task = tasks.find "multi_label"
check.suite "multi label"

-- ==== Scores ====

local cases = json.decode(assert(fs.read "tests/fixtures/metrics_multi_label.json")).cases

local function names(n)
   local out = {}
   for k = 1, n do out[k] = "l" .. k end
   return out
end

check.test("scores_are_those_of_scikit_learn", function()
   check.equal(#cases, 4)
   for n, case in ipairs(cases) do
      local got = metric.score(case.gold, case.predicted, names(case.labels))
      for key, want in pairs(case.expect) do
         if key ~= "per_class" then check.near(got[key], want, 1e-12, ("case %d: %s"):format(n, key)) end
      end
      for k, want in ipairs(case.expect.per_class) do
         local c = got.per_class[k]
         for i, x in ipairs { c.precision, c.recall, c.f1, c.support } do check.near(x, want[i], 1e-12, "label " .. k) end
      end
   end
end)

check.test("resamples_are_scored_as_if_written_out", function()
   for _, case in ipairs(cases) do
      local ids, counts = metric.groups(case.gold, { case.predicted })
      local drawn = {}
      for i, g in ipairs(ids) do drawn[g] = (drawn[g] or 0) + case.drawn[i] end
      local got = { metric.scorer(counts[1], case.labels)(drawn) }
      for k = 1, 3 do check.near(got[k], case.resampled[k], 1e-12) end
   end
end)

check.test("intervals_hold_the_score_and_a_model_equals_itself", function()
   local case = cases[1]
   local opts = { random = check.random(3), resamples = 200, recorded = { labels = names(case.labels) } }
   local input = { predicted = case.predicted }
   local i = task.measure.interval(case.gold, input, opts)
   check.near(i.micro_f1.value, case.expect.micro_f1, 1e-12)
   check.is_true(i.macro_f1.low < case.expect.macro_f1 and case.expect.macro_f1 < i.macro_f1.high)
   local same = task.measure.paired(case.gold, input, input, opts)
   check.equal({ same.micro_f1.low, same.subset_accuracy.high }, { 0.0, 0.0 })
end)

check.test("the_baseline_says_the_labels_that_serve_best", function()
   local gold = { { 1, 2 }, { 1 }, { 1, 3 }, {} }
   check.equal(metric.constant(gold, 3), { 1 })
   local base = task.measure.baseline(gold, gold, { labels = { "a", "b", "c" } })
   check.equal(base.label, "a")
   check.near(base.micro_f1, 2 * 3 / (5 + 4), 1e-12)
   check.equal(metric.constant({ {}, {} }, 3), {})
end)

check.test("thresholds_are_those_with_the_best_f1", function()
   local gold, p = { { 1 }, { 1 }, {}, {} }, { { 0.9, 0.1 }, { 0.3, 0.2 }, { 0.25, 0.3 }, { 0.1, 0.4 } }
   local each = metric.thresholds(gold, p, 2, "each")
   check.near(each[1], 0.275, 1e-12)
   check.equal(each[2], 0.5)                                  -- a label that no row has
   check.equal(metric.thresholds(gold, p, 2, "one")[2], metric.thresholds(gold, p, 2, "one")[1])
   -- nothing is gained by leaving one half
   check.equal(metric.thresholds({ { 1 }, {} }, { { 0.8 }, { 0.3 } }, 1, "each"), { 0.5 })
   check.equal(metric.chosen({ 0.5, 0.49, 0.9 }, { 0.5, 0.5, 0.95 }), { 1 })
   for _, case in ipairs(cases) do                            -- never worse than one half
      local random, probabilities = check.random(5), {}
      for i, row in ipairs(case.gold) do
         probabilities[i] = {}
         for k = 1, case.labels do probabilities[i][k] = random(1000) / 1000 end
         for _, k in ipairs(row) do probabilities[i][k] = (probabilities[i][k] + 1) / 2 end
      end
      local function f1(thresholds, key)
         local said = {}
         for i, q in ipairs(probabilities) do said[i] = metric.chosen(q, thresholds) end
         return metric.score(case.gold, said, names(case.labels))[key]
      end
      local half = {}
      for k = 1, case.labels do half[k] = 0.5 end
      check.is_true(f1(metric.thresholds(case.gold, probabilities, case.labels, "each"), "macro_f1") >= f1(half, "macro_f1"))
      check.is_true(f1(metric.thresholds(case.gold, probabilities, case.labels, "one"), "micro_f1") >= f1(half, "micro_f1"))
   end
end)

-- ==== Files ====

local dir = (sys.getenv "TMPDIR" or "/tmp") .. "/labels-" .. sys.pid()
assert(fs.mkdirs(dir))

local function read(name, text, params)
   local path, bad, all = dir .. "/" .. name, {}, { text = { "text" }, label = "labels", format = "auto", header = "auto",
      quote = "auto", separator = "auto" }
   assert(fs.write(path, text))
   for k, v in pairs(params or {}) do all[k] = v end
   return label_sets.read(path, all, function(line, message) bad[#bad + 1] = { line, message } end), bad
end

check.test("labels_are_cut_at_the_separator_of_the_file", function()
   local rows = read("a.csv", 'text,labels\nx,"joy; hope"\ny,\nz,joy;joy\n')
   check.equal(rows.labels, { { "joy", "hope" }, {}, { "joy" } })
   check.equal(rows.separator, ";")
   check.equal(read("b.csv", 'text,labels\nx,"a, b|c"\n').labels, { { "a, b", "c" } })
   check.equal(read("c.csv", 'text,labels\nx,"a, b"\n', { separator = "/" }).labels, { { "a, b" } })
   check.equal(read("d.csv", "text,labels\nx,a b\n").labels, { { "a b" } })
end)

check.test("labels_may_be_arrays_or_columns", function()
   local rows = read("a.jsonl", '{"text":"x","labels":["b","a","b"]}\n{"text":"y","labels":[]}\n{"text":"z","labels":[3]}\n')
   check.equal(rows.labels, { { "b", "a" }, {}, { "3" } })
   rows = read("e.csv", "text,toxic,mild\nx,1,0\ny,0,0\nz,true,1.0\n", { labels = { "toxic", "mild" } })
   check.equal(rows.labels, { { "toxic" }, {}, { "toxic", "mild" } })
   rows = read("f.csv", "text,labels\nx,a;b\ny,c\n", { map = { { "a", "A" }, { "b", "A" } } })
   check.equal(rows.labels, { { "A" }, {} })
end)

check.test("bad_labels_are_told_by_line", function()
   local function told(name, text, params) return select(2, read(name, text .. "", params)) end
   local bad = told("g.csv", "text,labels\nx,\"['a']\"\ny,a\n")
   check.equal(bad[1][1], 2)
   check.is_true(bad[1][2]:find("g.csv:2: the labels begin with [ but are no JSON array", 1, true), bad[1][2])
   bad = told("h.jsonl", '{"text":"x","labels":null}\n{"text":"y","labels":[{}]}\n{"text":"z","labels":"a"}\n')
   check.is_true(bad[1][2]:find("h.jsonl:1: the labels are null; write []", 1, true), bad[1][2])
   check.is_true(bad[2][2]:find("h.jsonl:2: label 1 of the array is no text", 1, true), bad[2][2])
   bad = told("i.csv", "text,a,b\nx,1,maybe\ny,1,0\n", { labels = { "a", "b" } })
   check.is_true(bad[1][2]:find("i.csv:2: column 'b' holds 'maybe', want 0 or 1", 1, true), bad[1][2])
end)

check.test("splits_share_out_rare_labels", function()
   local units = task.units { labels = { { "a", "rare" }, { "a" }, {}, { "b", "a" }, { "a" } } }
   local keys = {}
   for i, group in ipairs(units) do keys[i] = group.key .. #group.units end
   check.equal(keys, { "1", "a2", "b1", "rare1" })
end)

-- ==== transformers ====

local function fixture(name)
   local folder = "tests/fixtures/bert/" .. name
   return folder, json.decode(assert(fs.read(folder .. "/expect.json")))
end

local function targets(gold)
   if type(gold[1]) == "number" then return tensor.from(gold) end
   local flat = {}
   for _, row in ipairs(gold) do
      for _, x in ipairs(row) do flat[#flat + 1] = math.tointeger(x) end
   end
   return tensor.from(flat, { #gold, #gold[1] }, "i32")
end

for _, name in ipairs { "multi_label", "regression" } do
   local folder, expect = fixture(name)
   check.test(name .. "_of_transformers_loads_with_its_logits_loss_and_gradients", function()
      local m = model.load(folder)
      check.equal(m.options.task, name)
      local tokens, index = m.tokenizer:encode_all(expect.texts, nil, {}), {}
      for i = 1, #expect.texts do index[i] = i end
      m.dims.dropout, m.dims.attention_dropout, m.c.dropout = 0, 0, 0
      local holder = param.optim "sgd"
      holder:add(m:parameters(), 0, 0)
      graph.begin("train", 1, 1)
      local batch = tokens:batch(index)
      batch.labels, batch.examples = targets(expect.gold), index
      local logits = m:forward(batch)
      local flat = logits:tensor():table()
      for i, row in ipairs(expect.logits) do
         for k, x in ipairs(row) do check.near(flat[(i - 1) * #row + k], x, 1e-4) end
      end
      local loss, sum = tasks.find(name).loss(logits, batch, 0), 0
      for _, x in ipairs(loss:tensor():table()) do sum = sum + x end
      check.near(sum / #index, expect.loss, 1e-5 * math.max(1, expect.loss))
      graph.backward(loss, 1 / #index)
      local gradient, square = m.by_name["head.out.weight"]:grad():table(), 0
      for k, x in ipairs(expect.classifier_gradient) do check.near(gradient[k], x, 1e-4 * (1 + math.abs(x))) end
      for _, p in ipairs(m:parameters()) do
         for _, x in ipairs(p:grad():table()) do square = square + x * x end
      end
      check.near(math.sqrt(square), expect.grad_norm, 1e-4 * expect.grad_norm)
   end)
   check.test(name .. "_goes_back_with_its_problem_type", function()
      local m = model.load(folder)
      m:save(dir .. "/" .. name)
      local config = json.decode(assert(fs.read(dir .. "/" .. name .. "/config.json")))
      local theirs = json.decode(assert(fs.read(folder .. "/config.json")))
      check.equal(config.problem_type, theirs.problem_type)
      check.equal(config.architectures, theirs.architectures)
      check.equal(config.id2label, theirs.id2label)
      fs.remove(dir .. "/" .. name .. "/ftpipe.json")       -- what is left is what transformers would have written
      check.equal(model.load(dir .. "/" .. name).options.task, name)
   end)
end

check.test("probabilities_of_predict_are_sigmoids", function()
   local folder, expect = fixture "multi_label"
   local predictor = require("ftpipe.predict_label_sets").open(model.load(folder))
   local all = predictor:probabilities(expect.texts)
   for i, row in ipairs(expect.logits) do
      for k, x in ipairs(row) do check.near(all[i][k], 1 / (1 + math.exp(-x)), 1e-5) end
   end
   predictor.thresholds = { 2, 2, 2, 2 }
   check.equal(predictor:additions(all[1], {}):match "^(.-):{", '"labels":[],"probabilities"')
   predictor.thresholds = { 0, 2, 0, 2 }
   check.equal(predictor:additions(all[1], { labels = 1 }):match "^(.-),\"prob", '"predicted_labels":["praise","sound"]')
   check.equal(predictor:added_cells(all[1])[1], "praise;sound")
end)

check.test("a_kept_head_takes_its_thresholds_along", function()
   local folder = fixture "multi_label"
   local m = model.load(folder)
   m.settings.thresholds = { 0.1, 0.2, 0.3, 0.4 }
   local kept = replace_head.run({ seed = 1 }, { on = m, labels = { task = "multi_label",
      labels = { "blame", "money", "praise", "sound" } } }, { task = "multi_label", pool = "pooler", head = "keep" })
   check.equal(kept.settings.thresholds, { 0.2, 0.4, 0.1, 0.3 })
   kept:save(dir .. "/kept")
   check.equal(task.thresholds(model.load(dir .. "/kept")), { 0.2, 0.4, 0.1, 0.3 })
end)

check.done()
