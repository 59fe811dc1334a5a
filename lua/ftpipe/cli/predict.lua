--- ftpipe predict: labels or entities of texts on the command line or of the rows of a file, or answers to questions.

local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"
local machine = require "ftpipe.cli.machine"

local predict = {
   summary = "Predict labels, entities or answers with a tuned model",
   usage = "predict MODEL (TEXT... | --question Q --context C | --input FILE) [options]",
   details = [[
MODEL is a model directory, or the directory of a run that holds one.

Texts given as arguments are answered by a table, or with --json by one object a line: text, label,
score (the label's probability) and probabilities.

A file is CSV, TSV, JSON Lines, JSON or lines of text, known by its extension; FILE may also be a pattern
('new/*.csv') or a folder of texts (*.txt, also in folders below), which become rows with file and text. Standard input (-) is
lines of text, or JSON Lines if it begins with "{", unless --format says otherwise. Its rows keep
their order and columns and get label, score and prob_LABEL for every label; in JSON Lines label,
score and the object probabilities. A name that is there already becomes predicted_NAME. The
output's format follows the extension of --output, else the input; lines of text become CSV. At
--output nothing appears unless every row could be read.

A model whose labels do not exclude each other adds labels (a list; in tables one cell) and the
probabilities of all labels; one that gives numbers adds score alone.

A model that finds entities shows the text with them marked, and label, score (the mean probability of
its words' tags), place (characters of the text, from 0) and text of each; with --json, and for files,
the list entities with start, end, label, text and score. Its files may also be CoNLL columns, or what
doccano, Label Studio or Prodigy export (--format); --as writes those with what was found as
pre-annotations, or text with entities marked.

A model that answers questions takes --question and --context, or a file in SQuAD JSON, JSON Lines or
a JSON array with question, context and, if there is one, id. It answers in JSON Lines: answer (empty
where there is none), start and end (characters of the context, from 0), score (its probability),
no_answer (the probability that there is none) and best (the --best most probable answers). An
--output that ends with .json gets { id: answer }, as SQuAD's scripts read it.]],
   options = machine.with {
      { name = "input", arg = "FILE", help = "rows to predict, - for standard input" },
      { name = "output", arg = "FILE", help = "where they go with their labels", default = "standard output" },
      { name = "json", help = "answer in JSON Lines" },
      { name = "format", arg = "NAME", choices = { "csv", "tsv", "jsonl", "json", "lines", "conll", "doccano", "labelstudio",
         "prodigy" }, help = "format of the input" },
      { name = "as", arg = "NAME", choices = { "conll", "doccano", "jsonl", "labelstudio", "prodigy", "text" },
         help = "entities: format of the output" },
      { name = "delimiter", arg = "C", help = "between the columns of CSV and TSV: one character, or tab" },
      { name = "quote", arg = "C", help = "of CSV and TSV: one character, or none" },
      { name = "encoding", arg = "NAME", choices = { "auto", "utf-8", "utf-16", "utf-16le", "utf-16be", "latin-1" },
         help = "of the input", default = "UTF-16 where its mark is, else UTF-8" },
      { name = "text", arg = "A,B", help = "columns that hold the text", default = "those the model was trained on" },
      { name = "pair", arg = "TEXT|A,B", help = "second text of a single one; of files, the columns that hold it" },
      { name = "question", arg = "TEXT", help = "a question" },
      { name = "context", arg = "TEXT", help = "the text that holds its answer" },
      { name = "best", arg = "N", type = "integer", min = 1, max = 20, help = "answers of each question", default = "5" },
      { name = "precision", arg = "P", choices = { "auto", "f32", "bf16" }, default = "as it was trained",
         help = "of the operands of matrix products; auto: bf16 where the processor has it" },
      { name = "batch-rows", arg = "N", type = "integer", min = 1, max = 1000000,
         help = "rows that are sorted by length and computed together", default = "1024" },
   },
}

local function check(opts, positional)
   local function fail(message) failure.raise("usage", message, "ftpipe " .. predict.usage) end
   if not positional[1] then fail "predict needs a model" end
   local asks = opts.question or opts.context
   if asks and not (opts.question and opts.context) then fail "--question and --context go together" end
   if opts.input and positional[2] then fail "give either texts or --input, not both" end
   if asks and (opts.input or positional[2]) then fail "give either --question and --context, or texts, or --input" end
   if not opts.input and not positional[2] and not asks then
      fail "there is nothing to predict: give texts, --question and --context, or --input FILE"
   end
   for _, name in ipairs { "output", "format", "as", "text", "delimiter", "quote", "encoding", "batch_rows" } do
      if opts[name] and not opts.input then fail(("--%s goes with --input"):format(name:gsub("_", "-"))) end
   end
   for _, name in ipairs { "question", "context" } do
      if opts[name] and not utf8.len(opts[name]) then fail(("--%s is not UTF-8"):format(name)) end
      if opts[name] and not opts[name]:find "%S" then fail(("--%s is empty"):format(name)) end
   end
   for _, name in ipairs { "input", "output", "text", "pair" } do
      if opts[name] and not opts[name]:find "[^,]" then fail(("--%s is empty"):format(name)) end
   end
   for i = 2, #positional do
      if not utf8.len(positional[i]) then fail(("text %d is not UTF-8"):format(i - 1)) end
   end
end

local function list(text)
   local out = {}
   for name in text:gmatch "[^,]+" do out[#out + 1] = name end
   return out
end

local function table_of(predictor, texts, all)
   local shorten = require("ftpipe.report").shorten
   local width = sys.terminal() or 100
   local labels, longest = {}, 5
   for i, p in ipairs(all) do
      local label, score = predictor:best(p)
      labels[i] = { label, score }
      longest = math.max(longest, utf8.len(label) or #label)
   end
   local function line(label, score, text)
      if predictor.numbers then return ("%8s  %s\n"):format(score, text) end
      score = score ~= "" and score .. "  " or ""
      return label .. (" "):rep(longest - (utf8.len(label) or #label)) .. "  " .. score .. text .. "\n"
   end
   local out = { line(predictor.thresholds and "labels" or "label", predictor.thresholds and "" or "score", "text") }
   for i, text in ipairs(texts) do
      local shown, score = text:gsub("%c", " "), labels[i][2]
      out[i + 1] = line(labels[i][1], score and ("%.3f"):format(score) or "", shorten(shown, math.max(20, width - longest - 10)))
   end
   return table.concat(out)
end

-- The second texts of single ones, where the model reads pairs.
local function seconds_of(predictor, texts, opts)
   if predictor.pair and not opts.pair then
      failure.raise("usage", "this model labels pairs of texts", "give the second one with --pair TEXT, or --input FILE")
   end
   if not opts.pair then return nil end
   if #texts ~= 1 then failure.raise("usage", "--pair TEXT goes with one text; for more give --input FILE") end
   return { opts.pair }
end

local function predict_texts(predictor, texts, opts)
   local all = predictor:probabilities(texts, seconds_of(predictor, texts, opts))
   if not opts.json then
      sys.out(table_of(predictor, texts, all))
      return
   end
   for i, text in ipairs(texts) do sys.out(predictor:json(text, all[i]) .. "\n") end
end

local function predict_file(predictor, opts)
   if opts.output then sys.catch_interrupts() end      -- so that no half-written file stays
   local progress <close> = require("ftpipe.progress").new { quiet = opts.quiet }
   local total = predictor:stream { input = opts.input, output = opts.output, json = opts.json, format = opts.format,
      text = opts.text and list(opts.text), delimiter = opts.delimiter, quote = opts.quote, encoding = opts.encoding,
      batch_rows = opts.batch_rows, progress = progress }
   progress:finish()
   if total.cut > 0 and not opts.quiet then
      sys.err(("%d of %d texts are longer than %d tokens and were cut\n"):format(total.cut, total.rows,
         predictor.max_length))
   end
end

local predictors = { regression = "ftpipe.predict_values", multi_label = "ftpipe.predict_label_sets" }
local entity_formats = { conll = true, doccano = true, labelstudio = true, prodigy = true }

function predict.run(opts, positional)
   check(opts, positional)
   machine.apply(opts)
   local loader = require "ftpipe.predict"
   require("ftpipe.sandbox.step").enter_for_model(loader.directory(positional[1]), opts.input, opts.output)
   local model = loader.load(positional[1])
   if opts.precision then model:compute_in(require("ftpipe.step.finetune").precision_of(opts.precision)) end
   if model.options.task == "question_answering" then
      return require("ftpipe.cli.predict_questions").run(model, opts, positional)
   end
   if opts.question or opts.best then
      failure.raise("usage", ("%s answers no questions: its head is '%s'"):format(positional[1], model.head_unit.name),
         "give texts, or --input FILE")
   end
   if model.options.task == "named_entities" then
      return require("ftpipe.cli.predict_entities").run(model, opts, positional)
   end
   if opts.as or entity_formats[opts.format] then
      failure.raise("usage", ("%s finds no entities: its head is '%s'"):format(positional[1], model.head_unit.name),
         "--as and these formats go with models that do")
   end
   local kind = predictors[model.options.task] or "ftpipe.predict"
   local predictor = require(kind).open(model)
   if opts.input and opts.pair then predictor.pair = list(opts.pair) end
   if opts.input then predict_file(predictor, opts)
   else predict_texts(predictor, table.move(positional, 2, #positional, 1, {}), opts) end
end

return predict
