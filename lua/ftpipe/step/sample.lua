--- ft.sample: some of the rows of a split, drawn by the seed; of labelled rows each label keeps its share.

local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"
local rows = require "ftpipe.rows"

local step = { kind = "sample", version = 2, early = true, exact = true, inputs = { rows = "required" } }

step.params = {
   n = { type = "integer", min = 1, help = "rows to keep" },
   share = { type = "number", min = 0, max = 1, help = "share of the rows to keep" },
   split = { type = "string", default = "train", choices = rows.splits, help = "the others stay whole; all: before ft.split" },
}

-- Units of each stratum until its share is reached; the rounding is carried on, so that the total is right.
local function draw(task, from, wanted, seed)
   local strata, total, index, due = task.units(from), rows.count(task, from), {}, 0
   for _, stratum in ipairs(strata) do
      local size = 0
      for _, unit in ipairs(stratum.units) do size = size + #unit end
      due = due + wanted * size / total
      local order = sys.shuffle(seed, "sample." .. stratum.key, #stratum.units)
      for _, k in ipairs(order) do
         if #index >= math.floor(due + 0.5) then break end
         table.move(stratum.units[k], 1, #stratum.units[k], #index + 1, index)
      end
   end
   table.sort(index)
   return index
end

function step.run(ctx, inputs, params)
   if (params.n == nil) == (params.share == nil) then failure.raise("usage", "sample needs n or share, and not both") end
   local task = rows.task(inputs.rows)
   local name = params.split == "train" and not inputs.rows.splits.train and "all" or params.split
   if not inputs.rows.splits[name] then failure.raise("usage", ("sample: there is no split '%s'"):format(name)) end
   return rows.each(inputs.rows, function(from, split)
      if split ~= name then return from end
      local total = rows.count(task, from)
      local wanted = params.n or math.floor(total * params.share + 0.5)
      if wanted > total then
         failure.raise("data", ("sample: %d rows are wanted, %s has %d"):format(wanted, from.file, total))
      end
      return rows.pick(task, from, draw(task, from, wanted, ctx.seed))
   end)
end

return step
