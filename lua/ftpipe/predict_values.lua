--- Numbers that a tuned model gives to texts or pairs of texts: ftpipe.predict with a score instead of labels.

local predict = require "ftpipe.predict"
local scoring = require "ftpipe.scoring"

local values = {}

local predictor = setmetatable({}, { __index = predict.predictor })
predictor.__index = predictor
predictor.numbers = true      -- there are no labels to show

--- From a loaded model.
---@param model ftpipe.model
function values.open(model) return setmetatable(predict.open(model), predictor) end

predictor.scores = scoring.values

local function number(x) return ("%.6g"):format(x) end

function predictor:additions(x, taken) return ("%s:%s"):format(predict.free("score", taken), number(x)) end

function predictor:added_columns() return { "score" } end

function predictor:added_cells(x) return { number(x) } end

--- For tables: no label.
function predictor:best(x) return "", x end

return values
