--- ft.map: each row as a function of the pipeline gives it back; nothing drops the row, a list of rows puts several in its
-- place. The function sees what that of ft.filter sees.

local failure = require "ftpipe.failure"
local rows = require "ftpipe.rows"

local step = { kind = "map", version = 2, early = true, exact = true, seedless = true, inputs = { rows = "required" } }

step.params = { with = { type = "function", required = true, help = "function(row) -> row, list of rows, or nil" } }

local function check(row, original, from)
   if type(row) ~= "table" then failure.raise("usage", ("map: the function gave a %s for a row"):format(type(row))) end
   for _, name in ipairs { "text", "label" } do
      if original[name] ~= nil and type(row[name]) ~= "string" then
         failure.raise("usage", ("map: the row of %s:%s has no %s any more; return the row, changed"):format(from.file,
            tostring(original.line), name))
      end
   end
   row.file, row.line = row.file or original.file, row.line or original.line
   return row
end

function step.run(_, inputs, params)
   local task = rows.task(inputs.rows)
   return rows.each(inputs.rows, function(from, split)
      local out = {}
      for i = 1, rows.count(task, from) do
         local original, given = rows.view(task, from, i, split), rows.view(task, from, i, split)
         local result = params.with(given)
         if result then
            for _, row in ipairs(type(result) == "table" and #result > 0 and result or { result }) do
               rows.add(task, out, check(row, original, from), from)
            end
         end
      end
      out.file = from.file
      if not out[task.columns[1]] then failure.raise("data", ("map leaves no row of %s (%s)"):format(split, from.file)) end
      return out
   end)
end

return step
