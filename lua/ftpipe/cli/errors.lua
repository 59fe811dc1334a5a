--- What the user sees of an error, and the exit code that goes with it.
--
-- The cause is printed last. An error that only a fault of the program explains, namely a text that begins with the
-- place of one of its own sources, brings its traceback; all others only with --debug.

local host = require "ftpipe.core.host"
local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"

local errors = {}

local codes = { usage = 2, data = 2, lock = 3, access = 3, network = 4, interrupted = 130 }      -- everything else: 1
local sources = { "^lua/ftpipe/[%w_/]+%.lua:%d+: ", "%f[%w]lua/ftpipe/[%w_/]+%.lua:%d+: " }

--- Also take files below DIR (--lua) for the program's own.
---@param dir string
function errors.own_sources(dir)
   local plain = dir:gsub("%p", "%%%0") .. "/ftpipe/[%w_/]+%.lua:%d+: "
   sources = { "^" .. plain, plain }
end

local MEMORY_HINT = "give less memory to one batch (a smaller batch or max_length), or allow more with --memory"

local function from_text(text)
   local _, last = text:find(sources[1])
   local inner = last and text:sub(last + 1) or text
   if inner:find "^out of memory" or inner == "not enough memory" then
      return { ftpipe = "system", message = inner, hint = MEMORY_HINT }
   end
   if last then return { ftpipe = "internal", message = text } end
   return { ftpipe = "data", message = text }
end

--- Message handler for xpcall: any error value as a table with kind, message, hint and traceback.
function errors.capture(e)
   local own = failure.is(e) and e or type(e) == "string" and from_text(e)
      or { ftpipe = "internal", message = "error value of type " .. type(e) .. ": " .. tostring(e) }
   own.traceback = own.traceback or host.traceback(nil, 2)
   return own
end

-- A fault of the program that passed through a step or the evaluation of a pipeline file.
local function is_internal(e)
   return e.ftpipe == "internal" or (e.traceback ~= nil and e.message:find(sources[2]) ~= nil)
end

---@param e table from capture
---@return integer exit code
function errors.code(e)
   if is_internal(e) then return 1 end
   return codes[e.ftpipe] or 1
end

--- Print an error to the user.
---@param e table from capture
---@param debug? boolean
function errors.show(e, debug)
   local internal = is_internal(e)
   if (internal or debug) and e.traceback then sys.err(e.traceback:gsub("^\n+", "") .. "\n") end
   local hint = e.hint
   if internal then hint = "this is a fault of ftpipe itself; what is above tells where" end
   sys.err(("ftpipe: %s%s\n"):format(internal and "internal error: " or "", e.message))
   if hint then sys.err("  hint: " .. hint .. "\n") end
end

local function valid(text) return text and (utf8.len(text) and text or text:gsub("[\x80-\xff]", "?")) end

--- Leave an error to the process that leads, which tells the user.
---@param e table from capture
function errors.leave(e)
   require("ftpipe.core.process").leave(require("ftpipe.core.json").encode { ftpipe = e.ftpipe, message = valid(e.message),
      hint = valid(e.hint), where = valid(e.where), traceback = valid(e.traceback) })
end

return errors
