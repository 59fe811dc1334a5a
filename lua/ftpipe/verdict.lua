-- lua/ftpipe/verdict.lua - what an evaluation means, in plain sentences.
--
-- verdict.sentences turns the plain data of an evaluation (see ftpipe.evaluation) into sentences. The surprise: a
-- difference is only ever called a gain or a loss if the 95 % interval of the *paired* bootstrap excludes zero. Two
-- separate intervals that overlap decide nothing here.
--
-- Figures are points (hundredths of a score). Every sentence carries a code, which stays the same
-- when its wording changes:
--
--   no_rows, valid_only        what the figures below are measured on
--   leak, leak_valid           rows shared between splits
--   one_class, unseen_class, imbalance   labels that make scores hard to read
--   learnt_nothing, check_labels, beats_majority, like_majority   against the majority class
--   gap, gap_small, gap_since  training against test score
--   overfit_since, still_improving       from the epochs' validation loss (or score)
--   stage_two_gain, stage_two_loss       two stages against the head alone
--   two_stages_gain, two_stages_loss     two stages against one (the control)
--   model_gain, model_loss     the judged model against one of another name
--   no_difference, difference_unknown    any comparison
--   small_test, duplicates, truncated    facts about the data

local stats = require "ftpipe.stats"

local M = {}

-- From where on a fact is worth a sentence, or a warning. Scores and shares as fractions of 1.
local WIDE = 0.10          -- width of a test interval
local GAP = 0.05           -- training less test score
local LOSS_RISE = 0.02     -- validation loss above its lowest, relative
local LOSS_FALL = 0.02     -- training loss below its value at the best epoch, relative
local SCORE_RISE = 0.01    -- training score above its value at the best epoch
local CUT, REPEATED, DOMINANT = 0.05, 0.02, 0.80
local FEW, TOO_FEW = 30, 10 -- rows: intervals are rough below the first, worthless below the second

local METRIC_NAMES = { accuracy = "accuracy", f1 = "macro F1", mcc = "Matthews correlation" }
local MODEL_NAMES = { head = "the head alone", two = "two stages", one = "one stage" }

---@class ftpipe.sentence
---@field code string
---@field level "good"|"note"|"warning"
---@field text string
---@field about string?  "two_head" or "two_one" for a comparison, a model's name for overfit_since
---@field value number?  the figure the sentence turns on, in points (or an epoch)

---@class ftpipe.epoch
---@field epoch integer?     its place in the list unless given
---@field loss number?       training loss
---@field train number?      training score
---@field valid number?      validation score
---@field valid_loss number?

---@class ftpipe.data_facts
---@field rows table<string, integer>?          per split
---@field counts table<string, integer[]>?      per split, rows per label
---@field duplicates table<string, integer>?    per split, rows whose text came before in that split
---@field shared table<string, integer>?        train_test, train_valid, valid_test: rows of the latter in the former
---@field truncated number|table<string, number>?  share of rows cut at max_tokens
---@field max_tokens integer?
---@field long string?                          what is read of longer rows: head, head+tail or windows
---@field windowed table<string, number>?       share of rows read in windows
---@field lengths table<string, table>?         per split, stats.summary of token counts

---@class ftpipe.evaluation
---@field metric string?      "accuracy" (the default), "f1", "mcc" or a task's own, higher is better
---@field metric_names table<string, string>? for people; those of classification unless given
---@field advice string?      what to check where nothing was learnt, instead of labels and columns
---@field baseline_phrase string? what the baseline does; "always answering ..." unless given
---@field class_unit string? what the report's table of classes counts; rows unless given
---@field baseline_name string? of the report's row; "majority class" unless given
---@field columns string[]?   metrics that the report shows of the test rows; those of classification unless given
---@field labels string[]?
---@field tuned string?       name of the model under judgement: "two" where there is one, else "one", else "head"
---@field models table<string, table<string, ftpipe.scores>>  per model and split; `interval` beside the scores
---@field baseline table<string, ftpipe.scores>?  majority class, per split, with `label`
---@field history table<string, table>?  per model: epochs, or { epochs =, kept = epoch of the kept weights }
---@field data ftpipe.data_facts?
---@field differences table<string, ftpipe.intervals>?  two_head, two_one, tuned_baseline: former less latter
---@field leak { leaked: number?, clean: number? }?  score on the test rows that are in train, and on the others

local function sorted_keys(t)
   local keys = {}
   for k in pairs(t) do keys[#keys + 1] = k end
   table.sort(keys)
   return keys
end

local function points(x)
   local text = ("%.1f"):format(100 * x)
   return text == "-0.0" and "0.0" or text
end

local function plural(n, one, many) return ("%d %s"):format(n, n == 1 and one or many) end

local function span(i)
   return ("%.0f %% interval %s to %s"):format(100 * (i.level or 0.95), points(i.low), points(i.high))
end

local function capital(text) return (text:gsub("^%l", string.upper)) end

-- What every judge below gets: the evaluation and what follows from it.
local function context(evaluation)
   local models = evaluation.models or {}
   local metric = evaluation.metric or "accuracy"
   local tuned = evaluation.tuned or (models.two and "two") or (models.one and "one") or "head"
   local splits = models[tuned] or {}
   local function usable(split) return splits[split] and splits[split][metric] and split end
   return {
      evaluation = evaluation, models = models, metric = metric, tuned = tuned, splits = splits,
      metric_name = (evaluation.metric_names or METRIC_NAMES)[metric] or metric,
      judged = usable "test" or usable "valid",
      data = evaluation.data or {}, out = {},
   }
end

local function say(c, code, level, text, extra)
   local sentence = { code = code, level = level, text = text }
   for k, v in pairs(extra or {}) do sentence[k] = v end
   c.out[#c.out + 1] = sentence
end

local function score_of(c, model, split)
   local scores = c.models[model] and c.models[model][split]
   return scores and scores[c.metric]
end

local function rows_of(c, split)
   local scores = c.splits[split]
   return scores and scores.rows or c.data.rows and c.data.rows[split] or 0
end

-- Which way a difference goes; 0 also where there are too few rows for an interval to mean anything.
local function direction(c, difference)
   return rows_of(c, c.judged) >= TOO_FEW and stats.direction(difference) or 0
end

local function judge_splits(c)
   if not c.judged then
      say(c, "no_rows", "warning", "No test or validation row was scored, so nothing can be said about new rows.")
   elseif c.judged == "valid" then
      say(c, "valid_only", "warning", "There are no test rows. The figures here are of the validation rows, "
         .. "which also chose the epoch, so they are a little too good.")
   end
end

-- ---------------------------------------------------------------------- data

-- Without the scores of the two parts: shared rows can at most all be right.
local function inflation_bound(score, share) return share * (1 - score) / (1 - share) end

local function leak_text(c, shared, rows)
   local score, leak = score_of(c, c.tuned, "test"), c.evaluation.leak or {}
   local head = ("%d of %s (%s %%) %s also in train"):format(shared, plural(rows, "test row", "test rows"),
      points(shared / rows), shared == 1 and "is" or "are")
   if shared >= rows then return head .. ": the test score says nothing about new rows.", nil end
   if leak.clean and score > leak.clean then
      local by = score - leak.clean
      return ("%s: the test score of %s is too good. The rows not in train score %s, so it is inflated by "
         .. "%s points%s."):format(head, points(score), points(leak.clean), points(by),
            leak.leaked and (" (shared rows: %s)"):format(points(leak.leaked)) or ""), by
   elseif leak.clean then
      return ("%s, yet the rows not in train score no lower (%s, all rows %s)."):format(
         head, points(leak.clean), points(score)), 0
   elseif c.metric == "accuracy" then
      local by = inflation_bound(score, shared / rows)
      return ("%s: the test score of %s is too good, by up to %s points."):format(head, points(score), points(by)), by
   end
   return ("%s: the test score of %s is too good."):format(head, points(score)), nil
end

local function judge_leaks(c)
   local shared = c.data.shared or {}
   local rows = rows_of(c, "test")
   if (shared.train_test or 0) > 0 and rows > 0 and score_of(c, c.tuned, "test") then
      local text, by = leak_text(c, shared.train_test, rows)
      say(c, "leak", "warning", text, { value = by and 100 * by })
   end
   if (shared.train_valid or 0) > 0 then
      say(c, "leak_valid", "warning", ("%s also in train: the validation score is too good, "
         .. "and the choice of the best epoch leans to over-fitting."):format(
         plural(shared.train_valid, "validation row is", "validation rows are")))
   end
end

local function total_and_classes(counts)
   local total, classes, last = 0, 0, nil
   for k, n in ipairs(counts) do
      total = total + n
      if n > 0 then classes, last = classes + 1, k end
   end
   return total, classes, last
end

local function label_name(c, id) return (c.evaluation.labels or {})[id] or tostring(id) end

local function judge_one_class(c, split, counts)
   local rows, classes, only = total_and_classes(counts)
   if classes ~= 1 then return end
   local what = split == "test" and "a score there cannot show that the model tells labels apart"
      or split == "train" and "there is nothing to learn to tell apart"
      or "it cannot choose the best epoch"
   say(c, "one_class", "warning", ('All %d %s rows have the label "%s": %s.'):format(
      rows, split == "valid" and "validation" or split, label_name(c, only), what))
end

local function judge_labels(c)
   local counts = c.data.counts or {}
   for _, split in ipairs { "train", "valid", "test" } do
      if counts[split] then judge_one_class(c, split, counts[split]) end
   end
   local unseen = {}
   for k, n in ipairs(counts.train and counts.test or {}) do
      if n > 0 and (counts.train[k] or 0) == 0 then unseen[#unseen + 1] = ('"%s"'):format(label_name(c, k)) end
   end
   if #unseen > 0 then
      say(c, "unseen_class", "warning", ("No training row has the label %s, but test rows do: they cannot be right.")
         :format(table.concat(unseen, ", ")))
   end
   local rows, classes = total_and_classes(counts.train or {})
   local most = math.max(0, table.unpack(counts.train or {}))
   if classes > 1 and most / rows > DOMINANT then
      say(c, "imbalance", "note", ("%s %% of the training rows have one label: accuracy hides errors on the others, "
         .. "so read macro F1 as well."):format(points(most / rows)))
   end
end

local function judge_texts(c)
   local cut = c.data.truncated
   if type(cut) == "table" then cut = cut.train or cut.test end
   if cut and cut > CUT then
      local at = c.data.max_tokens and (" at %d tokens"):format(c.data.max_tokens) or ""
      local what = c.data.long == "head+tail" and "what stands between their head and their tail is never read"
         or "what stands behind the cut is never read" .. (c.data.long and " (long = windows reads all of it)" or "")
      say(c, "truncated", "note", ("%s %% of the rows were cut%s: %s."):format(points(cut), at, what), { value = 100 * cut })
   end
   local repeated, rows = (c.data.duplicates or {}).train or 0, rows_of(c, "train")
   if rows > 0 and repeated / rows > REPEATED then
      say(c, "duplicates", "note", ("%d of %d training rows repeat an earlier one (%s %%)."):format(
         repeated, rows, points(repeated / rows)))
   end
end

local function interval_of(c)
   local scores = c.judged and c.splits[c.judged]
   return scores and scores.interval and scores.interval[c.metric]
end

local function judge_size(c)
   local i = interval_of(c)
   local rows = c.judged and rows_of(c, c.judged) or 0
   if not i or rows >= FEW and i.high - i.low <= WIDE then return end
   local so = rows < TOO_FEW and "With so few rows even that means nothing."
      or rows < FEW and "With so few rows even that is rough."
      or "Smaller differences cannot be seen with it."
   say(c, "small_test", "warning", ("The %s split is small (%s): the %.0f %% interval of %s is %s points wide "
      .. "(%s to %s). %s"):format(c.judged == "test" and "test" or "validation", plural(rows, "row", "rows"),
      100 * (i.level or 0.95), c.metric_name, points(i.high - i.low), points(i.low), points(i.high), so),
      { value = 100 * (i.high - i.low) })
end

-- ------------------------------------------------------- the majority class

local function nothing_learnt(c, against, difference)
   say(c, "learnt_nothing", "warning", against .. ". As far as these rows show, it learnt nothing from these labels.",
      { value = 100 * difference.value })
   local train, base = score_of(c, c.tuned, "train"), (c.evaluation.baseline.train or {})[c.metric]
   local fits = train and base and train - base > GAP
   local by_heart = fits and ("It fits its training rows all the same (%s points). "):format(points(train)) or ""
   local too_little = train and not fits and " If both are right, train longer or with a higher learning rate." or ""
   if c.evaluation.advice then return say(c, "check_labels", "warning", by_heart .. c.evaluation.advice) end
   say(c, "check_labels", "warning", ("%sCheck that each label still belongs to its row (labels shuffled? "
      .. "columns shifted?) and that the text column is the right one.%s"):format(by_heart, too_little))
end

-- Accuracy can equal the majority's though the model tells labels apart, and macro F1 can beat it by
-- guessing. So "learnt nothing" wants both: no gain in the metric and a correlation that may be 0.
local function judge_majority(c)
   local base = c.evaluation.baseline and c.evaluation.baseline[c.judged]
   local paired = (c.evaluation.differences or {}).tuned_baseline
   local scores = c.splits[c.judged]
   if not (base and base[c.metric] and paired and paired[c.metric]) then return end
   local _, classes = total_and_classes((c.data.counts or {})[c.judged] or {})
   if classes == 1 then return end
   local difference, mcc = paired[c.metric], scores.interval and scores.interval.mcc
   local gain, correlated = direction(c, difference) > 0, mcc and direction(c, mcc) > 0
   local figures = ("%s against %s points of %s on %s (difference %s, %s)"):format(points(scores[c.metric]),
      points(base[c.metric]), c.metric_name, c.judged, points(difference.value), span(difference))
   local always = c.evaluation.baseline_phrase or ('always answering "%s"'):format(base.label or "the majority class")
   if gain and (correlated or not mcc) then
      say(c, "beats_majority", "good", ("The tuned model beats %s: %s."):format(always, figures),
         { value = 100 * difference.value })
   elseif correlated then
      say(c, "like_majority", "note", ("In %s the tuned model is not measurably better than %s: %s. But it tells the "
         .. "labels apart (Matthews correlation %.2f)."):format(c.metric_name, always, figures, mcc.value),
         { value = 100 * difference.value })
   elseif gain then
      nothing_learnt(c, ("The tuned model has more %s than %s, but no more than guessing would: its Matthews "
         .. "correlation is %.2f, where 0 is chance"):format(c.metric_name, always, mcc.value), difference)
   else
      nothing_learnt(c, ("The tuned model is not measurably better than %s: %s"):format(always, figures), difference)
   end
end

-- -------------------------------------------------------------- over-fitting

-- The epochs of a model, and the epoch whose weights were kept, if known.
local function epochs_of(c, model)
   local history = (c.evaluation.history or {})[model] or {}
   return history.epochs or history, history.kept
end

local function all_have(epochs, key)
   for _, e in ipairs(epochs) do
      if not e[key] then return false end
   end
   return true
end

-- Place of the best epoch by validation loss, or by validation score where losses are missing; the
-- first of equally good ones. Nil where both are missing.
local function best_epoch(epochs)
   local by_loss, best = all_have(epochs, "valid_loss"), 1
   if not by_loss and not all_have(epochs, "valid") then return nil end
   for i, e in ipairs(epochs) do
      local b = epochs[best]
      local better
      if by_loss then better = e.valid_loss < b.valid_loss else better = e.valid > b.valid end
      if better then best = i end
   end
   return best, by_loss
end

local function training_went_on(best, last)
   if best.loss and last.loss then return last.loss < best.loss * (1 - LOSS_FALL) end
   return best.train and last.train and last.train > best.train + SCORE_RISE
end

local function number_of(epochs, place) return epochs[place].epoch or place end

-- "train 97.0, validation 80.1": the scores of an epoch, as far as they are known.
local function scores_at(e)
   if e.train and e.valid then return ("%s on train, %s on validation"):format(points(e.train), points(e.valid)) end
   return e.valid and ("%s on validation"):format(points(e.valid))
end

local function overfit_text(epochs, best, by_loss, kept)
   local b, last = epochs[best], epochs[#epochs]
   local how = by_loss
      and ("validation loss was lowest after epoch %d (%.3f) and stood at %.3f after epoch %d"):format(
         number_of(epochs, best), b.valid_loss, last.valid_loss, number_of(epochs, #epochs))
      or ("the validation score was highest after epoch %d (%s) and stood at %s after epoch %d"):format(
         number_of(epochs, best), points(b.valid), points(last.valid), number_of(epochs, #epochs))
   local went_on = b.loss and last.loss
      and (", while training loss went on falling from %.3f to %.3f"):format(b.loss, last.loss)
      or (", while the training score went on rising from %s to %s"):format(points(b.train), points(last.train))
   local scores = scores_at(last)
   local ends = b.loss and scores and (" (scores at the end: %s)"):format(scores) or ""
   local rescued = kept and kept <= number_of(epochs, best)
      and (" The kept weights are those of epoch %d, so the result does not suffer."):format(kept)
      or (" Stop after epoch %d."):format(number_of(epochs, best))
   return how .. went_on .. ends .. "." .. rescued
end

local function judge_epochs(c)
   local epochs, kept = epochs_of(c, c.tuned)
   if #epochs < 2 then return end
   local best, by_loss = best_epoch(epochs)
   if not best then return end
   local b, last = epochs[best], epochs[#epochs]
   local worse = best < #epochs and not (by_loss and last.valid_loss <= b.valid_loss * (1 + LOSS_RISE))
   if worse and training_went_on(b, last) then
      local since = number_of(epochs, best + 1)
      say(c, "overfit_since", "warning", ("Over-fitting since epoch %d: %s"):format(
         since, overfit_text(epochs, best, by_loss, kept)), { about = c.tuned, value = since })
   elseif by_loss and best == #epochs and last.valid_loss < epochs[best - 1].valid_loss * (1 - LOSS_FALL) then
      say(c, "still_improving", "note", ("Validation loss was still falling at the last epoch (%.3f to %.3f): "
         .. "more epochs may bring more."):format(epochs[best - 1].valid_loss, last.valid_loss), { about = c.tuned })
   end
end

-- The epoch from which training stays ahead of validation by more than half of its lead at the end.
local function gap_since(c)
   local epochs = epochs_of(c, c.tuned)
   local last = epochs[#epochs]
   if not (last and last.train and last.valid) or last.train - last.valid <= GAP then return end
   local half, since = (last.train - last.valid) / 2, #epochs
   while since > 1 and epochs[since - 1].train and epochs[since - 1].valid
      and epochs[since - 1].train - epochs[since - 1].valid > half do
      since = since - 1
   end
   local e = epochs[since]
   say(c, "gap_since", "note", ("The gap opened in epoch %d: %s points on train, %s on validation."):format(
      number_of(epochs, since), points(e.train), points(e.valid)), { value = number_of(epochs, since) })
end

local function judge_gap(c)
   local train, test = score_of(c, c.tuned, "train"), score_of(c, c.tuned, c.judged)
   if not train then return end
   local gap, i = train - test, interval_of(c)
   local where = c.judged == "test" and "test" or "validation"
   if gap > GAP and not (i and i.high >= train) then
      say(c, "gap", "warning", ("The tuned model scores %s points of %s on train and %s on %s: %s points apart.")
         :format(points(train), c.metric_name, points(test), where, points(gap)), { value = 100 * gap })
      gap_since(c)
   else
      say(c, "gap_small", "good", ("Training and %s score are close: %s and %s points of %s, %s apart."):format(
         where, points(train), points(test), c.metric_name, points(math.abs(gap))), { value = 100 * gap })
   end
end

-- --------------------------------------------------------------- comparisons

-- What can be said of "two stages" against `other`.
local COMPARISONS = {
   { about = "two_head", other = "head", gain = "stage_two_gain", loss = "stage_two_loss",
      gained = "Stage two brought %s points of %s over the head alone (%s to %s; %s).",
      lost = "Stage two cost %s points of %s against the head alone (%s to %s; %s)." },
   { about = "two_one", other = "one", gain = "two_stages_gain", loss = "two_stages_loss",
      gained = "Two stages brought %s points of %s over one stage (%s to %s; %s).",
      lost = "Two stages cost %s points of %s against one stage (%s to %s; %s)." },
}

--- Those, and the model under judgement against every model of another name: { about, first ("two" unless given), other }.
---@param models table<string, any>
---@param tuned string
function M.comparisons(models, tuned)
   local out, named = { table.unpack(COMPARISONS) }, { two = true, one = true, head = true }
   for _, other in ipairs(sorted_keys(models)) do
      if other ~= tuned and not (named[other] and named[tuned]) then
         local a, b = (MODEL_NAMES[tuned] or tuned):gsub("%%", "%%%%"), (MODEL_NAMES[other] or other):gsub("%%", "%%%%")
         out[#out + 1] = { about = tuned .. "_" .. other, first = tuned, other = other, gain = "model_gain", loss = "model_loss",
            gained = capital(a) .. " scores %s points of %s more than " .. b .. " (%s to %s; %s).",
            lost = capital(a) .. " scores %s points of %s less than " .. b .. " (%s to %s; %s)." }
      end
   end
   return out
end

local function compare(c, kind)
   local first = kind.first or "two"
   local two, other = score_of(c, first, c.judged), score_of(c, kind.other, c.judged)
   if not (two and other) then return end
   local paired = (c.evaluation.differences or {})[kind.about]
   local difference = paired and paired[c.metric]
   local own, name = MODEL_NAMES[first] or first, MODEL_NAMES[kind.other] or kind.other
   if not difference then
      return say(c, "difference_unknown", "note", ("%s score %s points of %s, %s %s; the rows were not compared one by "
         .. "one, so whether that is a difference is unknown."):format(capital(own), points(two),
         c.metric_name, name, points(other)), { about = kind.about })
   end
   local extra = { about = kind.about, value = 100 * difference.value }
   local way = direction(c, difference)
   if way ~= 0 then
      return say(c, way > 0 and kind.gain or kind.loss, way > 0 and "good" or "warning",
         (way > 0 and kind.gained or kind.lost):format(points(math.abs(difference.value)), c.metric_name,
            points(other), points(two), span(difference)), extra)
   end
   local tie = two == other
   local scores = tie and ("both score %s points"):format(points(two))
      or ("%s against %s points"):format(points(two), points(other))
   local by = tie and "" or ("difference %s, "):format(points(difference.value))
   say(c, "no_difference", "note", ("No measurable difference between %s and %s: %s of %s on %s "
      .. "(%s%s)."):format(own, name, scores, c.metric_name, c.judged, by, span(difference)), extra)
end

local function judge_models(c)
   for _, kind in ipairs(M.comparisons(c.models, c.tuned)) do compare(c, kind) end
end

--- The verdict: what to distrust first, then what was learnt, over-fitting, the stages, and the data.
---@param evaluation ftpipe.evaluation
---@return ftpipe.sentence[]
function M.sentences(evaluation)
   local c = context(evaluation)
   judge_splits(c)
   judge_leaks(c)
   judge_labels(c)
   if c.judged then
      judge_majority(c)
      judge_gap(c)
   end
   judge_epochs(c)
   if c.judged then
      judge_models(c)
      judge_size(c)
   end
   judge_texts(c)
   return c.out
end

-- Name of the model under judgement.
function M.tuned(evaluation) return context(evaluation).tuned end

return M
