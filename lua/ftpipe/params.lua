--- Declared parameters of a pipeline: typed, with defaults, ranges, choices and help.
--
--   ft.params { lr = { default = "auto", min = 0, help = "learning rate" } }
--
-- Values come from the command line (--set name=value) as text and are checked against the
-- declaration; all problems are reported together, before anything runs. A "path" given on the
-- command line is relative to where one stands, one given in the file to that file.

local sys = require "ftpipe.core.sys"

local params = {}

---@class ftpipe.param_spec
---@field default any            nil: no value unless required
---@field type string?           "number", "integer", "boolean", "string", "list", "path", "map"; else from the default
---@field min number?
---@field max number?
---@field choices any[]?
---@field required boolean?
---@field help string?

local types = { number = true, integer = true, boolean = true, string = true, list = true, path = true, map = true }

local function type_of(spec)
   if spec.type then return spec.type end
   local d = spec.default
   if math.type(d) == "integer" then return "integer" end
   if type(d) == "number" then return "number" end
   if type(d) == "boolean" then return "boolean" end
   if type(d) == "table" then return "list" end
   if d == "auto" and not spec.choices then return "number" end
   return "string"
end

local function join(base, path)
   if path:find("^/") or path:find("^%a[%w+.-]*:") then return path end
   return base == "" and path or base .. "/" .. path
end
params.join = join

local converters = {}
function converters.number(text) return tonumber(text) end
function converters.integer(text) return math.tointeger(tonumber(text)) end
function converters.boolean(text)
   if text == "true" or text == "yes" or text == "1" then return true end
   if text == "false" or text == "no" or text == "0" then return false end
end
function converters.string(text) return text end
function converters.path(text) return text end
function converters.list(text)
   local out = {}
   for item in (text .. ","):gmatch("([^,]*),") do out[#out + 1] = item end
   return out
end
-- "1:neg,2:neg,5:pos": an ordered table { {from, to}, ... }
function converters.map(text)
   local out = {}
   for item in (text .. ","):gmatch("([^,]*),") do
      local from, to = item:match("^(.-):(.*)$")
      if not from then return nil end
      out[#out + 1] = { from, to }
   end
   return out
end

local expectation = { number = "a number", integer = "a whole number", boolean = "true or false", string = "text",
   path = "a path", list = "values separated by commas", map = "pairs from:to separated by commas" }

local function in_range(value, spec)
   if type(value) ~= "number" then return true end
   return (not spec.min or value >= spec.min) and (not spec.max or value <= spec.max)
end

local function range_text(spec)
   if spec.min and spec.max then return ("%s to %s"):format(spec.min, spec.max) end
   return spec.min and ("at least %s"):format(spec.min) or ("at most %s"):format(spec.max)
end

local function chosen(value, choices)
   for _, c in ipairs(choices) do if c == value then return true end end
   return false
end

local function check(name, spec, kind, value, problems)
   if value == "auto" and spec.default == "auto" then return value end
   if not in_range(value, spec) then
      problems[#problems + 1] = ("%s = %s is out of range: %s"):format(name, tostring(value), range_text(spec))
   elseif spec.choices and kind ~= "list" and not chosen(value, spec.choices) then
      local names = {}
      for i, c in ipairs(spec.choices) do names[i] = tostring(c) end
      local near = sys.nearest(tostring(value), names)
      problems[#problems + 1] = ("%s = %s is not one of %s%s"):format(name, tostring(value), table.concat(names, ", "),
         near and ("; did you mean '%s'?"):format(near) or "")
   end
   return value
end

local function names_of(specs)
   local names = {}
   for name in pairs(specs) do names[#names + 1] = name end
   table.sort(names)
   return names
end

local function value_of(name, spec, given, context, problems)
   local kind = type_of(spec)
   if not types[kind] then problems[#problems + 1] = ("%s: unknown type '%s'"):format(name, kind) return nil end
   if given ~= nil then
      if given == "auto" and spec.default == "auto" then return "auto" end
      local value = converters[kind](given)
      if value == nil then
         problems[#problems + 1] = ("%s = '%s': expected %s%s"):format(name, given, expectation[kind],
            spec.default == "auto" and ", or auto" or "")
         return nil
      end
      if kind == "path" then value = join(context.cwd, value) end
      return check(name, spec, kind, value, problems)
   end
   local value = spec.default
   if value == nil then
      if spec.required then problems[#problems + 1] = ("%s is required: --set %s=%s"):format(name, name, kind:upper()) end
      return nil
   end
   if kind == "path" then value = join(context.dir, value) end
   return check(name, spec, kind, value, problems)
end

--- Resolve declarations against what the command line gave.
---@param specs table<string, ftpipe.param_spec>
---@param context { given: table<string,string>, cwd: string, dir: string, file: string }
---@return table values, table[] described
function params.resolve(specs, context)
   local problems, values, described = {}, {}, {}
   local names = names_of(specs)
   for _, name in ipairs(names) do
      local spec = specs[name]
      if type(spec) ~= "table" then spec = { default = spec } end
      values[name] = value_of(name, spec, context.given[name], context, problems)
      described[#described + 1] = { name = name, type = type_of(spec), default = spec.default, value = values[name],
         help = spec.help, choices = spec.choices, min = spec.min, max = spec.max, required = spec.required or false }
   end
   local unknown = {}
   for name in pairs(context.given) do if not specs[name] then unknown[#unknown + 1] = name end end
   table.sort(unknown)
   for _, name in ipairs(unknown) do
      local near = sys.nearest(name, names)
      problems[#problems + 1] = ("there is no parameter '%s'%s"):format(name,
         near and ("; did you mean '%s'?"):format(near) or ("; there are: " .. table.concat(names, ", ")))
   end
   return values, described, problems
end

return params
