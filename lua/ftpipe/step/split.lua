--- ft.split: shares of the rows for validation and test, stratified by label and drawn by the seed. Files that were
-- given for a split stay as they are; a missing validation split is taken from the training rows.

local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"

local step = { kind = "split", version = 1, inputs = { rows = "required" } }

step.params = {
   valid = { type = "number", default = 0.1, min = 0, max = 0.9 },
   test = { type = "number", default = 0.1, min = 0, max = 0.9 },
}

-- Row numbers by label, labels in a fixed order.
local function by_label(rows)
   local groups, order = {}, {}
   for i, label in ipairs(rows.labels) do
      if not groups[label] then
         groups[label] = {}
         order[#order + 1] = label
      end
      table.insert(groups[label], i)
   end
   table.sort(order)
   return groups, order
end

local function pick(rows, index)
   table.sort(index)
   local out = { texts = {}, labels = {}, lines = {}, file = rows.file }
   for k, i in ipairs(index) do
      out.texts[k], out.labels[k], out.lines[k] = rows.texts[i], rows.labels[i], rows.lines[i]
   end
   return out
end

-- shares: { {name, share}, ... }; the rest goes to `rest`.
local function divide(rows, shares, rest, seed)
   local parts = { [rest] = {} }
   for _, s in ipairs(shares) do parts[s[1]] = {} end
   local groups, order = by_label(rows)
   for _, label in ipairs(order) do
      local group = groups[label]
      local shuffled, at = sys.shuffle(seed, "split." .. label, #group), 1
      for _, s in ipairs(shares) do
         local n = math.floor(#group * s[2] + 0.5)
         for k = at, math.min(at + n - 1, #group) do table.insert(parts[s[1]], group[shuffled[k]]) end
         at = at + n
      end
      for k = at, #group do table.insert(parts[rest], group[shuffled[k]]) end
   end
   local out = {}
   for name, index in pairs(parts) do
      if #index > 0 then out[name] = pick(rows, index) end
   end
   return out
end

function step.run(ctx, inputs, params)
   local given = inputs.rows
   local out = {}
   for k, v in pairs(given) do out[k] = v end
   if given.splits.all then
      if params.valid + params.test >= 1 then failure.raise("usage", "valid and test leave no rows for training") end
      out.splits = divide(given.splits.all, { { "valid", params.valid }, { "test", params.test } }, "train", ctx.seed)
   else
      out.splits = {}
      for name, rows in pairs(given.splits) do out.splits[name] = rows end
      if not out.splits.valid and params.valid > 0 then
         local parts = divide(given.splits.train, { { "valid", params.valid } }, "train", ctx.seed)
         out.splits.train, out.splits.valid = parts.train, parts.valid
      end
   end
   if not out.splits.train then failure.raise("data", "too few rows to split: none is left for training") end
   return out
end

return step
