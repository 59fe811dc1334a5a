--- ft.concat: the rows of several steps in one, split by split, in order of the names that they are given by.

local failure = require "ftpipe.failure"
local rows = require "ftpipe.rows"

local step = { kind = "concat", version = 1, early = true, exact = true, seedless = true, inputs = { rows = "list" } }

step.params = {}

function step.run(_, inputs)
   local names, lists, task = {}, {}, nil
   for name in pairs(inputs.rows or {}) do names[#names + 1] = name end
   if #names == 0 then failure.raise("usage", "concat needs rows = { name = step, ... }") end
   table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
   for _, name in ipairs(names) do
      local artifact = inputs.rows[name]
      task = task or rows.task(artifact)
      if rows.task(artifact) ~= task then
         failure.raise("usage", ("concat: '%s' has rows of another task"):format(tostring(name)))
      end
      for split, from in pairs(artifact.splits) do
         lists[split] = lists[split] or {}
         table.insert(lists[split], from)
      end
   end
   if lists.all and (lists.train or lists.test or lists.valid) then
      failure.raise("usage", "concat: some rows are split and some are not: put ft.split after ft.concat, or before on each")
   end
   local splits = {}
   for split, list in pairs(lists) do splits[split] = #list == 1 and list[1] or rows.join(task, list) end
   return rows.with(inputs.rows[names[1]], splits)
end

return step
