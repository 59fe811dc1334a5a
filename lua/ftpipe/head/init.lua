--- Heads by name, and heads that a pipeline file defines.
--
-- A head of one's own must survive the pipeline: its source text travels in the model directory
-- and is compiled again there, so build and forward may use only `nn`, `ft` and plain data.

local host = require "ftpipe.core.host"
local nn = require "ftpipe.nn"

local heads = {}
local units = { classification = require "ftpipe.head.classification" }
local sources = {}      -- chunk name -> text of the pipeline files that are being evaluated

--- A unit by name, or a unit itself.
function heads.find(which)
   if type(which) == "table" then return which end
   local unit = units[which]
   if not unit then
      local names = {}
      for name in pairs(units) do names[#names + 1] = name end
      table.sort(names)
      error(("unknown head '%s'; there is: %s"):format(tostring(which), table.concat(names, ", ")), 0)
   end
   return unit
end

--- Remember the text of a file that may define heads.
function heads.remember(chunk, source) sources[chunk] = source end

--- The source lines of a function, or nil if its file is not known.
function heads.text_of(f)
   local chunk, first, last = host.definition(f)
   local source = sources[chunk]
   if not source then return nil end
   local lines, n = {}, 0
   for line in (source .. "\n"):gmatch("(.-)\n") do
      n = n + 1
      if n >= first and n <= last then lines[#lines + 1] = line end
   end
   return table.concat(lines, "\n")
end

-- What the head's functions may use from outside: they are compiled again where only these exist.
local allowed = { _ENV = true, nn = true, ft = true }

local function check_upvalues(name, what, f)
   for _, upvalue in ipairs(host.upvalues(f)) do
      if not allowed[upvalue] then
         error(("head '%s': %s uses the outer variable '%s', which would be missing where the model is used; "
            .. "only nn and ft may come from outside"):format(name, what, upvalue), 4)
      end
   end
end

--- Define a head: { name, build = function(c), forward = function(self, h, batch) }. h is (T, H), the hidden states of
-- all tokens; build gets c.hidden and c.labels.
function heads.define(t)
   if type(t) ~= "table" or type(t.build) ~= "function" or type(t.forward) ~= "function" then
      error("a head needs name, build and forward", 3)
   end
   check_upvalues(t.name or "custom", "build", t.build)
   check_upvalues(t.name or "custom", "forward", t.forward)
   local chunk, first = host.definition(t.build)
   local last = select(3, host.definition(t.forward))
   local unit = { name = t.name or "custom", version = t.version or 1, build = t.build, forward = t.forward }
   if sources[chunk] then
      unit.source = { chunk = chunk:gsub("^@.*/", "@"), first = first, build = heads.text_of(t.build),
         forward = heads.text_of(t.forward),
         name = unit.name, last = last }
   end
   return unit
end

-- The source lines may hold more than the function (`build = function(c) ... end,`): cut from the word `function`.
local function compile(piece, what, env, chunk)
   local start = piece:find("function%s*%(") or piece:find("function%s")
   local body = piece:sub(start)
   -- the last line may go on after the function's `end`: shorten until it compiles
   for stop = #body, 1, -1 do
      if body:sub(stop - 2, stop) == "end" then
         local f = host.load("return " .. body:sub(1, stop), chunk, env)
         if f then return f() end
      end
   end
   error(("the %s function of the head in this model cannot be compiled"):format(what), 0)
end

--- A head from the source that a model directory carries.
function heads.from_source(source)
   local env = { nn = nn, ft = { nn = nn }, math = math, table = table, string = string, ipairs = ipairs, pairs = pairs,
      select = select, type = type, tostring = tostring, tonumber = tonumber, error = error, assert = assert }
   return { name = source.name, version = 1, source = source,
      build = compile(source.build, "build", env, source.chunk or "=head"),
      forward = compile(source.forward, "forward", env, source.chunk or "=head") }
end

return heads
