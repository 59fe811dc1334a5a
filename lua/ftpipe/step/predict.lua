--- ft.predict: rows labelled by a model: to be looked at (a file in the run's directory), or to be trained on in their turn.
--
-- Gives rows of the same task whose labels (entities, answers) are the predicted ones; how probable each row's is stands in the
-- column `probability`, which ft.filter sees. The rows may have no labels themselves (ft.read { labelled = false }).

local data = require "ftpipe.core.data"
local failure = require "ftpipe.failure"
local rows = require "ftpipe.rows"
local tasks = require "ftpipe.task"

local step = { kind = "predict", version = 2, inputs = { model = "required", rows = "required" }, seedless = true }

step.params = {
   least = { type = "number", default = 0, min = 0, max = 1, help = "rows whose label is less probable are left out" },
   max_length = { type = "integer", min = 3, help = "tokens of a row or window; as the model was trained unless said" },
}

local function check(task, model, params)
   local own = tasks.of(model)
   if own ~= task then
      failure.raise("usage", ("ft.predict: the model is for %s, the rows are for %s"):format(own.name:gsub("_", " "),
         (task.name:gsub("_", " "))))
   end
   if params.least > 0 and task.name == "regression" then
      failure.raise("usage", "ft.predict: numbers have no probability that `least` could be compared with")
   end
end

-- What the rows had for a label, for people.
local function given_of(task, from)
   local out = {}
   for i = 1, rows.count(task, from) do out[i] = task.shown(from, i) end
   return out
end

local function label(task, model, from, params)
   local columns, certain = task.label(model, from, params)
   local given, index = given_of(task, from), {}
   for i = 1, rows.count(task, from) do
      if not certain or certain[i] >= params.least then index[#index + 1] = i end
   end
   local all = setmetatable({}, { __index = from })
   for name, column in pairs(columns) do all[name] = column end
   all.kept = { probability = certain }
   for name, column in pairs(from.kept or {}) do all.kept[name] = all.kept[name] or column end
   local out = rows.pick(task, all, index)
   out.given = {}
   for k, i in ipairs(index) do out.given[k] = given[i] end
   return #index > 0 and out or nil, rows.count(task, from) - #index
end

function step.run(ctx, inputs, params)
   local model, task, left_out = inputs.model, rows.task(inputs.rows), 0
   check(task, model, params)
   local out = rows.each(inputs.rows, function(from, split)
      if ctx.progress then ctx.progress:stage(("%s: %s"):format(ctx.step, split), 1) end
      local picked, gone = label(task, model, from, params)
      left_out = left_out + gone
      return picked
   end)
   out.labelled = nil
   if next(out.splits) == nil then
      failure.raise("data", ("predict leaves no row: no label has a probability of %g"):format(params.least))
   end
   if left_out > 0 then ctx:say(("%s: %d rows left out, their labels are too uncertain"):format(ctx.step, left_out)) end
   return out
end

local function first_split(artifact)
   for _, split in ipairs(rows.splits) do
      if artifact.splits[split] then return artifact.splits[split] end
   end
end

--- STEP.csv in the run's directory: split, line, text (and pair; of questions id and question), given label, predicted label,
-- probability.
function step.leave(out, artifact, id)
   local task = rows.task(artifact)
   local names = { "split", "line", table.unpack((task.told(first_split(artifact)))) }
   local certain = task.name ~= "regression"
   for _, name in ipairs { "given", "predicted", certain and "probability" or nil } do names[#names + 1] = name end
   local w = failure.try("system", data.create(("%s/%s.csv"):format(out, id), "csv", names))
   for _, split in ipairs(rows.splits) do
      local from = artifact.splits[split]
      local _, cells = task.told(from or first_split(artifact))
      for i = 1, from and rows.count(task, from) or 0 do
         local row = { split, from.lines[i] or false, cells(i) }
         for _, cell in ipairs { from.given[i], task.shown(from, i), certain and from.kept.probability[i] or nil } do
            row[#row + 1] = cell
         end
         failure.try("system", w:row(table.unpack(row)))
      end
   end
   failure.try("system", w:commit())
   return true
end

return step
