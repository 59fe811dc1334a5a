--- The environment of a pipeline's Lua: the parts of the language that compute, and nothing that reaches beyond.
--
-- What differs from plain Lua: library tables and ftpipe's own are read-only; `pairs` goes in a fixed order and random numbers
-- begin at a fixed seed, so that a file gives the same plan every time; a metatable cannot have __gc, whose functions
-- would run when no limit counts any more; there is no xpcall, whose handlers would; metatables of what ftpipe hands
-- out cannot be had; and there is no load, io, os or debug.

local sandbox = require "ftpipe.sandbox"
local sys = require "ftpipe.core.sys"

local environment = {}

-- ==== Read-only tables ====

local original = setmetatable({}, { __mode = "k" })      -- read-only table -> what it shows
local frozen = setmetatable({}, { __mode = "k" })        -- the other way
local plain = { assert = assert, error = error, ipairs = ipairs, next = next, pcall = pcall, rawequal = rawequal,
   rawget = rawget, rawlen = rawlen, select = select, tonumber = tonumber, tostring = tostring, type = type }
local names_of = setmetatable({}, { __mode = "k" })      -- functions and tables made here -> their usual names

local function order(a, b)
   local ta, tb = type(a), type(b)
   if ta ~= tb then return ta < tb end
   if ta == "number" or ta == "string" then return a < b end
   return tostring(a) < tostring(b)
end

-- Keys of a table in a fixed order, as far as they have one.
local function sorted_keys(t)
   local keys, n = {}, 0
   for k in next, t do
      n = n + 1
      keys[n] = k
   end
   table.sort(keys, order)
   return keys
end

local function ordered_next(t, keys)
   local i = 0
   return function()
      while true do
         i = i + 1
         local k = keys[i]
         if k == nil then return nil end
         local v = rawget(t, k)
         if v ~= nil then return k, v end
      end
   end
end

local function ordered_pairs(t)
   local meta = getmetatable(t)
   local own = type(meta) == "table" and rawget(meta, "__pairs")
   if own then return own(t) end
   local shown = original[t] or t
   if type(shown) ~= "table" then error(("bad argument #1 to 'pairs' (table expected, got %s)"):format(type(t)), 2) end
   return ordered_next(shown, sorted_keys(shown)), t, nil
end
names_of[ordered_pairs] = "pairs"

--- A read-only view of a table; always the same one for the same table.
---@param t table
---@param name string for the error
function environment.freeze(t, name)
   if not sandbox.on "libraries" then return t end
   if frozen[t] then return frozen[t] end
   local view = setmetatable({}, { __index = t, __metatable = false, __len = function() return #t end,
      __newindex = function(_, key) error(("%s is read-only: '%s' cannot be changed"):format(name, tostring(key)), 2) end,
      __call = getmetatable(t) and getmetatable(t).__call and function(_, ...) return t(...) end or nil })
   original[view], frozen[t] = t, view
   return view
end

--- What a read-only view shows, else the value itself.
function environment.original(value) return original[value] or value end

--- Say what a view is called where a step that uses it is described.
function environment.call(view, name) names_of[view] = name end

--- The usual name of a function that stands for one of the language's, or nil.
function environment.name_of(value) return names_of[value] end

-- ==== Metatables ====

local own_metatables = setmetatable({}, { __mode = "k" })      -- those that scripts have set

local function safe_setmetatable(t, meta)
   if type(t) ~= "table" then error(("bad argument #1 to 'setmetatable' (table expected, got %s)"):format(type(t)), 2) end
   if meta ~= nil and type(meta) ~= "table" then error("bad argument #2 to 'setmetatable' (nil or table expected)", 2) end
   if meta and rawget(meta, "__gc") ~= nil and sandbox.on "finalizers" then
      error("a metatable with __gc: a pipeline file cannot have finalizers", 2)
   end
   local before = getmetatable(t)
   if before ~= nil and not own_metatables[before] then error("cannot change a protected metatable", 2) end
   if meta then own_metatables[meta] = true end
   return setmetatable(t, meta)
end
names_of[safe_setmetatable] = "setmetatable"

local function safe_getmetatable(value)
   local meta = getmetatable(value)
   if not sandbox.on "metatables" or (meta ~= nil and own_metatables[meta]) or type(meta) ~= "table" then return meta end
   return false      -- there is one, but it is not the script's
end
names_of[safe_getmetatable] = "getmetatable"

local function safe_rawset(t, key, value)
   if original[t] then error("a read-only table cannot be changed", 2) end
   return rawset(t, key, value)
end
names_of[safe_rawset] = "rawset"

-- ==== Libraries ====

local function copy(t)
   local out = {}
   for k, v in next, t do out[k] = v end
   return out
end

-- Without an argument the generator would begin anywhere.
local function safe_randomseed(first, ...)
   if first == nil then error("math.randomseed needs a number here: what a pipeline computes must not depend on chance", 2) end
   return math.randomseed(first, ...)
end

local made = { pairs = ordered_pairs, setmetatable = safe_setmetatable, getmetatable = safe_getmetatable, rawset = safe_rawset }
local libraries

local function make_libraries()
   local maths = copy(math)
   maths.randomseed = safe_randomseed
   names_of[safe_randomseed] = "math.randomseed"
   math.randomseed(42)
   libraries = { math = environment.freeze(maths, "math") }
   for _, name in ipairs { "string", "table", "utf8", "coroutine" } do
      libraries[name] = environment.freeze(sandbox.on "libraries" and copy(_G[name]) or _G[name], name)
   end
   for name, library in pairs(libraries) do names_of[library] = name end
end

--- One of the language's parts as scripts see it, by its name.
function environment.part(name)
   if not libraries then make_libraries() end
   return libraries[name] or made[name] or plain[name]
end

local MOST = 1 << 20      -- bytes that a file may print while it is evaluated

local function printer()
   local left = MOST
   return function(...)
      local parts = {}
      for i = 1, select("#", ...) do parts[i] = tostring((select(i, ...))) end
      local text = table.concat(parts, "\t") .. "\n"
      if sandbox.on "output" then
         text = text:gsub("[%c\x7f]", function(c) return c ~= "\n" and c ~= "\t" and "?" or nil end)
         left = left - #text
         if left < 0 then error("this file prints more than 1 MiB", 2) end
      end
      sys.err(text)
   end
end

--- What there would be without an environment of its own: all that ftpipe has.
function environment.everything(require_function)
   return setmetatable({ host_require = function(name)
      local ok, value = pcall(require, name)
      return ok and value or require_function(name)
   end }, { __index = _G })
end

--- A new environment for a pipeline file and its modules.
---@param require_function fun(name: string): any
function environment.new(require_function)
   if not libraries then make_libraries() end
   local env = copy(plain)
   for name, library in pairs(libraries) do env[name] = library end
   for name, f in pairs(made) do env[name] = f end
   env._VERSION, env.require, env.print, env._G = _VERSION, require_function, printer(), env
   if not sandbox.on "absence" then
      for _, name in ipairs { "io", "os", "debug", "package", "load", "loadfile", "dofile", "collectgarbage" } do
         env[name] = _G[name]
      end
   end
   if not sandbox.on "handlers" then env.xpcall = xpcall end
   if not sandbox.on "environment" then return setmetatable(env, { __index = environment.everything(require_function) }) end
   return setmetatable(env, {
      __index = function(_, name) error(("undefined variable '%s'"):format(tostring(name)), 2) end,
      __newindex = function(_, name) error(("assignment to undeclared variable '%s' (use 'local')"):format(tostring(name)), 2) end,
      __metatable = false,
   })
end

return environment
