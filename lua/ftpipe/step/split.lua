--- ft.split: shares of the rows for validation and test, drawn by the seed; of labelled rows stratified by label, of
-- questions by context, whose questions stay together. Files that were given for a split stay as they are; a missing
-- validation split is taken from the training rows.

local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"
local rows_of = require "ftpipe.rows"
local sharing = require "ftpipe.sharing"
local tasks = require "ftpipe.task"

local step = { kind = "split", version = 1, early = true, exact = true, inputs = { rows = "required" } }

step.params = {
   valid = { type = "number", default = 0.1, min = 0, max = 0.9 },
   test = { type = "number", default = 0.1, min = 0, max = 0.9 },
   group = { type = "string", help = "a column that ft.read kept: rows of equal value stay in one split" },
}

local function take(into, unit)
   for _, i in ipairs(unit) do into[#into + 1] = i end
   return #unit
end

-- Rows of equal value in a column stay together.
local function by_column(task, rows, shares, rest, seed, column)
   local all, left = {}, 1
   for i, s in ipairs(shares) do all[i], left = s, left - s[2] end
   all[#all + 1] = { rest, left }
   return sharing.divide(task, rows, all, seed, "split.", column)
end

-- shares: { {name, share}, ... }; the rest goes to `rest`.
local function divide(task, rows, shares, rest, seed, column)
   local parts = { [rest] = {} }
   for _, s in ipairs(shares) do parts[s[1]] = {} end
   for _, group in ipairs(column and {} or task.units(rows)) do
      local units, all, at = group.units, 0, 1
      for _, unit in ipairs(units) do all = all + #unit end
      local shuffled = sys.shuffle(seed, "split." .. group.key, #units)
      for _, s in ipairs(shares) do
         local wanted, taken = math.floor(all * s[2] + 0.5), 0
         while taken < wanted and at <= #units do
            taken = taken + take(parts[s[1]], units[shuffled[at]])
            at = at + 1
         end
      end
      for k = at, #units do take(parts[rest], units[shuffled[k]]) end
   end
   if column then parts = by_column(task, rows, shares, rest, seed, column) end
   local out = {}
   for name, index in pairs(parts) do
      if #index > 0 then out[name] = rows_of.pick(task, rows, index) end
   end
   return out
end

function step.run(ctx, inputs, params)
   local given = inputs.rows
   local task = tasks.find(given.task or "classification")
   local out = {}
   for k, v in pairs(given) do out[k] = v end
   if given.splits.all then
      if params.valid + params.test >= 1 then failure.raise("usage", "valid and test leave no rows for training") end
      out.splits = divide(task, given.splits.all, { { "valid", params.valid }, { "test", params.test } }, "train", ctx.seed,
         params.group)
   else
      out.splits = {}
      for name, rows in pairs(given.splits) do out.splits[name] = rows end
      if not out.splits.valid and params.valid > 0 then
         local parts = divide(task, given.splits.train, { { "valid", params.valid } }, "train", ctx.seed,
         params.group)
         out.splits.train, out.splits.valid = parts.train, parts.valid
      end
   end
   if not out.splits.train then failure.raise("data", "too few rows to split: none is left for training") end
   return out
end

return step
