--- ft.dedupe: rows whose text occurs before, exactly or nearly, are dropped, and a report tells what leaked between splits.
--
-- A text that is in several splits stays where it is tested on: test before validation before training. The report is in
-- `leakage` and, as duplicates.csv, in the run's directory.

local data = require "ftpipe.core.data"
local duplicates = require "ftpipe.duplicates"
local failure = require "ftpipe.failure"
local rows = require "ftpipe.rows"

local step = { kind = "dedupe", version = 2, early = true, exact = true, seedless = true, inputs = { rows = "required" } }

step.params = {
   near = { type = "number", default = 0.8, min = 0, max = 1,
      help = "similarity from which on texts count as the same; 0: only equal texts" },
   across = { type = "boolean", default = true, help = "also drop what is in a split that is tested on" },
   within = { type = "boolean", default = true, help = "also drop repetitions within a split" },
}

local function texts_of(task, from)
   local out = {}      -- questions: with their context
   if from.pairs then
      for i, text in ipairs(from.texts) do out[i] = ("%s\n%s"):format(text, from.pairs[i]) end
      return out
   end
   if from.texts then return from.texts end
   for i = 1, rows.count(task, from) do out[i] = ("%s\n%s"):format(from.questions[i], from.contexts[i]) end
   return out
end

local function place(from, i) return { file = from.files and from.files[i] or from.file, line = from.lines[i] } end

function step.run(ctx, inputs, params)
   local task, texts = rows.task(inputs.rows), {}
   for name, from in pairs(inputs.rows.splits) do texts[name] = texts_of(task, from) end
   local found, gone = duplicates.find(texts, params.near > 0 and params.near or nil), {}
   local report = { counts = duplicates.count(found), rows = {} }
   for name in pairs(texts) do gone[name] = {} end
   for k, d in ipairs(found) do
      local inside = d.split == d.of.split
      local drops = inside and params.within or not inside and params.across
      if drops then gone[d.split][d.row] = true end
      local a, b = inputs.rows.splits[d.split], inputs.rows.splits[d.of.split]
      report.rows[k] = { split = d.split, at = place(a, d.row), of_split = d.of.split, of = place(b, d.of.row),
         exact = d.exact, dropped = drops }
   end
   local out = rows.each(inputs.rows, function(from, name)
      local index = {}
      for i = 1, rows.count(task, from) do if not gone[name][i] then index[#index + 1] = i end end
      if #index == 0 then failure.raise("data", ("dedupe leaves no row of %s (%s)"):format(name, from.file)) end
      return rows.pick(task, from, index)
   end)
   out.leakage = report
   local near = 0
   for _, r in ipairs(report.rows) do if not r.exact then near = near + 1 end end
   ctx:say(("%s: %d repeated texts, %d of them exactly"):format(ctx.step, #report.rows, #report.rows - near))
   return out
end

--- duplicates.csv in the run's directory.
function step.leave(out, artifact)
   if #artifact.leakage.rows == 0 then return false end
   local w = failure.try("system", data.create(out .. "/duplicates.csv", "csv",
      { "split", "file", "line", "repeats_split", "repeats_file", "repeats_line", "exact", "dropped" }))
   for _, r in ipairs(artifact.leakage.rows) do
      failure.try("system", w:row(r.split, r.at.file, r.at.line or false, r.of_split, r.of.file, r.of.line or false,
         tostring(r.exact), tostring(r.dropped)))
   end
   failure.try("system", w:commit())
   return true
end

return step
