--- Tasks by name: what differs between classifying rows, answering questions and finding entities. A new one adds its file
-- and one line here.
--
-- A task is
--   name, head          its own name and that of its usual head
--   metric, metrics     what chooses the best epoch unless asked otherwise, and what may be asked for; higher is better
--   headline, fields    metrics whose baseline and differences metrics.json holds; all it holds of a split's scores
--   columns             names of the lists in rows that have one element for each row
--   read(path, params, bad) -> rows               one file; bad(line, message, raw) is told of rows that cannot be read
--   count(path, params) -> integer?               rows of a file, for `plan`
--   units(rows) -> { { key, units } }             for ft.split: strata, and in each the lists of rows that stay together
--   encode(splits, with, params) -> data          for ft.tokenize
--   adopt(model, labels, place)?                  a tuned model's labels for data with these: raises what does not suit
--   suited(model, data)?                          the data with the labels of such a model
--   loss(logits, batch, smoothing) -> variable    one value for each example, its sum where it has weights
--   predict(model, split, features) -> predictions, which measure.score reads
--   measure                                       see ftpipe.evaluation
--   begin(model, data, params)?                   before training, with the step's parameters
--   finish(model, data, features)?                after training: settle model.settings, for instance on the validation split
--   save(dir, data, split, predictions)           the predictions of a run
--   label(model, rows, opts) -> columns, certain  for ft.predict: what the model says of rows, as columns of theirs, and how
--                                                 probable that is (nil where the task has no probability); opts: max_length
--   shown(columns, i) -> text                     the label of a row for people
--   some(split, index) -> split                  those rows alone, for `predict`; where it is missing, all are scored
--   told(rows) -> names, cells(i)                 what tells a row apart, for people
--   reading(data) -> table                        what ftpipe.json holds, so that `predict` reads as training did
-- data is { train, valid, test, task, labels, max_length, facts, leaked, rows }; a split is { name, n (examples), tokens,
-- gold (one element for each row), keys (texts that tell rows apart), full (tokens of each row), file } and either
-- labels (ids from 1), token_labels (an i32 tensor with a label for every token, -100 for none) or targets ({ width, flat }
-- numbers from 0), or values (numbers); parts, where rows are several examples of `tokens`, lists those of each row. Where losses
-- are not divided by rows, split.weights says what each example counts instead (its words).

local sys = require "ftpipe.core.sys"

local tasks = {}

tasks.names = { "classification", "question_answering", "named_entities", "regression", "multi_label" }

--- A task by name.
---@param name string
function tasks.find(name)
   for _, known in ipairs(tasks.names) do
      if known == name then return require("ftpipe.task." .. name) end
   end
   local near = sys.nearest(tostring(name), tasks.names)
   error(("there is no task '%s'; %s"):format(tostring(name), near and ("did you mean '%s'?"):format(near)
      or "there is: " .. table.concat(tasks.names, ", ")), 0)
end

--- The task of a model.
---@param model ftpipe.model
function tasks.of(model) return tasks.find(model.options.task or "classification") end

return tasks
