--- ft.vocabulary: a WordPiece vocabulary learnt from unlabelled text, for an encoder that is trained from scratch.
--
-- Gives { dir, tokenizer, report }; the tokeniser's files lie in dir, in the store.

local failure = require "ftpipe.failure"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local text = require "ftpipe.core.text"
local unlabelled = require "ftpipe.unlabelled"
local vocabulary = require "ftpipe.vocabulary"

local step = { kind = "vocabulary", version = 1, exact = true, seedless = true, streams = true, inputs = {} }

step.params = {
   from = { type = "list", required = true, help = "files and folders" },
   format = { type = "string", default = "auto", choices = unlabelled.formats },
   text = { type = "list", default = { "text" }, help = "columns of tables" },
   encoding = { type = "string", choices = unlabelled.encodings,
      help = "of the files; nothing said: UTF-16 where its mark is, else UTF-8" },
   size = { type = "integer", default = 8000, min = 100, help = "tokens" },
   lowercase = { type = "boolean", default = true },
   min_frequency = { type = "integer", default = 2, min = 1, help = "of a pair of pieces that is joined" },
   limit_alphabet = { type = "integer", default = 1000, min = 1, help = "characters that are kept" },
   min_word_count = { type = "integer", default = 1, min = 1, help = "words less frequent are not learnt from" },
}

function step.files(params) return unlabelled.files(params.from) end

-- One text a call, for the counter.
local function texts_of(params)
   return coroutine.wrap(function()
      for _, path in ipairs(unlabelled.files(params.from)) do
         unlabelled.each(path, params, function(piece) if piece then coroutine.yield(piece) end end)
      end
   end)
end

local function train(ctx, dir, params)
   if ctx.progress then ctx.progress:stage(ctx.step .. ": words", 1) end
   local report = vocabulary.train { dir = dir, texts = texts_of(params), size = params.size, lowercase = params.lowercase,
      min_frequency = params.min_frequency, limit_alphabet = params.limit_alphabet, min_word_count = params.min_word_count }
   ctx:say(("%s: %d tokens from %d words, %d of them different"):format(ctx.step, report.size, report.words, report.distinct))
   return report
end

local function artifact_in(dir, report)
   dir = dir .. "/tokenizer"
   return { dir = dir, tokenizer = failure.try("data", text.load(dir)), report = report }
end

function step.save(dir, learnt)
   failure.try("system", fs.write(dir .. "/vocabulary.json", json.encode(learnt.report)))
   return { type = "files", shared = {} }
end

function step.load(dir) return artifact_in(dir, json.decode(failure.try("data", fs.read(dir .. "/vocabulary.json")))) end

function step.run(ctx, _, params)
   local dir = ctx:place()
   return artifact_in(dir, train(ctx, dir .. "/tokenizer", params))
end

return step
