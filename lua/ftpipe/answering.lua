--- Answers over windows: from start and end logits of every window to one ranked list of spans for each question.
--
-- A span's score is the sum of its start and end logit, so scores of different windows compare; the same place found in
-- two windows counts once, with the better score. That a question has no answer scores as [CLS] at both ends, the lowest
-- over its windows (Devlin et al. 2019, section 4.3): a window without the answer says so for itself only.

local nn = require "ftpipe.nn"
local scoring = require "ftpipe.scoring"
local training = require "ftpipe.training"

local answering = {}

answering.BEST = 20       -- spans that are kept for each question
answering.LONGEST = 30    -- tokens of a span

---@class ftpipe.spans
---@field [integer] { [1]: integer, [2]: integer, [3]: number } code points [begin, end) of the context, from 0, and score
---@field null number score of "no answer"

local function better(a, b)
   if a[3] ~= b[3] then return a[3] > b[3] end
   if a[1] ~= b[1] then return a[1] < b[1] end
   return a[2] < b[2]
end

-- Spans of one more window of a question.
local function merge(into, spans)
   into.null = math.min(into.null, spans.null)
   local known = {}
   for _, span in ipairs(into) do known[span[1] << 32 | span[2]] = span end
   for _, span in ipairs(spans) do
      local same = known[span[1] << 32 | span[2]]
      if not same then into[#into + 1] = span
      elseif span[3] > same[3] then same[3] = span[3] end
   end
   table.sort(into, better)
   for i = #into, answering.BEST + 1, -1 do into[i] = nil end
end

--- The best spans of every question of a split, and the loss of each window where the split has targets.
---@param model ftpipe.model
---@param split { tokens: userdata, windows: userdata, rows: table, targets: table? }
---@param features table?
---@return ftpipe.spans[] spans, number[] losses
function answering.spans(model, split, features)
   local out, losses = {}, {}
   for row = 1, #split.rows.questions do out[row] = { null = math.huge } end
   scoring.each(model, split.tokens, features, function(index, logits, batch)
      for k, spans in ipairs(split.windows:best(index, logits, answering.BEST, answering.LONGEST)) do
         if spans.null ~= spans.null then scoring.fail_numeric(model, index[k]) end
         merge(out[split.windows:row(index[k])], spans)
      end
      if split.targets then
         local values = nn.mean(nn.row_cross_entropy(logits, training.targets(split.targets, index), batch), 2):tensor():table()
         for k, i in ipairs(index) do losses[i] = values[k] end
      end
   end)
   return out, losses
end

--- The text of a span.
---@param context string
---@param span { [1]: integer, [2]: integer }
function answering.text(context, span)
   return context:sub(utf8.offset(context, span[1] + 1), utf8.offset(context, span[2] + 1) - 1)
end

--- Probability that a question has no answer, as its score against that of the best span.
---@param spans ftpipe.spans
function answering.no_answer(spans)
   if not spans[1] then return 1.0 end
   return 1 / (1 + math.exp(spans[1][3] - spans.null))
end

--- Probabilities of the spans, which together with that of "no answer" (if it is `possible`) sum to 1.
---@param spans ftpipe.spans
---@param possible boolean
---@return number[] of the spans
---@return number of "no answer", 0 where it is not possible
function answering.probabilities(spans, possible)
   local top = math.max(possible and spans.null or -math.huge, spans[1] and spans[1][3] or -math.huge)
   local sum, out = possible and math.exp(spans.null - top) or 0.0, {}
   local none = sum
   for k, span in ipairs(spans) do
      out[k] = math.exp(span[3] - top)
      sum = sum + out[k]
   end
   for k = 1, #out do out[k] = out[k] / sum end
   return out, sum > 0 and none / sum or 0.0
end

return answering
