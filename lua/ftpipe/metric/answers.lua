--- Scores of answers to questions: exact match and F1 of words, equal to the official scripts of SQuAD 1.1 and 2.0
-- (Rajpurkar et al. 2016, arXiv:1606.05250; 2018, arXiv:1806.03822).
--
-- The two scripts differ where something is empty. 1.1 gives no F1 to an empty answer and counts a question without
-- prediction as wrong. In 2.0 an answer that is empty in its normal form says that there is none, it is right where
-- gold has none, and a question whose probability of having no answer is above a threshold counts as so answered.
-- A question without prediction counts as wrong under both; the script of 2.0 cannot score it.
--
-- Scores are shares from 0 to 1, as everywhere in metrics.json; the scripts print them times 100.

local text = require "ftpipe.core.text"

local M = {}

---@class ftpipe.gold_answers
---@field id string
---@field answers string[] empty: the question has no answer in its context

---@class ftpipe.answer_scores
---@field rows integer
---@field exact number?  share of questions whose answer is right in its normal form; nil without rows
---@field f1 number?     mean over questions of the best F1 of words
---@field missing integer questions without a prediction
---@field has_answer { rows: integer, exact: number, f1: number }? with questions of both kinds
---@field no_answer { rows: integer, exact: number, f1: number }?  the same for those without answer
---@field per_row { exact: number[], f1: number[] } of each question, in order of gold

M.normalise = text.normalise_answer

--- Words of an answer in its normal form, with how often each occurs, and their number.
---@param normal string
local function bag(normal)
   local counts, n = {}, 0
   for word in normal:gmatch "[^ ]+" do
      counts[word] = (counts[word] or 0) + 1
      n = n + 1
   end
   return counts, n
end

--- F1 of two answers in their normal form. `empty_counts` (2.0): two empty ones agree.
---@param gold string
---@param predicted string
---@param empty_counts boolean
---@return number
function M.f1(gold, predicted, empty_counts)
   local in_gold, n_gold = bag(gold)
   local in_predicted, n_predicted = bag(predicted)
   if empty_counts and (n_gold == 0 or n_predicted == 0) then return n_gold == n_predicted and 1.0 or 0.0 end
   local same = 0
   for word, n in pairs(in_predicted) do same = same + math.min(n, in_gold[word] or 0) end
   if same == 0 then return 0.0 end
   -- in this order, so that the last bit is the scripts' too
   local precision, recall = same / n_predicted, same / n_gold
   return 2 * precision * recall / (precision + recall)
end

-- Normal forms of the answers that count. 2.0 leaves out those that are empty, and no answer is an empty one.
local function references(answers, two)
   local out = {}
   for _, answer in ipairs(answers) do
      local normal = M.normalise(answer)
      if not two or normal ~= "" then out[#out + 1] = normal end
   end
   if two and #out == 0 then out[1] = "" end
   return out
end

--- Exact match and F1 of one prediction against the best of several answers.
---@param answers string[]
---@param predicted string
---@param two boolean? by the rules of SQuAD 2.0
---@return number exact 0 or 1
---@return number f1
function M.of_one(answers, predicted, two)
   local normal, exact, f1 = M.normalise(predicted), 0.0, 0.0
   for _, reference in ipairs(references(answers, two)) do
      if reference == normal then exact = 1.0 end
      f1 = math.max(f1, M.f1(reference, normal, two or false))
   end
   return exact, f1
end

--- Whether a set of questions is to be scored by the rules of SQuAD 2.0: some question has no answer.
---@param gold ftpipe.gold_answers[]
function M.is_two(gold)
   for _, question in ipairs(gold) do
      if #question.answers == 0 then return true end
   end
   return false
end

local function has_answer(question) return #question.answers > 0 end

-- Scores of every question before any threshold.
local function score_rows(gold, predicted, two)
   local exact, f1, missing = {}, {}, 0
   for i, question in ipairs(gold) do
      local answer = predicted[question.id]
      if answer == nil then missing = missing + 1 end
      exact[i], f1[i] = 0.0, 0.0
      if answer ~= nil then exact[i], f1[i] = M.of_one(question.answers, answer, two) end
   end
   return exact, f1, missing
end

local function mean(values, keep)
   local sum, n = 0.0, 0
   for i = 1, #values do
      if not keep or keep[i] then sum, n = sum + values[i], n + 1 end
   end
   return n > 0 and sum / n or nil, n
end

-- Replace the scores of questions that count as answered by "none" (the scripts' apply_no_ans_threshold).
local function apply(scores, gold, predicted, no_answer, threshold)
   local out = {}
   for i, question in ipairs(gold) do
      out[i] = scores[i]
      if predicted[question.id] ~= nil and no_answer[question.id] > threshold then
         out[i] = has_answer(question) and 0.0 or 1.0
      end
   end
   return out
end

local function part(exact, f1, keep)
   local e, n = mean(exact, keep)
   return n > 0 and { rows = n, exact = e, f1 = mean(f1, keep) } or nil
end

--- The best score and the threshold that gives it (the scripts' find_best_thresh): with every question answered
-- by "none" to begin with, answers are admitted in order of rising probability of having none. Equal ones are taken
-- in order of gold.
---@param gold ftpipe.gold_answers[]
---@param predicted table<string, string>
---@param scores number[]  of each question, without threshold
---@param no_answer table<string, number>
---@return number best     share
---@return number threshold
function M.best_threshold(gold, predicted, scores, no_answer)
   local order, current = {}, 0.0
   for i, question in ipairs(gold) do
      if not has_answer(question) then current = current + 1 end
      if predicted[question.id] ~= nil then order[#order + 1] = i end
   end
   table.sort(order, function(a, b)
      local x, y = no_answer[gold[a].id], no_answer[gold[b].id]
      if x ~= y then return x < y end
      return a < b
   end)
   local best, threshold = current, 0.0
   for _, i in ipairs(order) do
      local question = gold[i]
      if has_answer(question) then current = current + scores[i]
      elseif predicted[question.id] ~= "" then current = current - 1 end
      if current > best then best, threshold = current, no_answer[question.id] end
   end
   return #gold > 0 and best / #gold or 0.0, threshold
end

---@class ftpipe.answer_options
---@field no_answer table<string, number>? probability that a question has no answer; absent ones count as 0
---@field threshold number? above it a question counts as answered by "none"; 1 unless given
---@field version 1|2|nil    whose rules; nil: 2 where some question has no answer

--- Scores of a set of predictions.
---@param gold ftpipe.gold_answers[]
---@param predicted table<string, string> id -> answer; "" says that there is none
---@param opts ftpipe.answer_options?
---@return ftpipe.answer_scores
function M.score(gold, predicted, opts)
   opts = opts or {}
   local two = M.is_two(gold)
   if opts.version then two = opts.version == 2 end
   local exact, f1, missing = score_rows(gold, predicted, two)
   local out = { missing = missing }
   if two then
      local no_answer = setmetatable({}, { __index = function(_, id) return (opts.no_answer or {})[id] or 0.0 end })
      if opts.no_answer then
         out.best_exact, out.best_exact_threshold = M.best_threshold(gold, predicted, exact, no_answer)
         out.best_f1, out.best_f1_threshold = M.best_threshold(gold, predicted, f1, no_answer)
      end
      exact = apply(exact, gold, predicted, no_answer, opts.threshold or 1.0)
      f1 = apply(f1, gold, predicted, no_answer, opts.threshold or 1.0)
      local yes, no = {}, {}
      for i, question in ipairs(gold) do
         yes[i] = has_answer(question)
         no[i] = not yes[i]
      end
      out.has_answer, out.no_answer = part(exact, f1, yes), part(exact, f1, no)
   end
   out.exact, out.rows = mean(exact)
   out.f1 = mean(f1)
   out.per_row = { exact = exact, f1 = f1 }
   return out
end

return M
