--- ft.filter: the rows for which a function of the pipeline says true. The function sees { text, label, line, file, split } (of
-- questions: id, question, context, answer) and the columns that ft.read kept.

local failure = require "ftpipe.failure"
local rows = require "ftpipe.rows"

local step = { kind = "filter", version = 2, early = true, exact = true, seedless = true, inputs = { rows = "required" } }

step.params = { keep = { type = "function", required = true, help = "function(row) -> true for rows that stay" } }

function step.run(ctx, inputs, params)
   local task, dropped = rows.task(inputs.rows), 0
   local out = rows.each(inputs.rows, function(from, split)
      local index = {}
      for i = 1, rows.count(task, from) do
         if params.keep(rows.view(task, from, i, split)) then index[#index + 1] = i else dropped = dropped + 1 end
      end
      if #index == 0 then failure.raise("data", ("filter leaves no row of %s (%s)"):format(split, from.file)) end
      return rows.pick(task, from, index)
   end)
   ctx:say(("%s: %d rows dropped"):format(ctx.step, dropped))
   return out
end

return step
