--- ft.concat: the rows of several steps in one, split by split, in order of the names that they are given by. With `into`, rows
-- that are not split join that split of the others: predicted labels are trained on, but nothing is tested with them.

local failure = require "ftpipe.failure"
local rows = require "ftpipe.rows"

local step = { kind = "concat", version = 2, early = true, exact = true, seedless = true, inputs = { rows = "list" } }

step.params = {
   into = { type = "string", choices = { "train", "valid", "test" }, help = "the split that rows join which are not split" },
}

local function check(task, artifact, first, name)
   if rows.task(artifact) ~= task then failure.raise("usage", ("concat: '%s' has rows of another task"):format(tostring(name))) end
   if artifact.labelled ~= first.labelled then
      failure.raise("usage", ("concat: of '%s' and the rows before, one has no labels; ft.predict gives them some"):format(
         tostring(name)))
   end
end

function step.run(_, inputs, params)
   local names, lists, task = {}, {}, nil
   for name in pairs(inputs.rows or {}) do names[#names + 1] = name end
   if #names == 0 then failure.raise("usage", "concat needs rows = { name = step, ... }") end
   table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
   for _, name in ipairs(names) do
      local artifact = inputs.rows[name]
      task = task or rows.task(artifact)
      check(task, artifact, inputs.rows[names[1]], name)
      for split, from in pairs(artifact.splits) do
         if split == "all" then split = params.into or split end
         lists[split] = lists[split] or {}
         table.insert(lists[split], from)
      end
   end
   if lists.all and (lists.train or lists.test or lists.valid) then
      failure.raise("usage", "concat: some rows are split and some are not: say into = \"train\", or put ft.split after ft.concat")
   end
   local splits = {}
   for split, list in pairs(lists) do splits[split] = #list == 1 and list[1] or rows.join(task, list) end
   return rows.with(inputs.rows[names[1]], splits)
end

return step
