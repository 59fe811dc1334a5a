--- ft.predict: rows labelled by a model: to be looked at (a file in the run's directory), or to be trained on in their turn.
--
-- Gives rows whose label is the predicted one, with its probability in the column `probability`.

local data = require "ftpipe.core.data"
local classification = require "ftpipe.metric.classification"
local failure = require "ftpipe.failure"
local rows = require "ftpipe.rows"
local scoring = require "ftpipe.scoring"
local tasks = require "ftpipe.task"
local texts = require "ftpipe.texts"

local step = { kind = "predict", version = 1, inputs = { model = "required", rows = "required" }, seedless = true }

step.params = {
   least = { type = "number", default = 0, min = 0, max = 1, help = "rows whose label is less probable are left out" },
   max_length = { type = "integer", min = 3, help = "tokens of a row; as the model was trained unless said" },
}

local function length_for(model, params)
   local limit = model.dims.positions
   return math.min(limit, params.max_length or model.data and model.data.max_length or 512)
end

local function label(ctx, model, from, split, length)
   local tokens, problem, windows = texts.tokens(model.tokenizer, from.texts, from.pairs, { max_length = length,
      long = model.data and model.data.long, stride = model.data and model.data.stride })
   if not tokens then failure.raise("data", ("%s: %s"):format(from.file, problem)) end
   if ctx.progress then ctx.progress:stage(("%s: %s"):format(ctx.step, split), 1) end
   local probabilities = scoring.probabilities(model, tokens, nil, windows)
   return classification.argmax(probabilities), probabilities
end

function step.run(ctx, inputs, params)
   local model, task = inputs.model, rows.task(inputs.rows)
   if task.name ~= "classification" or tasks.of(model).name ~= "classification" then
      failure.raise("usage", "ft.predict labels rows of the task classification; for other tasks there is `ftpipe predict`")
   end
   local length, left_out = length_for(model, params), 0
   local out = rows.each(inputs.rows, function(from, split)
      local predicted, probabilities = label(ctx, model, from, split, length)
      local index, labels, certain = {}, {}, {}
      for i, k in ipairs(predicted) do
         if probabilities[i][k] >= params.least then
            index[#index + 1], labels[#labels + 1], certain[#certain + 1] = i, model.options.labels[k], probabilities[i][k]
         else
            left_out = left_out + 1
         end
      end
      local picked = rows.pick(task, from, index)
      picked.given, picked.labels = picked.labels, labels
      picked.kept = picked.kept or {}
      picked.kept.probability = certain
      return #index > 0 and picked or nil
   end)
   if next(out.splits) == nil then
      failure.raise("data", ("predict leaves no row: no label has a probability of %g"):format(params.least))
   end
   if left_out > 0 then ctx:say(("%s: %d rows left out, their labels are too uncertain"):format(ctx.step, left_out)) end
   return out
end

--- STEP.csv in the run's directory: split, line, text, given label, predicted label, probability.
function step.leave(out, artifact, id)
   local w = failure.try("system", data.create(("%s/%s.csv"):format(out, id), "csv",
      { "split", "line", "text", "given", "predicted", "probability" }))
   for _, split in ipairs(rows.splits) do
      local from = artifact.splits[split]
      for i = 1, from and #from.texts or 0 do
         failure.try("system", w:row(split, from.lines[i], from.texts[i], from.given[i], from.labels[i], from.kept.probability[i]))
      end
   end
   failure.try("system", w:commit())
   return true
end

return step
