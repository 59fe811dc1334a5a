-- tests/lua/step_cases.lua - every step kind on fixed small inputs, for test_step_versions.lua.
--
-- cases(dir) runs them with files below dir and gives { { kind, name, value } }. Each kind gets what the kinds before it gave, so
-- that nothing comes from elsewhere: vocabulary and weights are made here too.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local cache = require "ftpipe.cache"
local remote = require "ftpipe.remote"
local steps = require "ftpipe.step"
local training = require "ftpipe.training"

local SEED = 7

local function write(path, text)
   assert(fs.write(path, text))
   return path
end

-- ==== Files ====

local things, verdicts = { "kettle", "lamp", "tent", "chair", "radio", "bottle" }, { "superb", "flimsy", "useless", "lovely" }

local function reviews(n)
   local lines = { "text,label,product,stars" }
   for i = 1, n do
      local thing, word = things[i * 7 % 6 + 1], verdicts[i * 5 % 4 + 1]
      lines[#lines + 1] = ('"My %s number %d is %s, and I said so to the shop, twice.",%s,%s,%d'):format(thing, i * 37 % 101, word,
         (word == "superb" or word == "lovely") and "pos" or "neg", thing, i % 5 + 1)
   end
   return table.concat(lines, "\n") .. "\n"
end

local function topics(n)
   local lines = { "text,labels" }
   for i = 1, n do
      local sets = { "praise", "blame;sound", "", "praise;sound" }
      lines[#lines + 1] = ("the %s of row %d is %s,%s"):format(things[i * 5 % 6 + 1], i, verdicts[i % 4 + 1], sets[i * 3 % 4 + 1])
   end
   return table.concat(lines, "\n") .. "\n"
end

local function columns(n)
   local out = {}
   for i = 1, n do
      out[#out + 1] = ("Ana B-PER\nBelic I-PER\nsold O\nthe O\n%s O\nin O\n%s B-LOC\n. O\n"):format(things[i % 6 + 1],
         i % 2 == 0 and "Porto" or "Lisbon")
   end
   return table.concat(out, "\n")
end

local function questions(n)
   local paragraphs = json.array {}
   for i = 1, n do
      local thing = things[i % 6 + 1]
      local context = ("The shop of row %d sold the %s to Ana in Porto, and it was %s."):format(i, thing, verdicts[i % 4 + 1])
      paragraphs[i] = { context = context, qas = json.array {
         { id = "a" .. i, question = "Who bought the " .. thing .. "?",
            answers = json.array { { text = "Ana", answer_start = context:find("Ana", 1, true) - 1 } } },
         { id = "b" .. i, question = "What did it cost?", answers = json.array {}, is_impossible = true } } }
   end
   return json.encode { data = json.array { { title = "shop", paragraphs = paragraphs } } }
end

-- A tar archive (POSIX ustar) of { { name, text } }.
local function tar(members)
   local parts = {}
   local function padded(bytes, size) return bytes .. ("\0"):rep(size - #bytes) end
   for i, member in ipairs(members) do
      local name, text = member[1], member[2]
      local function block(sum)
         return padded(padded(name, 100) .. padded(("%07o\0%07o\0%07o\0%011o\0%011o\0%s0"):format(420, 0, 0, #text, 0, sum), 157)
            .. "ustar\00000", 512)
      end
      local total, unsigned = 0, block((" "):rep(8))
      for k = 1, 512 do total = total + unsigned:byte(k) end
      parts[i] = block(("%06o\0 "):format(total)) .. padded(text, #text + -#text % 512)
   end
   return table.concat(parts) .. ("\0"):rep(1024)
end

-- The texts of a file, or of all files below a folder, by name.
local function texts(path, prefix, out)
   out, prefix = out or {}, prefix or ""
   if fs.stat(path) == "file" then out[prefix .. path:match "[^/]*$"] = assert(fs.read(path)) end
   for _, name in ipairs(fs.stat(path) == "directory" and fs.list(path) or {}) do
      local inner = path .. "/" .. name
      texts(inner, fs.stat(inner) == "directory" and prefix .. name .. "/" or prefix, out)
   end
   return out
end

-- ==== Running ====

-- A step's parameters: defaults, and what is said.
local function params_of(unit, said)
   local out = {}
   for name, spec in pairs(unit.params) do out[name] = spec.default end
   for name, value in pairs(said or {}) do out[name] = value end
   return out
end

local function context(dir, kind)
   local ctx = training.context { seed = SEED, step = kind, dir = nil, interval = math.huge }
   ctx.dir = dir .. "/" .. kind
   assert(fs.mkdirs(ctx.dir))
   function ctx.place() return ctx.dir end
   function ctx.say() end
   function ctx.settled() end
   function ctx.card() end
   function ctx:own(m)
      local mine = m:copy()
      mine.attach = function(_, optimiser) self:attach(mine, optimiser) end
      return mine
   end
   ctx.checkpoint = function() end
   return ctx
end

return function(dir)
   local out = {}
   local function run(kind, name, inputs, said)
      local unit = steps[kind]
      local ctx = context(dir, ("%s-%d"):format(kind, #out))
      local value = unit.run(ctx, inputs or {}, params_of(unit, said))
      if unit.trains then value.history, value.attach = ctx.history, nil end
      out[#out + 1] = { kind = kind, name = name, value = value }
      return value
   end

   -- rows
   local csv = write(dir .. "/reviews.csv", reviews(48))
   local rows = run("read", "labels", {}, { from = csv, keep = { "product" } })
   local sets = run("read", "sets of labels", {}, { task = "multi_label", from = write(dir .. "/topics.csv", topics(32)),
      label = "labels" })
   local stars = run("read", "numbers", {}, { task = "regression", from = csv, label = "stars" })
   local names = run("read", "entities", {}, { task = "named_entities", from = write(dir .. "/names.conll", columns(24)) })
   local asked = run("read", "questions", {}, { task = "question_answering", from = write(dir .. "/asked.json", questions(16)) })
   local bare = run("read", "without labels", {}, { from = csv, labelled = false })
   local halves = { valid = 0.2, test = 0.2 }
   local parts = run("split", "labels", { rows = rows }, halves)
   run("split", "by a column", { rows = rows }, { valid = 0.2, test = 0.2, group = "product" })
   local set_parts = run("split", "sets of labels", { rows = sets }, halves)
   local star_parts = run("split", "numbers", { rows = stars }, halves)
   local name_parts = run("split", "entities", { rows = names }, halves)
   local asked_parts = run("split", "questions", { rows = asked }, halves)
   run("folds", "labels", { rows = rows }, { folds = 3, fold = 2 })
   run("folds", "by a column", { rows = rows }, { folds = 3, fold = 1, group = "product" })
   local some = run("sample", "labels", { rows = rows }, { share = 0.5, split = "all" })
   run("sample", "questions", { rows = asked }, { n = 8, split = "all" })
   run("filter", "a function", { rows = parts }, { keep = function(row) return row.line % 3 ~= 0 and row.product ~= "tent" end })
   run("map", "a function", { rows = rows }, { with = function(row)
      row.text = row.text:upper()
      return row.line % 5 ~= 0 and { row, row } or nil
   end })
   run("concat", "labels", { rows = { a = parts, b = some } }, { into = "train" })
   run("concat", "questions", { rows = { asked, asked } })
   run("dedupe", "labels", { rows = parts }, { near = 0.95 })
   local twice = run("concat", "rows twice", { rows = { a = parts, b = rows } }, { into = "train" })
   run("dedupe", "within a split", { rows = twice }, { near = 0, across = false })

   -- unlabelled text
   local text = {}
   for line in (reviews(48) .. columns(24):gsub(" [%u-]+\n", " ") .. questions(6)):gmatch "[^\n]+" do text[#text + 1] = line end
   local corpus_file = write(dir .. "/corpus.txt", table.concat(text, "\n") .. "\n")
   local words = run("vocabulary", "words", {}, { from = { corpus_file }, size = 220, format = "lines" })
   local blank = run("new_encoder", "BERT", { vocabulary = words }, { hidden = 16, layers = 2, heads = 2, positions = 400 })
   local function packed(name, said)
      said.from, said.format, said.length = { corpus_file }, "lines", 24
      return run("corpus", name, { with = blank }, said)
   end
   local corpus, apart = packed("full windows", { valid = 0.2 }), packed("texts apart", { apart = true })
   local few = { batch = 8, epochs = 1, lr = 1e-3, updates = 6 }
   local masked = run("replace_head", "masked words", { on = blank }, { task = "masked_lm" })
   run("pretrain", "masked words", { model = masked, data = corpus }, few)
   few.whole_word = true
   run("pretrain", "whole words", { model = masked, data = corpus }, few)
   few.whole_word = nil
   local small = run("shrink", "one layer of fewer channels", { on = blank }, { layers = { 2 }, inner = 24 })
   run("distill", "hidden states", { student = small, teacher = blank, data = apart, teacher_data = apart }, few)

   -- tasks
   local function tuned(task, from, said)
      local data = run("tokenize", task, { rows = from, with = blank }, said)
      local fresh = run("replace_head", task, { on = blank, labels = data }, { task = task })
      local model = run("finetune", task, { model = fresh, data = data }, { batch = 8, epochs = 1, lr = 5e-4 })
      run("evaluate", task, { data = data, models = { two = model, head = fresh } }, { resamples = 100 })
      return model, data, fresh
   end
   local model, data, fresh = tuned("classification", parts, { max_length = 16, long = "windows", stride = 4 })
   run("tokenize", "as long as the encoder allows", { rows = parts, with = blank })
   run("tokenize", "questions as long as the encoder allows", { rows = asked_parts, with = blank })
   run("tokenize", "head and tail", { rows = parts, with = blank }, { max_length = 16, long = "head+tail" })
   run("finetune", "a frozen encoder", { model = fresh, data = data }, { batch = 8, epochs = 2, lr = 1e-2, freeze = "loaded" })
   local soft = run("soft_labels", "classification", { teacher = model, data = data })
   run("finetune", "soft labels", { model = fresh, data = data, soft = soft }, { batch = 8, epochs = 1, lr = 1e-3 })
   run("predict", "classification", { model = model, rows = bare })
   run("predict", "sets of labels", { model = (tuned("multi_label", set_parts, { max_length = 32 })), rows = sets })
   run("predict", "numbers", { model = (tuned("regression", star_parts, { max_length = 32 })), rows = stars })
   run("predict", "entities", { model = (tuned("named_entities", name_parts, { max_length = 12 })), rows = names })
   run("predict", "questions", { model = (tuned("question_answering", asked_parts, { max_length = 24 })), rows = asked })

   -- files
   run("pretrained", "a published encoder", {}, { from = "tests/fixtures/bert/three_layers" })

   -- from elsewhere: a store of their own has what an address gave, so that nothing is asked of a network
   local function files(kind, name, inputs, said)
      local value = run(kind, name, inputs, said)
      out[#out].value = texts(value.path)
      return value
   end
   local users = cache.directory
   cache.directory = function() return dir .. "/store" end
   local url, archive = "https://example.org/sets/reviews.tar", tar {
      { "reviews/train.csv", reviews(8) }, { "reviews/notes/a.txt", "one\n" }, { "reviews/notes/b.txt", "two\n" } }
   local digest = fs.sha256(archive)
   local place = ("%s/%s/%s"):format(remote.store(), digest:sub(1, 2), digest)
   assert(fs.mkdirs(place))
   write(place .. "/reviews.tar", archive)
   remote.note(url, digest, #archive)
   local fetched = files("download", "what an address gave", {}, { url = url })
   files("download", "by digest, from a mirror", {}, { url = { "https://example.org/other.tar", url }, sha256 = digest })
   files("extract", "all", { from = fetched })
   files("extract", "a member", { from = fetched }, { member = "reviews/train.csv" })
   files("extract", "a folder of a file", {}, { from = write(dir .. "/own.tar", archive), member = "reviews/notes" })
   cache.directory = users
   return out
end
