-- tests/lua/test_training.lua - dropout, clipping, schedules, decay, freezing, early stopping, accumulation, features and
-- memory, each by what would be different without it. The model is one of the recorded tiny BERTs.

local check = require "check"
local graph = require "ftpipe.core.graph"
local sys = require "ftpipe.core.sys"
local tensor = require "ftpipe.core.tensor"
local text = require "ftpipe.core.text"
local features = require "ftpipe.features"
local finetune = require "ftpipe.step.finetune"
local gradcheck = require "ftpipe.gradcheck"
local model = require "ftpipe.model"
local nn = require "ftpipe.nn"
local scoring = require "ftpipe.scoring"
local training = require "ftpipe.training"

check.suite "training"

local function fails(body, phrase) check.error_contains(phrase, body) end

local DIR = "tests/fixtures/bert/three_layers"

local function fresh(pool)
   return model.replace_head(model.open(DIR), { head = "classification", labels = { "a", "b" }, pool = pool }, 3)
end

-- n rows of 3 to 12 tokens whose label is told by one token.
local function split(n)
   local tokens, labels = text.tokens(), {}
   for i = 1, n do
      local ids = { 2, i % 2 == 0 and 20 or 30 }
      for k = 1, i * 7 % 10 do ids[#ids + 1] = 5 + (i * 31 + k * 17) % 60 end
      ids[#ids + 1] = 3
      tokens:add(ids)
      labels[i] = i % 2 + 1
   end
   return { name = "train", n = n, tokens = tokens, labels = labels }
end

local function defaults(changes)
   local params = {}
   for key, spec in pairs(finetune.params) do params[key] = spec.default end
   params.lr, params.epochs, params.batch = 1e-3, 2, 8
   for key, value in pairs(changes or {}) do params[key] = value end
   return params
end

-- Train as the runner would; gives the model, the context and the log's entries.
local function train(m, data, changes)
   local entries = {}
   local ctx = training.context { step = "test", seed = 5 }
   function ctx:own(x)
      x.attach = function(_, optimiser) self:attach(x, optimiser) end
      return x
   end
   function ctx.say() end
   function ctx.settled() end
   function ctx.card() end
   function ctx.on_update(entry) entries[#entries + 1] = entry end
   finetune.run(ctx, { model = m, data = data }, defaults(changes))
   return m, ctx, entries
end

local function bytes(m)
   local parts = {}
   for _, p in ipairs(m:parameters()) do parts[#parts + 1] = p:tensor():bytes() end
   return table.concat(parts)
end


-- ==== Dropout ====

check.test("dropout_changes_training_and_not_evaluation", function()
   local data = split(16)
   local _, _, with = train(fresh(), { train = data }, { dropout = 0.5, epochs = 1 })
   local _, _, without = train(fresh(), { train = data }, { dropout = 0, epochs = 1 })
   check.is_true(math.abs(with[1].loss - without[1].loss) > 1e-3, "the first loss is the same with and without dropout")
   local m = fresh()
   local a = scoring.probabilities(m, data.tokens)
   m.dims.dropout, m.dims.attention_dropout, m.c.dropout = 0, 0, 0
   check.equal(scoring.probabilities(m, data.tokens), a)
end)

check.test("dropout_of_one_step_is_not_that_of_another", function()
   local data, m = split(16), fresh()
   local own, twin = m.dims.dropout, m:copy()
   train(m, { train = data }, { dropout = 0.5, epochs = 1 })
   check.equal({ m.dims.dropout, m.dims.attention_dropout, m.c.dropout }, { 0.5, 0.5, 0.5 })
   check.equal(twin.dims.dropout, own, "a copy made before")
   check.equal(m:copy().dims.dropout, own, "a copy made after")
   train(m, { train = data }, { epochs = 1 })
   check.equal(m.dims.dropout, own, "the same model in the next step")
end)

check.test("dropout_zeroes_its_share_and_scales_the_rest", function()
   graph.begin("train", 1, 1)
   local y = nn.dropout(tensor.from(setmetatable({}, { __index = function() return 1 end, __len = function() return 20000 end }),
      { 100, 200 }), 0.25, nil, "here"):tensor():table()
   local zeros, sum = 0, 0
   for _, x in ipairs(y) do
      zeros, sum = zeros + (x == 0 and 1 or 0), sum + x
   end
   check.near(zeros / #y, 0.25, 0.02)
   check.near(sum / #y, 1, 0.03)
end)

-- ==== Optimiser ====

check.test("clipping_bounds_the_update_of_sgd", function()
   local data = { train = split(16) }
   local function moved(clip)
      local m = fresh()
      local before = m:weights()
      local _, _, entries = train(m, data, { optimizer = "sgd", lr = 1, schedule = "constant", warmup = 0, clip = clip, epochs = 1,
         batch = 16, dropout = 0, keep = "last", weight_decay = 0 })
      local sum = 0
      for _, p in ipairs(m:parameters()) do
         local a, b = p:tensor():table(), before[p:name()]:table()
         for i = 1, #a do sum = sum + (a[i] - b[i]) ^ 2 end
      end
      return math.sqrt(sum), entries[1].gradient_norm
   end
   local free, norm = moved(0)
   check.near(free, norm, 1e-3 * norm, "without clipping the step is the gradient")
   local bound, same_norm = moved(norm / 4)
   check.near(same_norm, norm, 1e-6 * norm, "the log holds the norm before clipping")
   check.near(bound, norm / 4, 1e-3 * norm, "with clipping it is no longer than that")
end)

check.test("schedules_rise_and_fall_as_documented", function()
   local constant, linear, cosine = nn.schedule("constant", 0.1), nn.schedule("linear", 0.1), nn.schedule("cosine", 0.2)
   check.near(constant(5, 100), 0.5, 1e-12)
   check.near(constant(90, 100), 1, 1e-12)
   check.near(linear(5, 100), 0.5, 1e-12)
   check.near(linear(11, 100), 1, 1e-12)
   check.near(linear(100, 100), 1 / 90, 1e-12)
   check.near(cosine(10, 100), 0.5, 1e-12)
   check.near(cosine(61, 100), 0.5, 1e-12)
   fails(function() nn.schedule("linaer", 0) end, "choose constant, linear or cosine")
end)

check.test("the_log_holds_the_scheduled_learning_rates", function()
   local _, _, entries = train(fresh(), { train = split(16) }, { lr = 0.01, warmup = 0.5 })
   local rates = {}
   for i, e in ipairs(entries) do rates[i] = e.learning_rate end
   check.near(rates[1], 0.005, 1e-12)
   check.near(rates[2], 0.01, 1e-12)
   check.near(rates[4], 0.005, 1e-12)
end)

check.test("weight_decay_spares_biases_and_layer_norm", function()
   local m = fresh()
   local before = m:weights()
   local opt = nn.adamw(m, { lr = 0.1, weight_decay = 0.5 })
   graph.begin("train", 1, 1)
   local out = m:forward(split(2).tokens:batch { 1, 2 })
   graph.backward(nn.scale(nn.sum(out, 2), 0), 1)        -- every gradient is zero
   opt:step { index = 1, total = 1 }
   for _, p in ipairs(m:parameters()) do
      local a, b = p:tensor():get(1), before[p:name()]:get(1)
      check.near(a, #p:shape() >= 2 and b * 0.95 or b, 1e-6 + 1e-5 * math.abs(b), p:name())
   end
   opt.core:close()
end)

check.test("groups_have_their_own_learning_rate", function()
   local m = fresh()
   local before = m:weights()
   train(m, { train = split(8) }, { lr = 1e-3, groups = { { match = "encoder.*", lr = 0 } }, epochs = 1, keep = "last",
         weight_decay = 0 })
   check.equal(m.by_name["encoder.layer.0.ffn.up.weight"]:tensor():bytes(), before["encoder.layer.0.ffn.up.weight"]:bytes())
   check.is_true(m.by_name["head.out.weight"]:tensor():bytes() ~= before["head.out.weight"]:bytes(), "the head moves")
end)

-- ==== Freezing ====

check.test("frozen_weights_stay_and_have_no_gradient", function()
   local m = fresh()
   local before = m:weights()
   train(m, { train = split(16) }, { freeze = { "encoder.embed.*", "encoder.layer.[0-1].*" }, keep = "last" })
   for _, p in ipairs(m:parameters()) do
      local frozen = p:name():find("^encoder%.embed") or p:name():find("^encoder%.layer%.[01]%.")
      local same = p:tensor():bytes() == before[p:name()]:bytes()
      if frozen then check.is_true(same, p:name() .. " moved") end
      check.equal(p:trainable(), not frozen, p:name())
   end
   check.is_true(m.by_name["encoder.layer.2.ffn.up.weight"]:tensor():bytes() ~= before["encoder.layer.2.ffn.up.weight"]:bytes())
end)

check.test("nothing_below_the_lowest_trainable_layer_is_recorded", function()
   local m = fresh()
   m:freeze { "encoder.embed.*", "encoder.layer.[0-1].*" }
   graph.begin("train", 1, 1)
   local batch = split(2).tokens:batch { 1, 2 }
   local embed = m.encoder.embed
   check.equal(graph.apply("embed_sum", nil, batch.tokens, embed.word.weight):needs_grad(), false)
   local out = m:forward(batch)
   check.equal(out:needs_grad(), true)
   local opt = nn.adamw(m, {})
   graph.backward(nn.sum(out:square(), 2), 1)
   for _, p in ipairs(m:parameters()) do
      local below = p:name():find("^encoder%.embed%.") or p:name():find("^encoder%.layer%.[01]%.")
      check.equal(p:grad() == nil, below ~= nil, p:name() .. " has a gradient")
   end
   opt.core:close()
end)

check.test("loaded_means_the_checkpoint_so_a_new_pooler_trains", function()
   local m = model.replace_head(model.open "tests/fixtures/bert/published_encoder", { head = "classification",
         labels = { "a", "b" } }, 1)
   m:freeze "loaded"
   check.equal(m.by_name["encoder.pool.dense.weight"]:trainable(), true)
   check.equal(m.by_name["encoder.layer.0.ffn.up.weight"]:trainable(), false)
   check.equal(m:frozen_stages(), 1)
end)

check.test("a_glob_that_matches_nothing_names_the_nearest_parameter", function()
   fails(function() fresh():freeze "encoder.layer.0.fnn.up.weight" end, "did you mean 'encoder.layer.0.ffn.up.weight'")
end)

check.test("all_frozen_is_an_error", function()
   local m = fresh()
   m:freeze "*"
   fails(function() nn.adamw(m, {}) end, "nothing is trainable")
end)

-- ==== Epochs ====

check.test("stops_early_when_neither_score_nor_loss_improves", function()
   local data = split(8)
   local _, ctx, entries = train(fresh(), { train = data, valid = data }, { lr = 0, epochs = 10, patience = 2, weight_decay = 0 })
   check.equal(#ctx.history, 3, "epochs")
   check.equal(#entries, 3, "updates")
   local _, free = train(fresh(), { train = data, valid = data }, { lr = 0, epochs = 5, patience = 0, weight_decay = 0 })
   check.equal(#free.history, 5, "patience 0 never stops")
end)

check.test("a_loss_that_still_falls_keeps_training_though_the_score_stands_still", function()
   local ctx = training.context { step = "test" }
   local m = fresh()
   for k, loss in ipairs { 0.9, 0.8, 0.7, 0.71, 0.7 } do
      ctx:keep_best(m, k == 1 and 0.6 or 0.5, loss)
      check.equal(ctx:stalled(), ({ 0, 0, 0, 1, 2 })[k], "epoch " .. k)
   end
   check.equal(ctx.best_so_far.epoch, 1)
   check.equal(ctx:keep_best(m, 0.6, 0.8), true, "a tie goes to the lower loss")
   check.equal(ctx:keep_best(m, 0.6, 0.8), false)
end)

check.test("finetune_gives_the_best_weights_or_the_last_as_asked", function()
   local data = { train = split(24), valid = split(8) }
   local options = { lr = 0.05, epochs = 6, patience = 0, schedule = "constant" }
   local function differs(keep)
      options.keep = keep
      local m, ctx = train(fresh(), data, options)
      check.is_true(ctx.best_so_far.epoch < 6, "the last epoch is not the best")
      local _, loss = scoring.score(m, data.valid)
      return math.abs(loss - ctx.history[ctx.best_so_far.epoch].valid_loss) > 1e-6
   end
   check.equal(differs "best", false)
   check.equal(differs "last", true)
end)

check.test("a_score_goes_into_keep_best_as_it_is", function()
   local m, data, ctx = fresh(), split(8), training.context { step = "test" }
   ctx:keep_best(m, scoring.score(m, data))
   local keys = {}
   for key in pairs(ctx.history[1]) do keys[#keys + 1] = key end
   table.sort(keys)
   check.equal(keys, { "score", "valid_loss" }, "nothing else ends in the history")
end)

check.test("keeps_the_best_weights_and_not_the_last", function()
   local m = fresh()
   local ctx = training.context { step = "test" }
   local opt = nn.adamw(m, { lr = 1e-2 })
   ctx:keep_best(m, 0.9)
   local best = bytes(m)
   m.by_name["head.out.weight"]:tensor():fill(7)
   ctx:keep_best(m, 0.8)
   check.is_true(bytes(m) ~= best)
   ctx:best()
   check.is_true(bytes(m) == best, "the best weights are back")
   opt.core:close()
end)

-- ==== Batches ====

check.test("micro_batches_change_only_rounding", function()
   local data = { train = split(24) }
   local options = { dropout = 0.1, batch = 12, keep = "last" }
   local _, _, whole = train(fresh(), data, options)
   options.tokens_per_batch = 20
   local a, _, parts = train(fresh(), data, options)
   for i = 1, #whole do check.near(parts[i].loss, whole[i].loss, 1e-4, "update " .. i) end
   local b = train(fresh(), data, options)
   check.equal(bytes(a), bytes(b), "same budget, same bits")
end)

check.test("a_budget_splits_an_update_and_never_changes_which_examples_share_it", function()
   local function updates_of(budget)
      local ctx, seen = training.context { step = "test", seed = 5 }, {}
      for update in ctx:updates(split(30), { batch = 7, epochs = 2, tokens_per_batch = budget }) do
         local parts, all = training.parts(update.split.tokens, update.examples, budget), {}
         for _, part in ipairs(parts) do
            local sum = 0
            for _, i in ipairs(part) do all[#all + 1], sum = i, sum + update.split.tokens:length(i) end
            check.is_true(sum <= budget or #part == 1, ("%d tokens where %d may be"):format(sum, budget))
         end
         table.sort(all)
         seen[#seen + 1] = table.concat(all, " ")
      end
      return seen
   end
   local whole = updates_of(4096)
   check.equal(#whole, 10)
   for _, budget in ipairs { 1, 11, 30 } do check.equal(updates_of(budget), whole, "budget " .. budget) end
end)

check.test("recomputed_layers_give_the_same_bits_and_keep_less", function()
   for _, precision in ipairs { "f32", "bf16" } do
      if precision == "f32" or sys.bf16() then
         local data, out = { train = split(24) }, {}
         for k, recompute in ipairs { false, true } do
            out[k] = bytes((train(fresh(), data, { dropout = 0.1, batch = 12, keep = "last", recompute = recompute,
               tokens_per_batch = 40, precision = precision })))
         end
         check.equal(out[1], out[2], precision)
      end
   end
   local m, peaks = fresh(), {}
   local batch = split(16).tokens:batch { 1, 2, 3, 4, 5, 6, 7, 8 }
   for k, recompute in ipairs { false, true } do
      m:set_recompute(recompute)
      graph.begin("shape", 1, 1)
      graph.backward(nn.cross_entropy(m:forward(batch), tensor.from({ 0, 1, 0, 1, 0, 1, 0, 1 }, nil, "i32")), 1)
      peaks[k] = graph.cost().peak
   end
   graph.begin "eval"
   check.is_true(peaks[2] < 0.7 * peaks[1], ("%d bytes recomputed, %d without"):format(peaks[2], peaks[1]))
end)

check.test("same_bits_on_one_two_and_three_threads", function()
   local before, out = sys.threads(), {}
   for n = 1, 3 do
      sys.threads(n)
      out[n] = bytes((train(fresh(), { train = split(24) }, { batch = 12, keep = "last" })))
   end
   sys.threads(before)
   check.is_true(out[1] == out[2] and out[2] == out[3])
end)

check.test("cached_features_give_the_logits_of_the_whole_model", function()
   for _, pool in ipairs { "pooler", "cls", "mean" } do
      local m, data = fresh(pool), split(20)
      for done = 1, 2 do
         local cached = features.compute(m, data.tokens, done)
         local a, b = scoring.probabilities(m, data.tokens), scoring.probabilities(m, data.tokens, cached)
         for i = 1, data.n do check.near(a[i][1], b[i][1], 1e-6, ("%s, %d stages, row %d"):format(pool, done, i)) end
      end
   end
end)

check.test("stage_one_computes_features_once_and_trains_the_head_only", function()
   local m, data = fresh(), split(16)
   local before, runs, forward = m:weights(), 0, m.unit.forward
   m.unit = setmetatable({ forward = function(...)
      runs = runs + 1
      return forward(...)
   end }, { __index = m.unit })
   local _, _, entries = train(m, { train = data }, { freeze = "loaded", epochs = 3, keep = "last" })
   check.equal(#entries, 6)
   check.equal(runs, 1, "the encoder runs once for all rows")
   for _, p in ipairs(m:parameters()) do
      local same = p:tensor():bytes() == before[p:name()]:bytes()
      check.equal(same, p:name():find("^encoder%.") ~= nil, p:name())
   end
end)

-- ==== Handles, losses, numbers ====

check.test("a_handle_of_a_finished_step_raises", function()
   graph.begin "eval"
   local x = graph.variable(tensor.from { 1, 2 })
   graph.begin "eval"
   fails(function() x:shape() end, "finished step")
end)

check.test("backward_runs_once", function()
   local m = fresh()
   local opt = nn.adamw(m, {})
   graph.begin("train", 1, 1)
   local loss = nn.cross_entropy(m:forward(split(1).tokens:batch { 1 }), tensor.from({ 0 }, nil, "i32"))
   graph.backward(loss, 1)
   fails(function() graph.backward(loss, 1) end, "ran already")
   opt.core:close()
end)

check.test("a_loss_must_have_one_value_per_row", function()
   fails(function()
      train(fresh(), { train = split(4) }, { loss = function(logits) return nn.mean(logits) end })
   end, "one value per row")
end)

check.test("a_loss_that_is_not_finite_names_update_and_parameter", function()
   local m = fresh()
   m.by_name["head.out.bias"]:tensor():set(1, 0 / 0)
   fails(function() train(m, { train = split(4) }, {}) end, "update 1: the loss is not finite because parameter 'head.out.bias'")
end)

check.test("a_model_whose_logits_are_not_finite_cannot_be_scored", function()
   local m, data = fresh(), split(4)
   m.by_name["head.out.bias"]:tensor():set(2, 0 / 0)
   fails(function() scoring.score(m, data) end, "the loss is not finite because parameter 'head.out.bias'")
end)

check.test("a_gradient_that_is_not_finite_names_the_parameter", function()
   local m = fresh()
   local opt = nn.adamw(m, {})
   graph.begin("train", 1, 1)
   graph.backward(nn.cross_entropy(m:forward(split(1).tokens:batch { 1 }), tensor.from({ 0 }, nil, "i32")), 1 / 0)
   fails(function() opt:step { index = 4, total = 9 } end, "update 4: the gradient of '")
   opt.core:close()
end)

check.test("gradcheck_passes_a_right_gradient_and_catches_a_wrong_one", function()
   check.is_true(gradcheck.check(function(x, w) return nn.sum((x * w):tanh(), 2) end, { { 3, 4 }, { 3, 4 } }) < 1e-2)
   fails(function()
      gradcheck.check(function(x) return nn.sum(x * graph.variable(x):detach(), 2) end, { { 2, 3 } })
   end, "gradcheck: input 1, element 1")
end)

check.test("the_shape_mode_counts_and_allocates_no_data", function()
   local m, data = fresh(), split(16)
   local batch = data.tokens:batch { 1, 2, 3, 4, 5, 6, 7, 8 }
   graph.begin "eval"
   local live = sys.memory().live
   graph.begin("shape", 1, 1)
   local loss = nn.cross_entropy(m:forward(batch), tensor.from({ 0, 1, 0, 1, 0, 1, 0, 1 }, nil, "i32"))
   graph.backward(loss, 1)
   local cost = graph.cost()
   check.is_true(cost.flops > 1e5 and cost.peak > 1e4, "costs are counted")
   check.is_true(sys.memory().live - live < 200000, "no activations are allocated")
   graph.begin "eval"
end)

check.test("a_frozen_encoder_trains_the_same_head_with_and_without_cached_features", function()
   local data = split(24)
   local function losses(budget)
      local before = features.BUDGET
      features.BUDGET = budget
      local ok, _, _, entries = pcall(train, fresh(), { train = data }, { freeze = { "loaded" } })
      features.BUDGET = before
      check.is_true(ok, "training")
      local out = {}
      for i, entry in ipairs(entries) do out[i] = entry.loss end
      return out
   end
   local cached, again = losses(2 << 30), losses(0)
   check.equal(#again, #cached)
   for i = 1, #cached do check.near(again[i], cached[i], 1e-6 * math.abs(cached[i])) end
end)

check.test("only_infinities_and_nan_are_not_finite", function()
   local m = fresh()
   local t = m:parameters()[1]:tensor()
   t:fill(1e30)
   check.equal(m:nonfinite "value", nil)
   t:fill(math.huge)
   check.equal(m:nonfinite "value", m:parameters()[1]:name())
end)

-- Words that only the first updates had keep their moments through a checkpoint, and move on by them.
check.test("moments_put_back_move_words_that_no_longer_come", function()
   local function begin(m)
      local opt = nn.adamw(m, { lr = 1e-2, weight_decay = 0.1, clip = 1 })
      return opt, function(k, from)
         local tokens, word = text.tokens(), m.by_name["encoder.embed.word.weight"]
         tokens:add { from, from + 1, from + 2 }
         graph.begin("train", 5, k)
         graph.backward(nn.cross_entropy(m:forward(tokens:batch { 1 }), tensor.from({ k % 2 }, nil, "i32")), 1)
         opt:step { index = k, total = 6 }
         return word:tensor():bytes()
      end
   end
   local m = fresh()
   local opt, step = begin(m)
   for k = 1, 3 do step(k, 10) end
   local weights, moments, want = m:weights(), {}, nil
   for i, own in ipairs(opt.core:moments()) do moments[i] = { own[1]:clone(), own[2]:clone() } end
   for k = 4, 6 do want = step(k, 60) end

   local again = fresh()
   again:set_weights(weights)
   local other, go_on = begin(again)
   for i, own in ipairs(other.core:moments()) do
      for k = 1, 2 do own[k]:copy(moments[i][k]) end
   end
   other.core:steps(3)
   local got
   for k = 4, 6 do got = go_on(k, 60) end
   check.is_true(got == want, "the table of words has other bits")
end)

-- ==== Model directories ====

check.test("a_saved_model_loads_with_equal_logits_and_labels", function()
   local m, data = fresh "mean", split(10)
   local dir = assert(sys.getenv "TMPDIR") .. "/saved"
   m:save(dir, { text = { "text" } })
   local again = model.load(dir)
   check.equal(again.options.labels, { "a", "b" })
   check.equal(again.pooling, "mean")
   check.equal(scoring.probabilities(again, data.tokens), scoring.probabilities(m, data.tokens))
end)

check.test("an_encoder_without_head_is_not_taken_for_a_tuned_model", function()
   fails(function() model.load "tests/fixtures/bert/published_encoder" end, "encoder without a tuned head")
end)

check.done()
