-- tests/lua/test_class_weights.lua - weights of labels: balanced, said one by one, and what is refused.

local check = require "check"
local class_weights = require "ftpipe.class_weights"

check.suite "class weights"

local split, labels = { labels = { 1, 1, 1, 2, 1, 2, 1, 1 } }, { "neg", "pos", "none" }

check.test("balanced_weights_make_labels_count_alike", function()
   local w = class_weights.of("balanced", split, labels)
   check.near(w[1], 8 / (3 * 6), 1e-12)
   check.near(w[4], 8 / (3 * 2), 1e-12)
   local sums = { 0, 0 }
   for i, k in ipairs(split.labels) do sums[k] = sums[k] + w[i] end
   check.near(sums[1], sums[2], 1e-12)
   local some, sum = class_weights.some(w, { 4, 1 })
   check.equal(some, { w[4], w[1] })
   check.near(sum, w[1] + w[4], 1e-12)
end)

check.test("weights_by_label", function()
   check.equal(class_weights.of("pos:2.5", split, labels), { 1.0, 1.0, 1.0, 2.5, 1.0, 2.5, 1.0, 1.0 })
   check.equal(class_weights.of("a:b:3", { labels = { 1 } }, { "a:b" }), { 3 })
end)

check.test("weights_that_are_refused", function()
   check.error_contains("there is no label 'poss'; did you mean 'pos'?", class_weights.of, "poss:2", split, labels)
   check.error_contains("'pos' is not label:weight", class_weights.of, "pos", split, labels)
   check.error_contains("a weight above 0", class_weights.of, "pos:0", split, labels)
   check.error_contains("one label for each row", class_weights.of, "balanced", { token_labels = {} }, labels)
end)

check.done()
