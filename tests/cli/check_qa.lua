-- tests/cli/check_qa.lua - metrics.json, ftpipe.json, config.json and predictions of a run of pipelines/qa.lua.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"

local dir = assert(arg[1])
local function read(name) return assert(json.decode(assert(fs.read(dir .. "/" .. name)))) end
local function want(value, what) if not value then error(what, 0) end end

local metrics = read "metrics.json"
want(metrics.rows == 66 and metrics.split == "test" and metrics.metric == "f1", "head of metrics.json")
for _, model in ipairs { "head", "two", "one" } do
   for split, rows in pairs { train = 259, valid = 60, test = 66 } do
      local s = metrics.models[model][split]
      want(s.rows == rows and s.exact >= 0 and s.exact <= s.f1 and s.f1 <= 1 and s.loss > 0, model .. " on " .. split)
      want(s.has_answer.rows + s.no_answer.rows == rows, "questions with and without answer")
   end
   want(metrics.models[model].test.interval.f1.low <= metrics.models[model].test.f1, "interval")
end
want(metrics.differences.two_one.f1 and metrics.differences.two_head.exact, "differences")
want(math.abs(metrics.baseline.test.f1 - 11 / 66) < 1e-12 and metrics.baseline.test.label == "no answer", "baseline")
local history = metrics.models.two.history
want(history[#history].loss < metrics.models.head.history[1].loss, "the training loss falls")

local own = read "model/ftpipe.json"
want(own.task == "question_answering" and own.head == "question_answering" and own.max_length == 96 and own.stride == 32,
   "ftpipe.json")
want(own.settings.no_answer_threshold >= 0 and own.settings.no_answer_threshold <= 1, "threshold")
want(own.settings.no_answer_threshold == metrics.threshold, "the threshold of the scores")
want(read "model/config.json".architectures[1] == "BertForQuestionAnswering", "architecture")

local n = 0
for _, answer in pairs(read "predictions.json") do
   want(type(answer) == "string", "an answer is text")
   n = n + 1
end
want(n == 66, "one answer for each question")
local rows = 0
for _ in assert(fs.read(dir .. "/predictions.csv")):gmatch "\n" do rows = rows + 1 end
want(rows == 67, "rows of predictions.csv")
