--- Heads by name, and heads that a pipeline file defines.
--
-- A head of one's own must survive the pipeline: its source text travels in the model directory and is compiled again
-- there, so build and forward may use only `nn`, `ft` and constants from outside. They are compiled from that text
-- already where they are defined: what trains is what is saved.

local host = require "ftpipe.core.host"
local nn = require "ftpipe.nn"
local environment = require "ftpipe.sandbox.environment"
local sandbox = require "ftpipe.sandbox"

local heads = {}
local units = {}
for _, name in ipairs { "classification", "question_answering", "token_classification", "masked_lm", "hidden_states" } do
   units[name] = require("ftpipe.head." .. name)
end
local sources = {}      -- chunk name -> text of the pipeline files that are being evaluated
local find_module

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

--- Canonical parameter name -> name in a checkpoint; c says what the encoder's published heads are like.
function heads.names(unit, c)
   if type(unit.weights) == "function" then return unit.weights(c) end
   return unit.weights or {}
end

--- The unit whose output layer a checkpoint holds, or nil: what a directory that transformers wrote is for. Where several
--- heads name their weights alike, the architecture decides.
---@param has fun(name: string): any whether there is a tensor of that name
---@param architecture string? such as BertForTokenClassification
---@param c table as for heads.names
function heads.of_checkpoint(has, architecture, c)
   local names = {}
   for name in pairs(units) do names[#names + 1] = name end
   table.sort(names)
   local found
   for _, name in ipairs(names) do
      local unit = units[name]
      local out = heads.names(unit, c)["head.out.weight"]
      if out and has(out) then
         local named = architecture and unit.architecture and architecture:sub(-#unit.architecture) == unit.architecture
         if named then return unit end
         found = found or unit
      end
   end
   return found
end

-- ==== Source text of functions ====

--- Remember the text of a file that may define heads.
function heads.remember(chunk, source) sources[chunk] = source end

local function lines_of(f)
   local chunk, first, last = host.definition(f)
   local source = sources[chunk]
   if not source then return nil end
   local lines, n = {}, 0
   for line in (source .. "\n"):gmatch("(.-)\n") do
      n = n + 1
      if n >= first and n <= last then lines[#lines + 1] = line end
   end
   return table.concat(lines, "\n"), first, last
end

-- A number, string or truth value as Lua text; nil for anything else.
local function literal(value)
   local kind = type(value)
   if kind == "number" or kind == "string" then return ("%q"):format(value) end
   return kind == "boolean" and tostring(value) or nil
end

local function same_names(f, g)
   local a, _, inputs = host.upvalues(f)
   local b, _, same_inputs = host.upvalues(g)
   return inputs == same_inputs and table.concat(a, ",") == table.concat(b, ",")
end

-- `function name(...)` and `function m:name(...)` as expressions
local function without_name(text)
   local name, rest = text:match("^function%s+([%w_.:]+)%s*(%(.*)$")
   if not name then return text end
   if not name:find(":", 1, true) then return "function" .. rest end
   return "function(self" .. (rest:find "^%(%s*%)" and "" or ", ") .. rest:sub(2)
end

-- The shortest text from `start` on that is a function with f's lines, parameters and outer variables.
local function cut(f, text, start, first, last)
   local declared = {}
   for _, name in ipairs((host.upvalues(f))) do
      if name ~= "_ENV" then declared[#declared + 1] = name end
   end
   local before = ("\n"):rep(first - 1) .. (#declared > 0 and "local " .. table.concat(declared, ", ") .. " return " or "return ")
   local stop = start
   while true do
      stop = select(2, text:find("%f[%w_]end%f[^%w_]", stop + 1))
      if not stop then return nil end
      local piece = without_name(text:sub(start, stop))
      local chunk = host.load(before .. piece, "=head", {})
      if chunk then
         local g = chunk()
         local _, from, to = host.definition(g)
         return from == first and to == last and same_names(f, g) and piece or nil
      end
   end
end

-- The function's own text, and its line; nil and why where it cannot be told from others of the same line.
local function expression_of(f)
   local text, first, last = lines_of(f)
   if not text then return nil, "the text of its file is not known" end
   local found, start = nil, 0
   while true do
      start = text:find("%f[%w_]function%f[^%w_]", start + 1)
      if not start or text:sub(1, start):find("\n", 1, true) then break end
      local piece = cut(f, text, start, first, last)
      if piece and found and piece ~= found then return nil, "another function begins on the same line" end
      found = found or piece
   end
   return found, found and first or "its text could not be cut from the file"
end

--- The source text of a function of a pipeline's files: its own where it can be told from what else is on its lines, else
-- those lines; nil if its file is not known.
---@return string|nil
function heads.source_of(f) return expression_of(f) or (lines_of(f)) end

--- How the modules of the pipeline in hand are found: name -> text, chunk name; nil for those that are not its own.
function heads.set_modules(find) find_module = find end

--- The text of a module of the pipeline's and its chunk name, or nil.
---@param name string
function heads.module(name)
   if find_module then return find_module(name) end
end

-- ==== Heads of one's own ====

-- What there is where the text is compiled again, besides constants.
local globals = { "assert", "error", "ipairs", "math", "next", "pairs", "pcall", "select", "string", "table", "tonumber",
   "tostring", "type", "utf8" }

local function environment_of(name)
   local shown = environment.freeze(nn, "nn")
   local env = { nn = shown, ft = environment.freeze({ nn = shown }, "ft") }
   for _, key in ipairs(globals) do env[key] = environment.part(key) end
   if not sandbox.on "environment" then return setmetatable(env, { __index = environment.everything(require) }) end
   return setmetatable(env, { __index = function(_, key)
      error(("head '%s' uses '%s', which does not exist where it is compiled again: a head may use nn, ft and locals that "
         .. "hold a number, a string or a truth value (not declared <const>)"):format(name, tostring(key)), 2)
   end })
end

-- Lua text that gives each outer variable of f its value.
local function outer(head, what, f)
   local out, names, values = {}, host.upvalues(f)
   for i, name in ipairs(names) do
      local value = values[i]
      if name ~= "_ENV" then
         local is_ft = value and (rawequal(value, package.loaded.ftpipe) or environment.name_of(value) == "ft")
         out[name] = rawequal(environment.original(value), nn) and "nn" or is_ft and "ft" or literal(value)
         if not out[name] then
            error(("head '%s': %s uses the outer variable '%s' (a %s), which would be missing where the model is used; only "
               .. "nn, ft and constants may come from outside"):format(head, what, name, type(value)), 0)
         end
      end
   end
   return out
end

local function described(head, what, f)
   local names = outer(head, what, f)
   local text, line = expression_of(f)
   if not text then
      error(("head '%s': %s cannot be saved with the model: %s; let it begin on a line of its own"):format(head, what, line), 0)
   end
   return { text = text, line = line, outer = names }
end

local function compile(source, what)
   local part = source[what]
   if not sandbox.entered() then
      error(("head '%s' is Lua that came with a model, and this process is not confined"):format(source.name), 0)
   end
   local names, values = {}, {}
   for name in pairs(type(part) == "table" and part.outer or {}) do names[#names + 1] = name end
   table.sort(names)
   for i, name in ipairs(names) do values[i] = part.outer[name] end
   local before = #names > 0 and ("local %s = %s "):format(table.concat(names, ", "), table.concat(values, ", ")) or ""
   local f, message = nil, "there is no text"
   if type(part) == "table" and type(part.text) == "string" then
      f, message = host.load(("\n"):rep((part.line or 1) - 1) .. before .. "return " .. part.text, source.chunk or "=head",
         environment_of(source.name))
   end
   if not f then error(("head '%s': %s cannot be compiled: %s"):format(source.name, what, message), 0) end
   return f()
end

--- Define a head: { name, build = function(c), forward = function(self, h, batch) }. h is (T, H), the hidden states of
-- all tokens; build gets c.hidden and c.labels.
function heads.define(t)
   if type(t) ~= "table" or type(t.build) ~= "function" or type(t.forward) ~= "function" then
      error("a head needs name, build and forward", 3)
   end
   local name = tostring(t.name or "custom")
   local ok, unit = pcall(function()
      return heads.from_source { name = name, version = t.version or 1, chunk = host.definition(t.build),
         build = described(name, "build", t.build), forward = described(name, "forward", t.forward) }
   end)
   if not ok then error(unit, 3) end
   unit.source.chunk = unit.source.chunk:gsub("^@.*/", "@")
   return unit
end

--- A head from the source that a model directory carries.
function heads.from_source(source)
   return { name = source.name, version = source.version or 1, source = source, build = compile(source, "build"),
      forward = compile(source, "forward") }
end

return heads
