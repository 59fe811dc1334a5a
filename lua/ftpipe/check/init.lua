--- Checks of a pipeline and its data before any weight is read: everything that is found, not only the first.

local fs = require "ftpipe.core.fs"
local text = require "ftpipe.core.text"
local failure = require "ftpipe.failure"
local plan_of = require "ftpipe.plan"
local rows = require "ftpipe.check.rows"
local source = require "ftpipe.check.source"
local sources = require "ftpipe.source"

local check = {}

local function in_file(file, findings)
   local content = fs.read(file)
   if not content then return end
   for _, u in ipairs(source.undefined(content)) do
      findings[#findings + 1] = { code = "undefined_variable", text = ("%s:%d: undefined variable '%s'%s"):format(file, u.line,
         u.name, u.near and ("; did you mean '%s'?"):format(u.near) or "") }
   end
   return content
end

local function in_plan(plan, content, findings)
   local names, kept = {}, {}
   for i, p in ipairs(plan.params) do names[i] = p.name end
   for _, name in ipairs(source.unread(content, names)) do
      findings[#findings + 1] = { code = "unused_parameter", text = ("%s:%d: parameter '%s' is never used"):format(plan.file,
         source.line_of(content, name), name) }
   end
   for _, step in ipairs(plan.steps) do kept[step.id] = true end
   local unused = {}
   for id, step in pairs(plan.by_id) do if not kept[id] then unused[#unused + 1] = step end end
   table.sort(unused, function(a, b) return a.id < b.id end)
   for _, step in ipairs(unused) do
      findings[#findings + 1] = { code = "unused_step", text = ("%s: step '%s' leads to nothing"):format(step.where, step.id) }
   end
end

-- The tokeniser and the length that rows of this read step meet, where both can be told.
local function tokens_for(plan, read)
   for _, step in ipairs(plan.steps) do
      local from = step.kind == "tokenize" and plan.by_id[step.inputs.with]
      if from and from.kind == "pretrained" then
         local seen, found = {}, false
         local function look(id)
            if seen[id] then return end
            seen[id] = true
            found = found or id == read.id
            for _, input in ipairs(plan_of.inputs_of(plan.by_id[id])) do look(input) end
         end
         look(step.inputs.rows)
         local tokenizer = found and text.load(sources.path(from.params.from, "models"))
         local most = step.params.max_length
         if most == "auto" then most = step.unit.resolve(step.params, plan, step).max_length end
         if tokenizer and most then return { tokenizer = tokenizer, most = most, long = step.params.long } end
      end
   end
end

--- All findings: { { code, text }, ... }; an empty list is a clean pipeline.
---@param file string
---@param options { set: table?, seed: integer?, limit: number?, allow: string[]? }
function check.run(file, options)
   local findings = {}
   local content = in_file(file, findings)
   local ok, plan = pcall(require("ftpipe.cli.plan").evaluate_file, file, options)
   if not ok then
      local message = type(plan) == "table" and plan.message or tostring(plan)
      if #findings == 0 then
         if failure.is(plan) then error(plan, 0) end
         findings[1] = { code = "error", text = message }
      end
      return findings
   end
   in_plan(plan, content or "", findings)
   for _, step in ipairs(plan.steps) do
      if step.kind == "read" then
         rows.run(step.params, tokens_for(plan, step), function(code, message)
            findings[#findings + 1] = { code = code, text = message, step = step.id }
         end)
      end
   end
   return findings
end

return check
