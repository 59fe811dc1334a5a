--- ftpipe score: scores of any system's predictions against gold data.
--
-- A task's unit is { summary, options, read(opts), score(gold, predictions, opts), text(result) }: what it takes beside
-- --gold and --predictions, how both are read, and what is said. A new one adds its file and one line here.

local sys = require "ftpipe.core.sys"
local json = require "ftpipe.core.json"
local failure = require "ftpipe.failure"

local tasks = { qa = "ftpipe.score.qa", ner = "ftpipe.score.ner", classification = "ftpipe.score.classification",
   multilabel = "ftpipe.score.multilabel", regression = "ftpipe.score.regression" }

local score = {
   summary = "Score a system's predictions",
   usage = "score TASK --gold FILE --predictions FILE [options]",
   details = [[
TASK is qa: answers to questions. --gold is SQuAD JSON (1.1 or 2.0), JSON Lines or a JSON array of
questions; --predictions is a JSON object { id: answer }, or what `ftpipe predict` writes as JSON
Lines. Exact match and F1 are those of SQuAD's official scripts: of 2.0 where some question has no
answer, else of 1.1.

TASK ner: entities. Both files are CoNLL columns (.conll, .txt, .tsv) with the tag in the last column,
and scores are seqeval's, default and strict; or one of them is JSON Lines with text and entities, as
`ftpipe predict` writes them.

TASK classification: labels. Both files are CSV, TSV, JSON Lines or JSON with the same rows in the
same order; the label is in the column label, and of --predictions in predicted_label, predicted or
label.

TASK multilabel: several labels for each row, in the column labels (delimited, or a JSON array).
TASK regression: numbers, in the column score. Of --predictions predicted_labels, predicted_score or
predicted come first.]],
   options = {
      { name = "gold", arg = "FILE", help = "data with the right answers" },
      { name = "predictions", arg = "FILE", help = "what a system says" },
      { name = "json", help = "scores as one JSON object, as shares from 0 to 1" },
      { name = "gold-column", arg = "NAME", help = "column of the right tags, labels or numbers" },
      { name = "predictions-column", arg = "NAME", help = "column of those predicted" },
      { name = "scheme", arg = "NAME", choices = { "IOB1", "IOB2", "IOE1", "IOE2", "IOBES", "BILOU" },
         help = "ner: what strict scores go by", default = "what the gold tags show" },
      { name = "no-answer", arg = "FILE", help = "qa: JSON object { id: probability that there is no answer }" },
      { name = "threshold", arg = "X", type = "number", default = "1",
         help = "qa: a question counts as unanswerable above this probability" },
   },
}

local function task_of(positional)
   local names = {}
   for name in pairs(tasks) do names[#names + 1] = name end
   table.sort(names)
   local name = positional[1]
   if not name then failure.raise("usage", "score needs a task: " .. table.concat(names, ", "), "ftpipe " .. score.usage) end
   if not tasks[name] then
      local near = sys.nearest(name, names)
      failure.raise("usage", ("there is no task '%s'%s"):format(name, near and ("; did you mean '%s'?"):format(near)
         or "; there is: " .. table.concat(names, ", ")))
   end
   if positional[2] then failure.raise("usage", ("score takes one task, got '%s' too"):format(positional[2])) end
   return require(tasks[name])
end

function score.run(opts, positional)
   local task = task_of(positional)
   for _, name in ipairs { "gold", "predictions" } do
      if not opts[name] then failure.raise("usage", "score needs --" .. name .. " FILE", "ftpipe " .. score.usage) end
   end
   local result = task.score(opts)
   sys.out(opts.json and json.encode(result) .. "\n" or task.text(result))
end

return score
