--- ftpipe predict with a model that answers questions.

local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"
local predict = require "ftpipe.predict_questions"

local command = {}

local function check(opts, positional)
   local function fail(message) failure.raise("usage", message, "give --question and --context, or --input FILE") end
   if positional[2] then fail(("%s answers questions"):format(positional[1])) end
   if opts.text then fail "--text goes with models that label texts" end
   if opts.pair then fail "--pair goes with models that label texts" end
   if opts.as then fail "--as goes with models that find entities" end
   if opts.format and opts.format ~= "json" and opts.format ~= "jsonl" then
      fail(("--format %s: questions are read from json (SQuAD's, too) and jsonl"):format(opts.format))
   end
   if opts.output and not opts.json and not opts.output:lower():find "%.jsonl?$" and not opts.output:lower():find "%.ndjson$" then
      fail(("%s: the output's format is not known by its name; end it with .jsonl or .json"):format(opts.output))
   end
end

-- The answer, then what else it might be.
local function table_of(p)
   local lines = { ("%5s  %-11s  %s"):format("score", "place", "answer") }
   local function row(score, place, answer)
      lines[#lines + 1] = ("%5.3f  %-11s  %s"):format(score, place, (answer:gsub("%c", " ")))
   end
   if p.answer == "" then row(p.score, "-", "(no answer)") end
   for _, b in ipairs(p.best) do row(b.score, ("%d-%d"):format(b.start, b.stop), b.text) end
   return table.concat(lines, "\n") .. "\n"
end

local function answer_one(answerer, opts)
   local rows = { ids = { "1" }, questions = { opts.question }, contexts = { opts.context }, lines = {}, file = "command line" }
   local p = answerer:answers(rows, opts.best or 5)[1]
   if not opts.json then return sys.out(table_of(p)) end
   sys.out(("{%s:%s,%s}\n"):format(json.encode "question", json.encode(opts.question), predict.additions(p, {})))
end

---@param model ftpipe.model
---@param opts table
---@param positional string[]
function command.run(model, opts, positional)
   check(opts, positional)
   local answerer = predict.open(model)
   if not opts.input then return answer_one(answerer, opts) end
   if opts.output then sys.catch_interrupts() end      -- so that no half-written file stays
   local progress <close> = require("ftpipe.progress").new { quiet = opts.quiet or not opts.output }
   answerer:stream { input = opts.input, output = opts.output, format = opts.format, encoding = opts.encoding,
      best = opts.best or 5, progress = progress }
   progress:finish()
end

return command
