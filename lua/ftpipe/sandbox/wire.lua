--- A plan as JSON, the way it comes out of the process that evaluated the file, and a plan again.
--
-- Plain values go through exactly, also those that JSON has no form for: { "$": "number" | "float" | "bytes" | "table" | "map",
-- "of": ... }. A function becomes what identifies it ({ "$": "code", ... }): the plan that is read back can be shown, keyed
-- and scheduled, but not run where one of its steps has code. What is read is not trusted: every step is checked
-- against its kind.

local json = require "ftpipe.core.json"
local failure = require "ftpipe.failure"
local identity = require "ftpipe.identity"
local plan_of = require "ftpipe.plan"

local wire = {}

-- ==== Values ====

local encode

local function hex(text) return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end

local function encode_number(x)
   if math.type(x) == "integer" then return x end
   if x ~= x or x == math.huge or x == -math.huge then
      return { ["$"] = "number", of = x ~= x and "nan" or x > 0 and "inf" or "-inf" }
   end
   if x == math.floor(x) then return { ["$"] = "float", of = ("%.0f"):format(x) } end
   return x
end

local function is_list(t)
   local n = 0
   for _ in next, t do n = n + 1 end
   return n == #t
end

-- Whether a value has a function or a head of the pipeline's own in it.
local function has_code(value, seen)
   if type(value) == "function" then return true end
   if type(value) ~= "table" or seen[value] then return false end
   seen[value] = true
   if identity.head_source(value) then return true end
   for _, v in next, value do if has_code(v, seen) then return true end end
   return false
end

local function encode_table(t, path, depth)
   if depth > 100 then error(path .. " is nested too deep, or contains itself", 0) end
   local out = json.array {}
   if is_list(t) then
      for i, v in ipairs(t) do out[i] = encode(v, path, depth + 1) end
      return #out > 0 and out or { ["$"] = "table", of = out }
   end
   local keys = {}
   for k in next, t do
      if type(k) ~= "string" and math.type(k) ~= "integer" then error(("%s has a key that is a %s"):format(path, type(k)), 0) end
      keys[#keys + 1] = k
   end
   table.sort(keys, function(a, b)
      if type(a) ~= type(b) then return type(a) < type(b) end
      return a < b
   end)
   for i, k in ipairs(keys) do out[i] = json.array { encode(k, path, depth + 1), encode(t[k], path, depth + 1) } end
   return { ["$"] = "map", of = out }
end

function encode(value, path, depth)
   if type(value) == "number" then return encode_number(value) end
   if type(value) == "string" then
      if utf8.len(value) and not value:find "%z" then return value end
      return { ["$"] = "bytes", of = hex(value) }
   end
   if type(value) == "table" then return encode_table(value, path, depth) end
   if type(value) == "boolean" or value == json.null then return value end
   error(("%s is a %s; only plain data, functions and parts of ftpipe can be"):format(path, type(value)), 0)
end

local decode

local special = {}
local function text_of(of)
   if type(of) ~= "string" then error("a value of another form", 0) end
   return of
end

local function table_of(of)
   if type(of) ~= "table" then error("a value of another form", 0) end
   return of
end

function special.number(of) return of == "nan" and 0 / 0 or of == "inf" and math.huge or -math.huge end
function special.float(of)
   local x = tonumber(text_of(of))
   return x and x + 0.0 or error("a number of another form", 0)
end
function special.bytes(of) return (text_of(of):gsub("%x%x", function(x) return string.char(tonumber(x, 16)) end)) end
function special.table(of)
   local out = {}
   for i, v in ipairs(table_of(of)) do out[i] = decode(v) end
   return out
end
function special.map(of)
   local out = {}
   for _, pair in ipairs(table_of(of)) do
      local key = decode(table_of(pair)[1])
      if type(key) ~= "string" and math.type(key) ~= "integer" then error("a key of another form", 0) end
      out[key] = decode(pair[2])
   end
   return out
end
function special.code(of) return of end      -- what identifies it, as it stands in keys

function decode(value)
   if type(value) ~= "table" then return value end
   local kind = value["$"]
   if kind ~= nil then
      if not special[kind] then error("unknown value", 0) end
      return special[kind](value.of)
   end
   return special.table(value)
end

local function encode_param(value, name, where, id)
   if math.type(value) == "integer" or type(value) == "boolean" then return value end
   if type(value) == "string" and not value:find "[^ -~]" then return value end      -- most are
   if has_code(value, {}) then
      local ok, described = pcall(identity.value, value, name)
      if not ok then failure.raise("usage", ("%s: step '%s': %s"):format(where, id, described)) end
      return { ["$"] = "code", of = described }
   end
   local ok, encoded = pcall(encode, value, name, 0)
   if not ok then failure.raise("usage", ("%s: step '%s': %s"):format(where, id, encoded)) end
   return encoded
end

-- ==== Plans ====

local function step_out(step)
   local params = {}
   for name, value in pairs(step.params) do params[name] = encode_param(value, name, step.where, step.id) end
   return { id = step.id, kind = step.kind, version = step.version, params = params, inputs = step.inputs, where = step.where,
      line = step.line }
end

local function params_out(list)
   local out = json.array {}
   for i, p in ipairs(list) do
      local one = {}
      for k, v in pairs(p) do one[k] = encode(v, "parameter " .. p.name, 0) end
      out[i] = one
   end
   return out
end

--- Described parameters of a file as plain JSON data.
wire.params_out = params_out

--- And back.
function wire.params_in(list)
   local out = {}
   for i, p in ipairs(list) do
      out[i] = {}
      for k, v in pairs(p) do out[i][k] = decode(v) end
   end
   return out
end

--- A plan as plain data; the same file and parameters give the same.
---@param plan ftpipe.plan
function wire.out(plan)
   local steps, unused, kept = json.array {}, json.array {}, {}
   for i, step in ipairs(plan.steps) do
      steps[i] = step_out(step)
      kept[step.id] = true
   end
   for id, step in pairs(plan.by_id) do
      if not kept[id] then unused[#unused + 1] = { id = id, where = step.where } end
   end
   table.sort(unused, function(a, b) return a.id < b.id end)
   return { name = plan.name, seed = plan.seed, weights = plan.weights, model = plan.model, report = plan.report,
      outputs = plan.outputs, steps = steps, unused = unused, params = params_out(plan.params or {}) }
end

-- A step of the pipeline's own, which only a process that evaluated the file can run.
local function unit_of_code(data)
   local inputs = {}
   for name in pairs(data.inputs) do inputs[name] = "required" end
   return { kind = "lua", version = data.version, inputs = inputs, params = { run = { required = true } },
      run = function() error("a step's Lua runs only where its file was evaluated") end }
end

local function is_code(value) return type(value) == "table" and value["$"] == "code" end

-- Whether all that a step reads stands before it, and it reads what its kind must.
local function check_inputs(data, unit, known)
   for name, how in pairs(unit.inputs) do
      if how == "required" and data.kind ~= "lua" and type(data.inputs[name]) ~= "string" then
         error(("step '%s': input '%s' is missing"):format(data.id, name), 0)
      end
   end
   for name, from in pairs(data.inputs) do
      for _, id in pairs(type(from) == "table" and from or { from }) do
         if type(id) ~= "string" or not known[id] then error(("step '%s': input '%s' leads nowhere"):format(data.id, name), 0) end
      end
   end
end

local function step_in(data, kinds, known)
   if type(data) ~= "table" or type(data.id) ~= "string" or type(data.inputs) ~= "table"
      or type(data.params) ~= "table" or known[data.id] then
      error("a step without name, inputs or parameters", 0)
   end
   local where = tostring(data.where)
   local unit = data.kind == "lua" and unit_of_code(data) or kinds[data.kind]
   if not unit then error(("there is no kind '%s'"):format(tostring(data.kind)), 0) end
   plan_of.check_name(where, unit.kind, data.id)
   check_inputs(data, unit, known)
   local step = { id = data.id, kind = unit.kind, version = unit.version, inputs = data.inputs, where = where, unit = unit,
      line = data.line, params = {}, has_code = unit.kind == "lua" }
   for name, value in pairs(data.params) do
      local code = is_code(value)
      step.params[name] = decode(value)
      step.has_code = step.has_code or code
      if not unit.params[name] then error(("%s has no option '%s'"):format(unit.kind, name), 0) end
      if not code then plan_of.check_type(where, unit.kind, name, unit.params[name], step.params[name]) end
   end
   return step
end

local function is_goal(x) return x == nil or type(x) == "string" end

-- The outer form of a plan; raises where something is of another type than it must be.
local function check_form(data)
   local weights = { f32 = true, f16 = true, bf16 = true }
   local ok = type(data) == "table" and type(data.name) == "string" and math.type(data.seed) == "integer"
      and (data.weights == nil or weights[data.weights]) and is_goal(data.model) and is_goal(data.report)
      and (data.outputs == nil or type(data.outputs) == "table") and type(data.steps) == "table"
      and type(data.unused) == "table" and type(data.params) == "table"
   if not ok then error("a plan of another form", 0) end
   for _, u in ipairs(data.unused) do
      if type(u) ~= "table" or type(u.id) ~= "string" then error("an unused step of another form", 0) end
   end
   for _, p in ipairs(data.params) do
      if type(p) ~= "table" or type(p.name) ~= "string" then error("a parameter of another form", 0) end
   end
end

--- A plan from what wire.out gave, each step with has_code where it has functions of the file.
---@param data table
---@param file string
---@return ftpipe.plan
function wire.into(data, file)
   check_form(data)
   local plan, kinds = plan_of.new(file), require "ftpipe.step"
   plan.name, plan.seed, plan.weights = data.name, data.seed, data.weights
   plan.model, plan.report, plan.outputs, plan.file = data.model, data.report, data.outputs, file
   plan_of.check_name(file, "pipeline", plan.name)
   for i, s in ipairs(data.steps) do
      local step = step_in(s, kinds, plan.by_id)
      plan.steps[i], plan.by_id[step.id] = step, step
      plan.has_code = plan.has_code or step.has_code
   end
   for _, goal in ipairs { plan.model or false, plan.report or false } do
      if goal and not plan.by_id[goal] then error("a goal that is no step", 0) end
   end
   for _, id in pairs(plan.outputs or {}) do if not plan.by_id[id] then error("an output that is no step", 0) end end
   for _, u in ipairs(data.unused) do plan.by_id[u.id] = plan.by_id[u.id] or { id = u.id, where = tostring(u.where) } end
   plan.params = wire.params_in(data.params)
   return plan
end

return wire
