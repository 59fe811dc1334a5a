-- A small encoder from a large one: the student learns the teacher's hidden states on unlabelled text.
--
--   ftpipe run pipelines/distill.lua --set teacher=DIR --set from=TEXTS --out small
--   ftpipe run pipelines/distill.lua --set teacher=DIR --set student=DIR --set from=TEXTS     (goes on with that encoder)
--   ftpipe run pipelines/sentiment.lua --set model=small/model --set data=reviews.csv

local ft = require "ftpipe"

local p = ft.params {
   teacher    = { type = "path", required = true, help = "encoder directory" },
   student    = { type = "path", help = "encoder directory; otherwise a new one is made" },
   from       = { type = "list", required = true, help = "files and folders of unlabelled text" },
   format     = { default = "auto", choices = { "auto", "lines", "paragraphs", "doc", "csv", "tsv", "jsonl", "json" },
                  help = "where a document ends" },
   text       = { default = { "text" }, help = "columns of tables" },
   vocabulary = { default = 8000, min = 100, help = "tokens of a new student" },
   alphabet   = { default = 1000, min = 1, help = "characters that a new vocabulary keeps" },
   hidden     = { default = 256, min = 1 },
   layers     = { default = 4, min = 1 },
   heads      = { default = 4, min = 1 },
   positions  = { default = 512, min = 3, help = "tokens of the longest row that a new student can read" },
   length     = { default = 128, min = 3, help = "texts are cut here, in tokens" },
   valid      = { default = 0.01, min = 0, max = 0.5, help = "share of the documents that is held out" },
   lr         = { default = 5e-4, min = 0 },
   batch      = { default = 64, min = 1, help = "texts of an update" },
   epochs     = { default = 3, min = 1 },
   updates    = { type = "integer", min = 1, help = "stop after so many" },
   evaluations = { default = 20, min = 1, help = "how often held-out text is scored" },
   precision  = { default = "f32", choices = { "auto", "f32", "bf16" } },
}

local function source(t)
   t.from, t.format, t.text = p.from, p.format, p.text
   return t
end

local teacher = ft.pretrained { name = "teacher", from = p.teacher }
local student
if p.student then
   student = ft.pretrained { name = "student", from = p.student }
else
   local words = ft.vocabulary(source { size = p.vocabulary, limit_alphabet = p.alphabet })
   student = ft.new_encoder { name = "student", vocabulary = words, hidden = p.hidden, layers = p.layers, heads = p.heads,
                              positions = p.positions }
end

local function corpus(name, with)
   return ft.corpus(source { name = name, with = with, length = p.length, apart = true, valid = p.valid })
end

local small = ft.distill { student = student, teacher = teacher, data = corpus("texts", student),
                           teacher_data = corpus("teacher_texts", teacher), lr = p.lr, batch = p.batch, epochs = p.epochs,
                           updates = p.updates, evaluations = p.evaluations, precision = p.precision, dropout = 0 }

return ft.pipeline { name = "distill", api = 1, seed = 1, model = small }
