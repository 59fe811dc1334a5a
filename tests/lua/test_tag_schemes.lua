-- tests/lua/test_tag_schemes.lua - models whose tags are BIOES, BILOU, IO, or in an order of their own: how they mark and find the
-- entities of data that were read as BIO.

local check = require "check"
local tagging = require "ftpipe.core.tagging"
local tensor = require "ftpipe.core.tensor"
local model = require "ftpipe.model"
local replace_head = require "ftpipe.step.replace_head"
local tags = require "ftpipe.tags"
local tasks = require "ftpipe.task"

local task = tasks.find "named_entities"
check.suite "tag schemes"

local DIR = "tests/fixtures/bert/token_classification"
local encoder = model.open(DIR)

local function rows_of(list)
   local rows = { texts = {}, words = {}, entities = {}, styles = {}, lines = {}, file = "f.conll" }
   for i, given in ipairs(list) do
      rows.texts[i], rows.words[i] = tagging.join(given.words)
      rows.entities[i], rows.styles[i], rows.lines[i] = given.entities, "spaced", 10 * i
   end
   return rows
end

local rows = rows_of {
   { words = { "Ana", "met", "Bo", "Li", "in", "New", "York", "City" },
      entities = { { 1, 1, "PER" }, { 3, 4, "PER" }, { 6, 8, "LOC" } } },
   { words = { "nobody", "came" }, entities = {} },
}
local data = task.encode({ train = rows }, encoder, { max_length = 64, stride = "auto" })

local function with(labels)
   return model.replace_head(model.open(DIR), { head = "token_classification", labels = labels, task = "named_entities" }, 1)
end

local schemes = {
   BIOES = { { "O", "B-LOC", "I-LOC", "E-LOC", "S-LOC", "B-PER", "I-PER", "E-PER", "S-PER" },
      "S-PER O B-PER E-PER O B-LOC I-LOC E-LOC O O" },
   BILOU = { { "B-PER", "I-PER", "L-PER", "U-PER", "B-LOC", "I-LOC", "L-LOC", "U-LOC", "O" },
      "U-PER O B-PER L-PER O B-LOC I-LOC L-LOC O O" },
   IO = { { "LOC", "O", "PER" }, "PER O PER PER O LOC LOC LOC O O" },
   IOE = { { "O", "I-PER", "E-PER", "I-LOC", "E-LOC" }, "E-PER O I-PER E-PER O I-LOC I-LOC E-LOC O O" },
   BIO = { { "I-PER", "B-PER", "I-LOC", "B-LOC", "O" }, "B-PER O B-PER I-PER O B-LOC I-LOC I-LOC O O" },
   more = { { "O", "B-LOC", "I-LOC", "B-MISC", "I-MISC", "B-PER", "I-PER" }, "B-PER O B-PER I-PER O B-LOC I-LOC I-LOC O O" },
}

for name, scheme in pairs(schemes) do
   check.test(name, function()
      local labels = scheme[1]
      local m = with(labels)
      task.adopt(m, data.labels, "it")
      local own = task.suited(m, data)
      local got = {}
      for i, k in ipairs(own.train.word_labels:table()) do got[i] = labels[k + 1] end
      check.equal(table.concat(got, " "), scheme[2])
      check.equal(own.train.token_labels:shape(), data.train.token_labels:shape())
      -- what is certain of these tags finds these entities
      local scores = tensor.new { #got, #labels }
      local flat = {}
      for i = 1, #got do
         for k = 1, #labels do flat[(i - 1) * #labels + k] = labels[k] == got[i] and -0.01 or -9 end
      end
      scores:copy(tensor.from(flat, { #got, #labels }))
      local rules, types = tags.rules(labels)
      local found = tagging.decode(scores, data.train.places.first, rules)
      for i, row in ipairs(rows.entities) do
         check.equal(#found[i], #row)
         for k, e in ipairs(row) do check.equal({ found[i][k][1], found[i][k][2], types[found[i][k][3]] }, e) end
      end
   end)
end

check.test("data_of_the_same_tags_are_taken_as_they_are", function()
   check.equal(rawequal(task.suited(with(data.labels), data), data), true)
end)

check.test("types_that_a_model_does_not_know_are_told", function()
   check.error_contains("it finds LOC, PERS, the data have 'PER' too; did you mean 'PERS'?", task.adopt,
      with { "O", "B-LOC", "I-LOC", "B-PERS", "I-PERS" }, data.labels, "it")
   check.error_contains("it has no tag O", task.adopt, with { "B-LOC", "B-PER" }, data.labels, "it")
   local stray = rows_of { { words = { "Ana" }, entities = { { 1, 1, "ORG" } } } }
   check.error_contains("f.conll:10: no training row has an entity of type 'ORG'", task.encode,
      { train = rows, test = stray }, encoder, { max_length = 64, stride = "auto" })
end)

check.test("a_kept_head_keeps_its_tags", function()
   local m = replace_head.run({ seed = 1 }, { on = with(schemes.BIOES[1]), labels = data },
      { task = "named_entities", head = "keep" })
   check.equal(m.options.labels, schemes.BIOES[1])
   check.is_true(m.options.kept)
end)

check.done()
