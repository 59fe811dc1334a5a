--- ft.folds: one fold of a cross-validation. The rows are cut into `folds` parts, once for a seed; part `fold` is tested on.
--
-- for i = 1, 5 do models[i] = ...ft.folds { rows = rows, folds = 5, fold = i }... end

local failure = require "ftpipe.failure"
local rows = require "ftpipe.rows"
local sharing = require "ftpipe.sharing"

local step = { kind = "folds", version = 1, early = true, exact = true, inputs = { rows = "required" } }

step.params = {
   folds = { type = "integer", default = 5, min = 2 },
   fold = { type = "integer", required = true, min = 1, help = "which part is tested on, from 1" },
   valid = { type = "number", default = 0.1, min = 0, max = 0.9, help = "share of the other parts for validation" },
   group = { type = "string", help = "a column that ft.read kept: rows of equal value stay together" },
}

function step.run(ctx, inputs, params)
   if params.fold > params.folds then
      failure.raise("usage", ("fold = %d is more than folds = %d"):format(params.fold, params.folds))
   end
   local task, from = rows.task(inputs.rows), inputs.rows.splits.all
   if not from then failure.raise("usage", "folds needs rows that are not split: ft.read { from = FILE }") end
   local shares = {}
   for i = 1, params.folds do shares[i] = { tostring(i), 1 / params.folds } end
   local parts = sharing.divide(task, from, shares, ctx.seed, "folds.", params.group)
   local test, others = parts[tostring(params.fold)], {}
   for name, index in pairs(parts) do
      if name ~= tostring(params.fold) then table.move(index, 1, #index, #others + 1, others) end
   end
   table.sort(others)
   if #test == 0 or #others == 0 then
      failure.raise("data", ("%s: too few rows or groups for %d folds"):format(from.file, params.folds))
   end
   local rest = rows.pick(task, from, others)
   local inner = sharing.divide(task, rest, { { "valid", params.valid }, { "train", 1 - params.valid } }, ctx.seed, "folds.valid.",
      params.group)
   local splits = { test = rows.pick(task, from, test), train = rows.pick(task, rest, inner.train) }
   if #inner.valid > 0 then splits.valid = rows.pick(task, rest, inner.valid) end
   return rows.with(inputs.rows, splits)
end

return step
