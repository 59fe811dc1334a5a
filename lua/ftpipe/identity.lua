--- What a step is, as canonical data: equal data, equal result. Keys of the store are its digests.
--
-- Files appear by the digest of their bytes, never by path or time. A function appears by its tokens, the values of the
-- outer variables that it uses and the modules that it requires; what cannot be described so is an error that names the
-- variable.

local host = require "ftpipe.core.host"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local failure = require "ftpipe.failure"
local heads = require "ftpipe.head"
local source = require "ftpipe.source"
local reading = require "ftpipe.reading.files"
local environment = require "ftpipe.sandbox.environment"
local tokens_of = require "ftpipe.tokens_of"

local identity = {}
local array_meta = getmetatable(json.array {})

-- ==== The parts of the interface, by name ====

local libraries = { "string", "table", "math", "utf8", "coroutine" }
local api      -- object -> name, made on first use

local function add_parts(prefix, t, depth)
   for name, value in next, t do
      if type(name) == "string" and (type(value) == "table" or type(value) == "function") and not api[value] then
         api[value] = prefix .. name
         if type(value) == "table" and depth > 1 then add_parts(prefix .. name .. ".", value, depth - 1) end
      end
   end
end

local function api_name(value)
   if not api then
      api = {}
      local ft = require "ftpipe"
      api[ft], api[ft.nn] = "ft", "nn"
      add_parts("nn.", ft.nn, 1)
      add_parts("ft.", ft, 2)
      for _, name in ipairs(libraries) do add_parts(name .. ".", _G[name], 1) end
      for _, name in ipairs { "assert", "error", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget", "rawlen", "rawset",
         "select", "setmetatable", "getmetatable", "tonumber", "tostring", "type" } do api[_G[name]] = name end
      for _, name in ipairs(libraries) do api[_G[name]] = name end
   end
   return environment.name_of(value) or api[environment.original(value)]
end

-- ==== Values ====

local describe

local function sorted(t)
   local keys = {}
   for k in next, t do keys[#keys + 1] = k end
   table.sort(keys, function(a, b)
      if type(a) ~= type(b) then return type(a) < type(b) end
      return a < b
   end)
   return keys
end

local function module_text(seen, name)
   local text, chunk = heads.module(name)
   if not text or seen[chunk] then return nil end
   seen[chunk] = true
   local list = tokens_of.list(text)
   local out = { tokens = fs.sha256(table.concat(list, " ")), modules = {} }
   for _, inner in ipairs(tokens_of.required(list)) do out.modules[inner] = module_text(seen, inner) end
   return out
end

local function describe_function(f, seen, path)
   local name = api_name(f)
   if name then return { ["$api"] = name } end
   if seen[f] then return { ["$seen"] = seen[f] } end
   seen.count = (seen.count or 0) + 1
   seen[f] = seen.count
   local text = heads.source_of(f)
   if not text then error(("%s is a function whose source is not known"):format(path), 0) end
   local list = tokens_of.list(text)
   local out = { ["$function"] = fs.sha256(table.concat(list, " ")), outer = {}, modules = {} }
   local names, values = host.upvalues(f)
   for i, outer in ipairs(names) do
      if outer ~= "_ENV" then
         local ok, value = pcall(describe, values[i], seen, ("the outer variable '%s'"):format(outer))
         if not ok then error(("%s uses %s"):format(path, value), 0) end
         out.outer[outer] = value == nil and json.null or value
      end
   end
   for _, required in ipairs(tokens_of.required(list)) do out.modules[required] = module_text(seen, required) end
   return out
end

--- The source of a head of the pipeline's own (ftpipe.head), or nil for any other table. Calls no metamethod.
---@param t table
function identity.head_source(t)
   local own = rawget(t, "source")
   local is_head = type(own) == "table" and type(rawget(own, "build")) == "table" and type(rawget(own, "forward")) == "table"
      and rawget(t, "build") and rawget(t, "forward")
   return is_head and own or nil
end

local function describe_table(t, seen, path)
   local name = api_name(t)
   if name then return { ["$api"] = name } end
   if rawget(t, "is_step") then error(path .. ", a step: give it to the step as an input", 0) end
   local source_of = identity.head_source(t)
   if source_of then
      local parts = {}
      for _, what in ipairs { "build", "forward" } do
         parts[what] = { tokens = fs.sha256(tokens_of.text(source_of[what].text)), outer = source_of[what].outer }
      end
      return { ["$head"] = t.name, version = t.version, parts = parts }
   end
   if getmetatable(t) and getmetatable(t) ~= array_meta then error(path .. ", a table with a metatable", 0) end
   if seen[t] == "open" then error(path .. ", a table that contains itself", 0) end
   seen[t] = "open"
   local out, array = {}, #t > 0
   for _, k in ipairs(sorted(t)) do
      local value = describe(t[k], seen, ("%s.%s"):format(path, tostring(k)))
      if array and math.type(k) == "integer" and k >= 1 and k <= #t then
         out[k] = value
      else
         if array then error(path .. ", a table that is a list and has names too", 0) end
         out[type(k) == "string" and k or "#" .. tostring(k)] = value
      end
   end
   seen[t] = nil
   return array and json.array(out) or out
end

function describe(value, seen, path)
   local kind = type(value)
   if kind == "number" and (value ~= value or value == math.huge or value == -math.huge) then
      return { ["$number"] = tostring(value) }
   end
   if kind == "nil" or kind == "boolean" or kind == "number" or kind == "string" then return value end
   if kind == "function" then return describe_function(value, seen, path) end
   if kind == "table" then return describe_table(value, seen, path) end
   if value == json.null then return value end
   error(("%s, a %s; only plain data, functions of the pipeline's files and parts of ftpipe can be"):format(path, kind), 0)
end

--- A parameter's value as canonical plain data. Raises a text that names what has no such form.
---@param value any
---@param path string how to call it in an error
function identity.value(value, path)
   if type(value) == "string" or type(value) == "boolean" or math.type(value) == "integer" then return value end
   return describe(value, {}, path)
end

-- ==== Files ====

local function relative(dir, path)
   local base = dir:gsub("/+$", "") .. "/"
   return path:sub(1, #base) == base and path:sub(#base + 1) or nil
end

-- A text that is a file of the step, or the folder of some, as the digests of what is there.
local function file_value(text, files)
   for _, f in ipairs(files) do
      -- the name's ending decides how a file is read
      if f.path == text then return { ["$file"] = f.digest or "missing", ending = text:match "%.([%w]+)$" } end
   end
   if text:find "[*?]" then      -- a pattern: its files in their order, by content
      local known, some = {}, json.array {}
      for _, f in ipairs(files) do known[f.path] = f end
      for i, path in ipairs(reading.expand(text)) do
         local f = known[path]
         some[i] = { digest = f and f.digest or "missing", ending = path:match "%.([%w]+)$" }
      end
      if #some > 0 then return { ["$files"] = some } end
   end
   local inside = {}
   for _, f in ipairs(files) do
      local name = relative(text, f.path)
      if name and f.digest then inside[name] = f.digest end
   end
   return next(inside) and { ["$folder"] = inside } or nil
end

local function with_files(value, files)
   if type(value) == "string" then return file_value(value, files) or value end
   if type(value) ~= "table" then return value end
   local out = {}
   for k, v in pairs(value) do out[k] = with_files(v, files) end
   return getmetatable(value) and json.array(out) or out
end

-- Files of the step that no parameter names.
local function unnamed(params, files)
   local out, named = json.array {}, {}
   for _, value in pairs(params) do
      for _, text in ipairs(type(value) == "table" and value or { value }) do
         named[text] = true
         local several = type(text) == "string" and text:find "[*?]" and reading.expand(text) or {}
         for _, path in ipairs(several) do named[path] = true end
      end
   end
   for _, f in ipairs(files) do
      local inside = false
      for text in pairs(named) do inside = inside or type(text) == "string" and relative(text, f.path) ~= nil end
      if not named[f.path] and not inside then out[#out + 1] = { name = f.path:match "[^/]*$", digest = f.digest } end
   end
   return #out > 0 and out or nil
end

-- Parameters with web addresses, names on a hub and members of archives as paths: what they hold counts, not what they are
-- called.
local function resolve(step)
   local out, foreign = setmetatable({}, { __index = step.params }), {}
   if not step.unit.files then return step.params, foreign end
   for k, v in pairs(step.params) do out[k] = v end
   if step.unit.outside then
      for k, v in pairs(step.unit.outside(step.params)) do out[k], foreign[k] = v or nil, true end
      return out, foreign
   end
   for _, name in ipairs(step.unit.sources or { "from" }) do
      local value, paths = step.params[name], {}
      for i, text in ipairs(type(value) == "table" and value or { value }) do
         foreign[name] = foreign[name] or source.is_foreign(text)
         paths[i] = type(text) == "string" and source.is_foreign(text) and source.path(text, source.hub_type(step)) or text
      end
      if foreign[name] then out[name] = type(value) == "table" and json.array(paths) or paths[1] end
   end
   return out, foreign
end

-- ==== Steps ====

--- Canonical data of a step without its inputs, and without parameters of which no bit of the result depends (same_bits).
---@param step table of the plan
---@param plan ftpipe.plan
---@param digest_of fun(path: string): string|nil
function identity.of(step, plan, digest_of)
   local unit, files, params = step.unit, {}, {}
   local resolved, foreign = resolve(step)
   for i, path in ipairs(unit.files and unit.files(step.params) or {}) do files[i] = { path = path, digest = digest_of(path) } end
   for name, value in pairs(step.params) do
      local ok, described = pcall(identity.value, value, name)
      if not ok then failure.raise("usage", ("%s: step '%s': %s"):format(step.where, step.id, described)) end
      if foreign[name] then described = resolved[name] end
      local spec = unit.params and unit.params[name]
      if not (spec and spec.same_bits) then params[name] = with_files(described, files) end
   end
   return { kind = step.kind, version = step.version, params = params, files = unnamed(resolved, files),
      seed = not unit.seedless and plan.seed or nil }
end

--- The key of a step: identity, and inputs as digests of content.
---@param own table from identity.of
---@param inputs table<string, string|table<string, string>>
---@param engine string? what computes, where that decides about bits
---@param format integer of the store
function identity.key(own, inputs, engine, format)
   local all = { inputs = inputs, engine = engine, format = format }
   for k, v in pairs(own) do all[k] = v end
   return fs.sha256(json.encode(all)), all
end

return identity
