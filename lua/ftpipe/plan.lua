--- The plan: what a pipeline file describes, as pure data. Nothing has run when it exists.
--
-- A step is { id, kind, version, params, inputs, where }. Its handle, which the pipeline file wires
-- into other steps, is opaque there. Steps are ordered so that inputs come first.

local host = require "ftpipe.core.host"
local json = require "ftpipe.core.json"
local fs = require "ftpipe.core.fs"
local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"
local identity = require "ftpipe.identity"
local sandbox = require "ftpipe.sandbox"

local plan = {}
plan.__index = plan

local handle_meta = { __tostring = function(h) return "step " .. h.id end, __metatable = "step" }

---@class ftpipe.handle what a step constructor gives; pass it to other steps

function plan.new(name) return setmetatable({ name = name, steps = {}, by_id = {}, numbers = {} }, plan) end

local function is_handle(x) return type(x) == "table" and rawget(x, "is_step") == true end
plan.is_handle = is_handle

local function sorted(t)
   local keys = {}
   for k in pairs(t) do keys[#keys + 1] = k end
   table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
   return keys
end

function plan.check_type(where, kind, name, spec, value)
   local function fail(text)
      failure.raise("usage", ("%s: %s: %s %s"):format(where, kind, name, text))
   end
   if spec.choices then
      for _, c in ipairs(spec.choices) do if c == value then return end end
      local names = {}
      for i, c in ipairs(spec.choices) do names[i] = tostring(c) end
      local near = type(value) == "string" and sys.nearest(value, names)
      fail(("= %s is not one of %s%s"):format(tostring(value), table.concat(names, ", "),
         near and ("; did you mean '%s'?"):format(near) or ""))
   end
   if value == "auto" and spec.default == "auto" then return end
   local t = spec.type
   if (t == "number" and type(value) ~= "number") or (t == "integer" and math.type(value) ~= "integer")
      or (t == "boolean" and type(value) ~= "boolean") or (t == "string" and type(value) ~= "string")
      or (t == "list" and type(value) ~= "table") then
      fail(("must be %s, got %s"):format(t, type(value)))
   end
   if type(value) == "number" and ((spec.min and value < spec.min) or (spec.max and value > spec.max)) then
      fail(("= %s is out of range (%s to %s)"):format(value, spec.min or "-inf", spec.max or "inf"))
   end
end

--- Names become parts of paths.
function plan.check_name(where, what, name)
   if sandbox.on "names" and (#name > 100 or name:find "^%.*$" or name:find "^%." or name:find "[/%c]") then
      failure.raise("usage", ("%s: %s '%s': a name has no \"/\", begins with no dot and has 1 to 100 bytes"):format(where, what,
         (name:gsub("%c", "?"):sub(1, 100))))
   end
end

-- Names of inputs and parameters of a step kind.
local function names_of(unit)
   local known = {}
   for name in pairs(unit.inputs) do known[#known + 1] = name end
   for name in pairs(unit.params) do known[#known + 1] = name end
   table.sort(known)
   return known
end

-- Split the constructor's table into inputs (steps) and parameters, both checked against the kind.
local function sort_arguments(unit, args, where)
   local inputs, params = {}, {}
   for _, key in ipairs(sorted(args)) do
      local value = args[key]
      local input, spec = unit.inputs[key], unit.params[key]
      if input and (input == "list" and type(value) == "table" and not is_handle(value)) then
         inputs[key] = {}
         for name, h in pairs(value) do
            if not is_handle(h) then
               failure.raise("usage", ("%s: %s: %s.%s must be a step"):format(where, unit.kind, key, tostring(name)))
            end
            inputs[key][name] = h.id
         end
      elseif input and is_handle(value) then
         inputs[key] = value.id
      elseif input and not spec then
         failure.raise("usage", ("%s: %s: %s must be a step, got %s"):format(where, unit.kind, key, type(value)))
      elseif spec then
         plan.check_type(where, unit.kind, key, spec, value)
         params[key] = value
      elseif key ~= "name" then
         local near = sys.nearest(tostring(key), names_of(unit))
         failure.raise("usage", ("%s: %s has no option '%s'%s"):format(where, unit.kind, tostring(key),
            near and ("; did you mean '%s'?"):format(near) or ""))
      end
   end
   for name, how in pairs(unit.inputs) do
      if how == "required" and not inputs[name] then
         failure.raise("usage", ("%s: %s: input '%s' is missing"):format(where, unit.kind, name))
      end
   end
   for name, spec in pairs(unit.params) do
      if params[name] == nil then params[name] = spec.default end
      if params[name] == nil and spec.required then
         failure.raise("usage", ("%s: %s: option '%s' is missing"):format(where, unit.kind, name))
      end
   end
   return inputs, params
end

--- Add a step; the caller's file:line is found at stack level `level`.
---@return ftpipe.handle
function plan:add(unit, args, level)
   local where, source, line = host.where(level)
   where = where or "?"
   if type(args) ~= "table" then failure.raise("usage", ("%s: %s takes a table"):format(where, unit.kind)) end
   local inputs, params = sort_arguments(unit, args, where)
   local base = args.name or unit.kind
   if type(base) ~= "string" then failure.raise("usage", ("%s: %s: name must be a string"):format(where, unit.kind)) end
   plan.check_name(where, unit.kind, base)
   local id, n = base, self.numbers[base] or 1      -- where the last one of the same kind found a free number
   while self.by_id[id] do
      if args.name then failure.raise("usage", ("%s: a step called '%s' exists already"):format(where, id)) end
      n = n + 1
      id = base .. "_" .. n
   end
   self.numbers[base] = n
   local step = { id = id, kind = unit.kind, version = unit.version, params = params, inputs = inputs, where = where,
      unit = unit, source = source, line = line }
   self.steps[#self.steps + 1] = step
   self.by_id[id] = step
   return setmetatable({ is_step = true, id = id }, handle_meta)
end

--- Ids of the steps that a step reads, in a fixed order.
function plan.inputs_of(step)
   local out = {}
   for _, key in ipairs(sorted(step.inputs)) do
      local v = step.inputs[key]
      if type(v) == "table" then
         for _, name in ipairs(sorted(v)) do out[#out + 1] = v[name] end
      else
         out[#out + 1] = v
      end
   end
   return out
end

--- Keep only what the goals need.
function plan:prune(goals)
   local wanted = {}
   local function want(id)
      if wanted[id] then return end
      wanted[id] = true
      for _, input in ipairs(plan.inputs_of(self.by_id[id])) do want(input) end
   end
   for _, id in ipairs(goals) do want(id) end
   local kept = {}
   for _, step in ipairs(self.steps) do
      if wanted[step.id] then kept[#kept + 1] = step end
   end
   self.steps = kept
end

-- Functions and heads appear in the plan by what identifies them.
local function plain(value, name, where)
   local ok, described = pcall(identity.value, value, name)
   if not ok then failure.raise("usage", ("%s: %s"):format(where, described)) end
   return described
end

local function plain_params(step)
   local out = {}
   for name, value in pairs(step.params) do
      local simple = type(value) ~= "table" and type(value) ~= "function" and type(value) ~= "number"
      if simple then out[name] = value else out[name] = plain(value, name, step.where) end
   end
   return out
end

--- The plan as a plain table.
function plan:data()
   local steps = json.array {}
   for i, s in ipairs(self.steps) do
      steps[i] = { id = s.id, kind = s.kind, version = s.version, params = plain_params(s), inputs = s.inputs, where = s.where }
   end
   return { name = self.name, api = 1, seed = self.seed, steps = steps, model = self.model, report = self.report,
      weights = self.weights, outputs = self.outputs }
end

function plan:json() return json.encode(self:data()) .. "\n" end

--- What an unfinished run must share with this plan to be continued: steps, wiring, the bytes of the input files; no file
-- position and no path.
---@param identities table<string, table> of the steps, by id
function plan:digest(identities)
   local steps = json.array {}
   for i, s in ipairs(self.steps) do steps[i] = { id = s.id, is = identities[s.id], inputs = s.inputs } end
   return fs.sha256(json.encode { name = self.name, seed = self.seed, steps = steps, model = self.model, report = self.report,
      weights = self.weights })
end

local function value_text(v)
   if type(v) == "table" or type(v) == "function" then return json.encode(plain(v, "value", "")) end
   return tostring(v)
end

--- Keep only one step and what it needs.
---@param id string
function plan:cut(id)
   self:prune { id }
   local kept = {}
   for _, step in ipairs(self.steps) do kept[step.id] = true end
   if not kept[self.model] then self.model = nil end
   if not kept[self.report] then self.report = nil end
   self.outputs = nil
end

--- The plan for people: one block per step.
---@param notes? table<string, string> a line about each step, by id
---@param more? table<string, string> another one
function plan:text(notes, more)
   local lines = { ("%s: %d steps, seed %d"):format(self.name, #self.steps, self.seed) }
   for _, s in ipairs(self.steps) do
      lines[#lines + 1] = ""
      local from = plan.inputs_of(s)
      lines[#lines + 1] = ("  %s%s   (%s)"):format(s.id, #from > 0 and " <- " .. table.concat(from, ", ") or "", s.where)
      if notes and notes[s.id] then lines[#lines + 1] = "      " .. notes[s.id] end
      if more and more[s.id] then lines[#lines + 1] = "      " .. more[s.id] end
      local auto = s.unit.resolve and s.unit.resolve(s.params, self, s) or {}
      for _, key in ipairs(sorted(s.params)) do
         local v = s.params[key]
         local text = value_text(v)
         if v == "auto" and s.unit.params[key].type ~= "string" then
            text = auto[key] ~= nil and ("auto = %s"):format(value_text(auto[key])) or "auto (known once its inputs exist)"
         end
         lines[#lines + 1] = ("      %-16s %s"):format(key, text)
      end
   end
   return table.concat(lines, "\n") .. "\n"
end

return plan
