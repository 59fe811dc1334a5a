--- Numbers that a tuned model gives to texts or pairs of texts: ftpipe.predict with a score instead of labels.

local failure = require "ftpipe.failure"
local predict = require "ftpipe.predict"
local scoring = require "ftpipe.scoring"

local values = {}

local predictor = setmetatable({}, { __index = predict.predictor })
predictor.__index = predictor
predictor.numbers = true      -- there are no labels to show

--- From a loaded model.
---@param model ftpipe.model
function values.open(model) return setmetatable(predict.open(model), predictor) end

--- The number of each text (with its second one), and how many texts were cut.
---@param texts string[]
---@param seconds string[]?
---@return number[] values, integer cut
function predictor:probabilities(texts, seconds)
   local tokens, full = self.model.tokenizer:encode_all(texts, seconds, { max_length = self.max_length })
   if not tokens then failure.raise("data", full) end
   local out, cut = scoring.values(self.model, tokens), 0
   tokens:close()
   for _, n in ipairs(full) do if n > self.max_length then cut = cut + 1 end end
   return out, cut
end

local function number(x) return ("%.6g"):format(x) end

function predictor:additions(x, taken) return ("%s:%s"):format(predict.free("score", taken), number(x)) end

function predictor:added_columns() return { "score" } end

function predictor:added_cells(x) return { number(x) } end

--- For tables: no label.
function predictor:best(x) return "", x end

return values
