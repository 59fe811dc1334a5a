--- Before anything runs: which steps would, and why; what differs from the last run of the same name.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"
local cache = require "ftpipe.cache"
local engine = require "ftpipe.cache.engine"
local failure = require "ftpipe.failure"
local files = require "ftpipe.reading.files"
local schedule = require "ftpipe.schedule"
local source = require "ftpipe.source"

local explain = {}

---@class ftpipe.change
---@field field string for instance "params.lr" or "inputs.data"
---@field old any
---@field new any

-- Nested tables as one level of dotted names; lists of plain values stay whole.
local function flatten(value, name, out)
   if type(value) ~= "table" then
      out[name] = value
   elseif value["$file"] then
      out[name] = "file " .. value["$file"]:sub(1, 12)
   elseif value["$function"] then
      out[name] = "function " .. value["$function"]:sub(1, 12)
      flatten(value.outer or {}, name .. ".outer", out)
      flatten(value.modules or {}, name .. ".modules", out)
   elseif #value > 0 then
      out[name] = json.encode(value)
   else
      for k, v in pairs(value) do flatten(v, name == "" and k or name .. "." .. k, out) end
   end
   return out
end

local function shown(name, value)
   if value == nil then return nil end
   if type(value) == "string" and name:find "^inputs" then return "content " .. value:gsub("^key ", ""):sub(1, 12) end
   return value
end

--- Fields in which two descriptions of a step differ, in order of name.
---@return ftpipe.change[]
function explain.differences(old, new)
   local a, b, names, seen = flatten(old, "", {}), flatten(new, "", {}), {}, {}
   for _, t in ipairs { a, b } do
      for name in pairs(t) do
         if not seen[name] and a[name] ~= b[name] then
            seen[name] = true
            names[#names + 1] = name
         end
      end
   end
   table.sort(names)
   local out = {}
   for i, name in ipairs(names) do out[i] = { field = name, old = shown(name, a[name]), new = shown(name, b[name]) } end
   return out
end

--- One change as text: "lr 0.001 -> 0.0005"; inputs are told by the step they come from.
---@param change ftpipe.change
---@param step table of the plan
function explain.text(change, step)
   local name = change.field:match "^params%.(.*)$" or change.field
   local input = change.field:match "^inputs%.(.*)$"
   if input and change.old and change.new then
      local at = step.inputs
      for part in input:gmatch "[^.]+" do at = type(at) == "table" and at[part] or at end
      return ("%s (%s) has other content"):format(input, type(at) == "string" and at or "a step")
   end
   return ("%s %s -> %s"):format(name, change.old == nil and "(none)" or tostring(change.old),
      change.new == nil and "(none)" or tostring(change.new))
end

--- What the last run of this name, or the one in `out`, noted about itself (run.json) and where; nil if there is none.
---@param plan ftpipe.plan
---@param out? string
function explain.last(plan, out)
   local function note(dir)
      local text = fs.read(dir .. "/run.json")
      local run = text and json.decode(text)
      return type(run) == "table" and run or nil, dir
   end
   if out then return note(out) end
   local base, numbers = "runs/" .. plan.name, {}
   for _, name in ipairs(fs.list(base) or {}) do numbers[#numbers + 1] = math.tointeger(tonumber(name)) end
   table.sort(numbers, function(a, b) return a > b end)
   for _, n in ipairs(numbers) do
      local run, dir = note(("%s/%d"):format(base, n))
      if run then return run, dir end
   end
end

local function steps_by_id(run)
   local out = {}
   for _, s in ipairs(run and run.steps or {}) do out[s.id] = s end
   return out
end

-- A file that a step would read and that is not there, as text; what is still to be fetched is passed over.
local function missing(step)
   local ok, paths = pcall(step.unit.files or function() return {} end, step.params)
   for _, path in ipairs(ok and paths or {}) do
      if not fs.stat(path) and not source.is_awaited(path) then
         return ("there is no file %s%s"):format(path, files.did_you_mean(path))
      end
   end
end

-- Why a step that is no hit runs. One that follows others waits for those of its inputs whose content is not known yet.
local function reason(plan, step, states, before)
   local state, lacks = states[step.id], missing(step)
   if lacks then return lacks end
   if not state.key then
      local first = {}
      for _, id in ipairs(plan.inputs_of(step)) do
         if not states[id].digest then first[#first + 1] = id end
      end
      return "after " .. table.concat(first, ", ")
   end
   if not before or not before.step then return "new" end
   if before.key == state.key then return "its result is not in the store any more" end
   return nil, explain.differences(before.step or {}, state.described)
end

--- Where each step of a plan stands: { step, state = "hit"|"run"|"follows"|"on demand", why, changes }. "follows": it runs
-- after others, unless they leave what they left before. options: out, force (true or step ids).
---@return table[] rows, table|nil last run, string|nil its directory, ftpipe.schedule
function explain.status(plan, options)
   local store = cache.open()
   local last, dir = explain.last(plan, options.out)
   local schedule_of = schedule.new(plan, store, { engine = engine.current(store.dir),
      identities = schedule.identities(plan, store), force = options.force,
      run = function() error("a plan runs nothing") end })
   local rows, before = {}, steps_by_id(last)
   for i, step in ipairs(plan.steps) do
      local state, row = schedule_of:state(step), { step = step }
      if step.unit.stored == false then
         row.state = "on demand"
      elseif state.hit then
         row.state = "hit"
      else
         row.state = state.key and "run" or "follows"
         row.why, row.changes = reason(plan, step, schedule_of.states, before[step.id])
         if state.forced then row.why = "forced" end
         if row.changes then
            local parts = {}
            for k, change in ipairs(row.changes) do parts[k] = explain.text(change, step) end
            row.why = table.concat(parts, "; ")
         end
      end
      row.key, row.seconds = state.key, state.record and state.record.seconds
      rows[i] = row
   end
   return rows, last, dir, schedule_of
end

--- A step of the plan by its name; an error names the nearest.
---@param plan ftpipe.plan
function explain.find(plan, id)
   if plan.by_id[id] then
      for _, step in ipairs(plan.steps) do if step.id == id then return step end end
      failure.raise("usage", ("step '%s' is not needed for the model or the report"):format(id))
   end
   local names = {}
   for i, step in ipairs(plan.steps) do names[i] = step.id end
   local near = sys.nearest(id, names)
   failure.raise("usage", ("there is no step '%s'%s"):format(id, near and ("; did you mean '%s'?"):format(near)
      or "; there are: " .. table.concat(names, ", ")))
end

return explain
