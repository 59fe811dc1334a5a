-- tests/lua/test_task_features.lua - stage one of every task: features of the frozen encoder, kept where they fit and computed
-- again where they do not, give the same head, and the log says which.

local check = require "check"
local model = require "ftpipe.model"
local entities = require "ftpipe.reading.entities"
local features = require "ftpipe.features"
local finetune = require "ftpipe.step.finetune"
local questions = require "ftpipe.reading.questions"
local tasks = require "ftpipe.task"
local training = require "ftpipe.training"

check.suite "features of tasks"

local DIR = "tests/fixtures/bert/token_classification/"

local function pick(rows, task, n)
   local columns = tasks.find(task).columns
   local out = { file = rows.file, lines = {} }
   for _, name in ipairs(columns) do out[name] = table.move(rows[name], 1, n, 1, {}) end
   return out
end

local function texts(labels)
   local rows = { texts = {}, labels = {}, lines = {}, file = "f" }
   for i = 1, 24 do
      rows.texts[i] = ("the %s in town %d"):format(i % 2 == 0 and "council" or "lamp", i)
      rows.labels[i], rows.lines[i] = labels(i), i
   end
   return rows
end

local all = {
   named_entities = pick(entities.read("pipelines/builtin/entities/test.txt", {}, error), "named_entities", 24),
   question_answering = pick(questions.read "pipelines/builtin/questions/test.json", "question_answering", 16),
   classification = texts(function(i) return i % 2 == 0 and "a" or "b" end),
   multi_label = texts(function(i) return i % 2 == 0 and { "a", "b" } or { "b" } end),
   regression = texts(function(i) return tostring(i / 10) end),
}

local function stage_one(task, data, m)
   local said, ctx = {}, training.context { step = "head", seed = 5, settled = function() end, card = function() end }
   function ctx.say(_, text) said[#said + 1] = text end
   function ctx:own(x)
      x.attach = function(_, optimiser) self:attach(x, optimiser) end
      return x
   end
   local params = {}
   for key, spec in pairs(finetune.params) do params[key] = spec.default end
   params.lr, params.epochs, params.batch, params.keep, params.freeze = 1e-2, 2, 8, "last", "loaded"
   local tuned = finetune.run(ctx, { model = m, data = data }, params)
   return tuned, table.concat(said, "\n"), task
end

for name, rows in pairs(all) do
   check.test(name, function()
      local task, encoder = tasks.find(name), model.open(DIR)
      local data = task.encode({ train = rows, valid = rows }, encoder, { max_length = 64, stride = "auto" })
      local function fresh()
         return model.replace_head(model.open(DIR), { head = task.head, labels = data.labels, task = name, pool = "cls" }, 3)
      end
      local budget = features.BUDGET
      local a, kept = stage_one(task, data, fresh())
      features.BUDGET = 100
      local b, computed = stage_one(task, data, fresh())
      features.BUDGET = budget
      check.contains(kept, "features of the frozen encoder are kept: train")
      check.contains(computed, "they are recomputed in every epoch")
      local before = fresh()
      for _, p in ipairs(a:parameters()) do
         local x, y, z = p:tensor():table(), b.by_name[p:name()]:tensor():table(), before.by_name[p:name()]:tensor():table()
         local moved = 0
         for k = 1, #x do
            check.near(x[k], y[k], 2e-4, p:name())
            moved = math.max(moved, math.abs(x[k] - z[k]))
         end
         check.equal(moved > 0, p:name():find "^head" ~= nil, p:name())
      end
   end)
end

check.done()
