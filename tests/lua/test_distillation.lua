-- tests/lua/test_distillation.lua - losses of students: soft labels, and words paired between vocabularies.

local check = require "check"
local core = require "ftpipe.core.corpus"
local graph = require "ftpipe.core.graph"
local tensor = require "ftpipe.core.tensor"
local text = require "ftpipe.core.text"
local gradcheck = require "ftpipe.gradcheck"
local nn = require "ftpipe.nn"
local soft_labels = require "ftpipe.step.soft_labels"

check.suite "distillation"

local LOGITS = { 2, -1, 0.5, -0.3, 0.4, 1.7 }      -- (2, 3)
local student = { options = { labels = { "a", "b", "c" } } }
local soft = { n = 2, labels = { "a", "b", "c" }, probabilities = { { 0.7, 0.2, 0.1 }, { 0.05, 0.05, 0.9 } } }

local function losses(params, probabilities)
   local given = { n = 2, labels = soft.labels, probabilities = probabilities or soft.probabilities }
   local targets = soft_labels.targets(given, student, { n = 2 }, params)
   graph.begin "eval"
   local logits = graph.variable(tensor.from(LOGITS, { 2, 3 }))
   local labels = tensor.from({ 0, 2 }, nil, "i32")
   local hard = nn.cross_entropy(logits, labels)
   return targets:loss(logits, hard, { examples = { 1, 2 } }):tensor():table(), hard:tensor():table()
end

local function close(a, b)
   for i = 1, #b do check.near(a[i], b[i], 1e-6) end
   check.equal(#a, #b)
end

check.test("without_weight_only_the_given_labels_count", function() close(losses { soft_weight = 0, temperature = 3 }) end)

check.test("a_teacher_that_is_sure_and_right_is_the_given_label", function()
   close(losses({ soft_weight = 1, temperature = 1 }, { { 1, 0, 0 }, { 0, 0, 1 } }))
end)

-- cross-entropy between softmax(log p / t) and softmax(x / t), times t^2, in plain Lua
local function by_hand(p, x, t)
   local a, b, top, bottom = {}, {}, 0, 0
   for k = 1, #p do
      a[k], b[k] = p[k] ^ (1 / t), math.exp(x[k] / t)
      top, bottom = top + a[k], bottom + b[k]
   end
   local sum = 0
   for k = 1, #p do sum = sum - a[k] / top * math.log(b[k] / bottom) end
   return t * t * sum
end

check.test("the_temperature_softens_both_sides", function()
   local got, hard = losses { soft_weight = 0.3, temperature = 2.5 }
   for i = 1, 2 do
      local x = { table.unpack(LOGITS, 3 * i - 2, 3 * i) }
      check.near(got[i], 0.7 * hard[i] + 0.3 * by_hand(soft.probabilities[i], x, 2.5), 1e-5)
   end
end)

check.test("its_gradient_is_that_of_finite_differences", function()
   local targets = soft_labels.targets(soft, student, { n = 2 }, { soft_weight = 0.6, temperature = 2 })
   local labels = tensor.from({ 0, 2 }, nil, "i32")
   check.is_true(gradcheck.check(function(x)
      return targets:loss(x, nn.cross_entropy(x, labels), { examples = { 1, 2 } })
   end, { { 2, 3 } }) < 1e-2)
end)

check.test("the_map_of_least_squares_is_found", function()
   local least_squares = require "ftpipe.least_squares"
   local weight, bias, width = { { 2, -1, 0.5 }, { 0, 3, -2 } }, { 0.25, -4 }, 3
   local map = least_squares.new(width, 2)
   for part = 0, 2 do
      local x, y = {}, {}
      for i = 1, 20 do
         local row = { math.sin(i + 7 * part), math.cos(3 * i + part), math.sin(5 * i * (part + 1)) }
         table.move(row, 1, 3, #x + 1, x)
         for o = 1, 2 do y[#y + 1] = bias[o] + weight[o][1] * row[1] + weight[o][2] * row[2] + weight[o][3] * row[3] end
      end
      map:add(tensor.from(x, { 20, 3 }), tensor.from(y, { 20, 2 }))
   end
   local w, b = map:solution(1e-9)
   for k, v in ipairs(w:table()) do check.near(v, weight[(k - 1) // 3 + 1][(k - 1) % 3 + 1], 1e-4) end
   for k, v in ipairs(b:table()) do check.near(v, bias[k], 1e-4) end
end)

check.test("another_order_of_labels_or_other_rows_are_refused", function()
   check.error_contains("the teacher saw 2 rows with labels a, b, c", soft_labels.targets, soft,
      { options = { labels = { "b", "a", "c" } } }, { n = 2 }, { soft_weight = 1, temperature = 1 })
   check.error_contains("the student 3", soft_labels.targets, soft, student, { n = 3 }, { soft_weight = 1, temperature = 1 })
end)

local cased = assert(text.load "tests/fixtures/bert/masked_lm")
local other = assert(text.load "tests/fixtures/bert/uncased_gelu")

check.test("words_are_paired_by_number_whatever_their_pieces", function()
   local a, b = text.tokens(), text.tokens()
   local function ids(tokenizer, words)
      local out = {}
      for _, w in ipairs(words) do out[#out + 1] = tokenizer:id(w) or error(w) end
      return out
   end
   a:add(ids(cased, { "[CLS]", "good", "##ness", "[UNK]", "film", "[SEP]" }))
   b:add(ids(other, { "[CLS]", "good", "bad", "##er", "##ly", "film", "camera", "[SEP]" }))
   local aligner = assert(core.aligner(cased, other))
   check.equal(aligner:count(a, b, { 1 }), 3)
   local x, y = a:batch { 1 }, b:batch { 1 }
   local p, q = aligner:places(x.tokens, x.rows, y.tokens, y.rows)
   check.equal(p:table(), { 1, 3, 4 })
   check.equal(q:table(), { 1, 2, 5 })
   check.error_contains("one side has 1", aligner.count, aligner, a, b, { 2 })
end)

check.done()
