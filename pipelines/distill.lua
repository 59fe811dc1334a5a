-- A small encoder from a large one. On unlabelled text the student learns the teacher's hidden states; on labelled rows it
-- learns the given labels and what the tuned teacher thinks of them, and is compared with the teacher.
--
--   ftpipe run pipelines/distill.lua --set teacher=DIR --set from=TEXTS --out small
--   ftpipe run pipelines/distill.lua --set teacher=DIR --set from=TEXTS --set data=reviews.csv
--   ftpipe run pipelines/distill.lua --set teacher=DIR --set from=TEXTS --set keep=1,6 --set inner=672 --set vocabulary=8900
--   ftpipe run pipelines/distill.lua --set teacher=DIR --set student=DIR --set data=reviews.csv     (labelled rows alone)

local ft = require "ftpipe"

local p = ft.params {
   teacher    = { type = "path", required = true, help = "encoder directory" },
   student    = { type = "path", help = "encoder directory; otherwise a new one is made" },
   keep       = { type = "list", help = "or cut the student from the teacher: the layers that stay, from 1 on" },
   tokens     = { type = "path", help = "file with the teacher's tokens that the cut student may keep, one a line" },
   inner      = { type = "integer", min = 1, help = "channels of its feed-forward blocks" },
   embedding  = { type = "integer", min = 3, help = "channels of its embeddings; it is then an ELECTRA" },
   from       = { type = "list", help = "files and folders of unlabelled text" },
   format     = { default = "auto", choices = { "auto", "lines", "paragraphs", "doc", "csv", "tsv", "jsonl", "json" },
                  help = "where a document ends" },
   columns    = { default = { "text" }, help = "columns of unlabelled tables" },
   vocabulary = { default = 8000, min = 100, help = "tokens of a new student" },
   alphabet   = { default = 1000, min = 1, help = "characters that a new vocabulary keeps" },
   hidden     = { default = 256, min = 1 },
   layers     = { default = 4, min = 1 },
   heads      = { default = 4, min = 1 },
   positions  = { default = 512, min = 3, help = "tokens of the longest row that a new student can read" },
   length     = { default = 128, min = 3, help = "unlabelled texts are cut here, in tokens" },
   valid      = { default = 0.01, min = 0, max = 0.5, help = "share of the documents that is held out" },
   distill_lr = { default = 5e-4, min = 0 },
   distill_batch = { default = 64, min = 1, help = "texts of an update" },
   distill_epochs = { default = 3, min = 1 },
   updates    = { type = "integer", min = 1, help = "stop distillation after so many" },
   evaluations = { default = 20, min = 1, help = "how often held-out text is scored" },
   precision  = { default = "f32", choices = { "auto", "f32", "bf16" }, help = "of the products of distillation" },
   weights    = { default = "f32", choices = { "f32", "f16", "bf16" }, help = "how the model's files store them" },
   data       = { type = "path", help = "labelled rows, split 80/10/10" },
   train      = { type = "path", help = "or one file for each split" },
   valid_file = { type = "path" },
   test       = { type = "path" },
   text       = { default = { "text" } },
   label      = { default = "label" },
   map        = { type = "map", help = "rename or drop labels: 1:neg,2:neg,4:pos,5:pos" },
   pool       = { default = "mean", choices = { "auto", "pooler", "cls", "mean" }, help = "what the heads read" },
   lr         = { default = "auto", min = 0 }, head_lr = { default = "auto", min = 0 },
   epochs     = { type = "integer", default = "auto", min = 1 }, head_epochs = { type = "integer", default = "auto", min = 1 },
   soft_weight = { default = 0.5, min = 0, max = 1, help = "of the teacher's opinion in the student's loss" },
   temperature = { default = 2.0, min = 0.1, help = "of that opinion" },
   compare    = { default = false, help = "also tune the student without the teacher's opinion" },
}

local teacher = ft.pretrained { name = "teacher", from = p.teacher }

local function texts(t)
   t.from, t.format, t.text = p.from, p.format, p.columns
   return t
end

local student
if p.student then
   student = ft.pretrained { name = "student", from = p.student }
elseif p.keep then
   student = ft.shrink { name = "student", on = teacher, layers = p.keep, inner = p.inner, embedding = p.embedding,
                         vocabulary = p.vocabulary, tokens = p.tokens, positions = p.positions }
else
   if not p.from then error("a new student needs unlabelled text: --set from=FILES (or --set student=DIR)", 0) end
   local words = ft.vocabulary(texts { size = p.vocabulary, limit_alphabet = p.alphabet })
   student = ft.new_encoder { name = "student", vocabulary = words, hidden = p.hidden, layers = p.layers, heads = p.heads,
                              positions = p.positions }
end

if not (p.from or p.data or p.train) then
   error("a student learns from unlabelled text (--set from=FILES), labelled rows (--set data=FILE), or both", 0)
end

local small = student
if p.from then
   local function corpus(name, with)
      return ft.corpus(texts { name = name, with = with, length = p.length, apart = true, valid = p.valid })
   end
   small = ft.distill { student = student, teacher = teacher, data = corpus("texts", student),
                        teacher_data = corpus("teacher_texts", teacher), lr = p.distill_lr, batch = p.distill_batch,
                        epochs = p.distill_epochs, updates = p.updates, evaluations = p.evaluations,
                        precision = p.precision, dropout = 0 }
end
if not (p.data or p.train) then return ft.pipeline { name = "distill", api = 1, seed = 1, model = small, weights = p.weights } end

local rows = ft.split { rows = ft.read { from = p.data, train = p.train, valid = p.valid_file, test = p.test, text = p.text,
                                         label = p.label, map = p.map } }

local function two_stages(name, on, data, soft)
   local fresh = ft.replace_head { on = on, labels = data, pool = p.pool }
   local head  = ft.finetune     { name = name .. "_head", model = fresh, data = data, freeze = "loaded", lr = p.head_lr,
                                   epochs = p.head_epochs }
   return ft.finetune            { name = name, model = head, data = data, soft = soft, soft_weight = p.soft_weight,
                                   temperature = p.temperature, lr = p.lr, epochs = p.epochs }
end

local teacher_rows = ft.tokenize    { name = "teacher_rows", rows = rows, with = teacher }
local student_rows = ft.tokenize    { name = "student_rows", rows = rows, with = student }
local tuned        = two_stages("tuned_teacher", teacher, teacher_rows)
local opinion      = ft.soft_labels { teacher = tuned, data = teacher_rows }
local pupil        = two_stages("tuned_student", small, student_rows, opinion)
local models       = { student = pupil, teacher = tuned }
if p.compare then models.alone = two_stages("alone", small, student_rows) end

return ft.pipeline {
   name = "distill", api = 1, seed = 1,
   model  = pupil, weights = p.weights,
   report = ft.evaluate { data = student_rows, models = models, tuned = "student", cost = true },
}
