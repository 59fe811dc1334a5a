--- Evaluates a pipeline file in a process that can compute and nothing else: this program started anew, with an empty
-- environment, without network and other processes, that may read only the folder of the file. The file's text goes
-- in by a pipe as JSON, the plan comes out by another. Both sides are here.
--
-- Its limits: the time (`--limit`, ended from inside by a hook that names the line, and from outside by a kill where a C
-- function does not come back), the memory that Lua may have, the size of the plan.

local confine = require "ftpipe.core.confine"
local fs = require "ftpipe.core.fs"
local host = require "ftpipe.core.host"
local json = require "ftpipe.core.json"
local process = require "ftpipe.core.process"
local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"
local sandbox = require "ftpipe.sandbox"

local child = {}

child.SECONDS = 10
local GRACE = 0.1                -- seconds between the end from inside and the kill
local MEMORY = 256 << 20         -- bytes that Lua and what it makes may have
local ADDRESSES = 2 << 30        -- bytes of address space, for what is not counted
local PLAN = 64 << 20            -- bytes of a plan
local UNLIMITED = 86400

-- ==== Outside ====

-- What of the environment decides how this program starts and finds its libraries; nothing else goes in.
local passed = { "FTPIPE_LUA", "LD_LIBRARY_PATH", "UBSAN_OPTIONS", "OMP_NUM_THREADS" }

local function variables()
   local out = { "GOMP_SPINCOUNT=" .. (sys.getenv "GOMP_SPINCOUNT" or "20000"), "FTPIPE_UNPROTECTED=" .. sandbox.switches(),
      "ASAN_OPTIONS=detect_leaks=0" }      -- its search for leaks needs calls that are given up
   for _, name in ipairs(passed) do
      local value = sys.getenv(name)
      if value and value ~= "" then out[#out + 1] = name .. "=" .. value end
   end
   local lua_dir = require("ftpipe.cli").facts and require("ftpipe.cli").facts.lua_dir
   if lua_dir then out[#out + 1] = "FTPIPE_LUA=" .. lua_dir end
   return out
end

local signals = { [6] = "SIGABRT", [9] = "SIGKILL", [11] = "SIGSEGV", [24] = "SIGXCPU", [31] = "SIGSYS" }

-- Text of a stranger's, fit for a terminal.
local function clean(text)
   return (tostring(text):gsub("[%c\x7f]", function(c) return c ~= "\n" and c ~= "\t" and "?" or nil end))
end

local function refuse(file, what, hint) failure.raise("usage", ("%s: %s"):format(file, what), hint) end

local function too_long(file, seconds)
   refuse(file, ("still not evaluated after %g seconds"):format(seconds), "more time: --limit SECONDS")
end

local warned

-- The child's answer, or an error of the user's.
local function ask(file, request, seconds)
   local off = sandbox.switches()
   if off ~= "" and not warned then
      warned = true
      sys.err(("! FTPIPE_UNPROTECTED switches off what holds a pipeline back: %s\n"):format(off))
   end
   local limit = sandbox.on "time" and seconds or UNLIMITED
   local output, code, signal = process.ask(sys.executable(), { "ftpipe", "evaluate" }, variables(), json.encode(request),
      limit + GRACE, PLAN)
   if output == nil and code == "time" then too_long(file, seconds) end
   if output == nil and code == "size" then refuse(file, ("its plan is larger than %d MiB"):format(PLAN >> 20)) end
   if output == nil then failure.raise("system", ("%s: cannot be evaluated: %s"):format(file, code)) end
   local answer = code == 0 and json.decode(output)
   if type(answer) ~= "table" then
      if signal == 24 then too_long(file, seconds) end
      refuse(file, signal and ("its evaluation was ended by %s"):format(signals[signal] or "signal " .. signal)
         or ("its evaluation ended without a plan (exit code %s)"):format(tostring(code)))
   end
   if type(answer.error) == "table" then
      local e = answer.error
      local message, late = tostring(e.message):gsub("(still not done after )[%d.e-]+", ("%%1%g"):format(seconds))
      if late > 0 then e.message, e.hint = message, "more time: --limit SECONDS" end
      local meta = getmetatable(select(2, pcall(failure.raise, "usage", "")))
      error(setmetatable({ ftpipe = type(e.kind) == "string" and e.kind or "usage", message = clean(e.message),
         hint = e.hint and clean(e.hint), traceback = e.traceback and clean(e.traceback) }, meta), 0)
   end
   return answer
end

local function text_of(file)
   local text, message = fs.read(file, 1 << 26)
   if not text then
      local function is_lua(name) return name:find "%.lua$" ~= nil end
      local near = not fs.stat(file) and require("ftpipe.reading.files").near(file, is_lua)
      failure.raise("usage", message, near and ("did you mean %s?"):format(near))
   end
   return text
end

local function request_of(file, options, what)
   local seconds = options.limit or child.SECONDS
   local set = json.array {}
   for i, s in ipairs(options.set or {}) do set[i] = json.array { s.name, s.value } end
   local text = text_of(file)
   if not utf8.len(text) and sandbox.on "bytecode" then refuse(file, "this is no text (UTF-8)") end
   return { what = what, file = file, text = (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end)), set = set,
      seed = options.seed, cwd = options.cwd or "", seconds = seconds, began = sys.now() }, seconds
end

--- The plan of a file; its steps with functions have has_code and cannot be run as they are.
---@param file string
---@param options { set: table?, seed: integer?, cwd: string?, limit: number? }
---@return ftpipe.plan
function child.evaluate(file, options)
   local answer = ask(file, request_of(file, options, "plan"))
   local ok, plan = pcall(require("ftpipe.sandbox.wire").into, answer.plan or {}, file)
   if not ok then
      if failure.is(plan) then error(plan, 0) end
      refuse(file, "its evaluation gave no plan: " .. clean(plan))
   end
   return plan
end

--- Parameters of a file without running the rest, and its first comment.
function child.parameters(file)
   local answer = ask(file, request_of(file, {}, "parameters"))
   return { params = require("ftpipe.sandbox.wire").params_in(answer.params or {}),
      summary = answer.summary and clean(answer.summary) }
end

-- ==== Inside ====

-- Give up everything but what evaluation needs; after this only the request's text runs.
local function lock_up(request)
   local dir = request.file:match "^(.*)/[^/]*$" or "."
   local lua_dir = sys.getenv "FTPIPE_LUA"
   failure.try("system", confine.limit("core", 0))
   if sandbox.on "time" then failure.try("system", confine.limit("cpu", math.ceil(request.seconds) + 1)) end
   if sandbox.on "memory" then
      failure.try("system", confine.limit("address", ADDRESSES))
      sys.memory_limit(MEMORY)
   end
   failure.try("system", confine.limit("files", 64))
   local facts = confine.facts()
   if facts.landlock and sandbox.on "landlock" then
      local allowed = { { dir == "" and "/" or dir, "r" } }
      if lua_dir and lua_dir ~= "" then allowed[2] = { lua_dir, "r" } end
      failure.try("system", confine.landlock(allowed))
   end
   if facts.seccomp and sandbox.on "seccomp" then failure.try("system", confine.seccomp "evaluate") end
   sandbox.enter "evaluate"
end

local function bytes_of(text) return (text:gsub("%x%x", function(x) return string.char(tonumber(x, 16)) end)) end

local answers = {}

function answers.plan(pipeline, request, set)
   local plan = pipeline.evaluate(request.file, { set = set, seed = request.seed, cwd = request.cwd, text = request.text })
   return { plan = require("ftpipe.sandbox.wire").out(plan) }
end

function answers.parameters(pipeline, request)
   local found = pipeline.parameters(request.file, request.text)
   return { params = require("ftpipe.sandbox.wire").params_out(found.params), summary = found.summary }
end

local function error_of(e)
   if not failure.is(e) then e = { ftpipe = "usage", message = tostring(e) } end
   return { error = { kind = e.ftpipe, message = clean(e.message), hint = e.hint and clean(e.hint),
      traceback = e.traceback and clean(e.traceback) } }
end

--- What the process does that was started: reads the request, gives up what it has, evaluates, answers.
function child.serve()
   local request = json.decode(failure.try("system", fs.read "/dev/stdin"))
   if type(request) ~= "table" or type(request.set) ~= "table" then
      failure.raise("usage", "ftpipe evaluate is what a run starts for itself, and reads what that tells it",
         "ftpipe score compares predictions with labels; ftpipe run scores a model by its pipeline")
   end
   request.text = bytes_of(request.text)
   local set = {}
   for i, s in ipairs(request.set) do set[i] = { name = s[1], value = s[2] } end
   local pipeline = require "ftpipe.pipeline"
   require "ftpipe"
   require "ftpipe.sandbox.wire"
   lock_up(request)
   local left = math.max(0.01, request.seconds - (sys.now() - request.began))      -- starting took its part
   local ok, answer = confine.within(sandbox.on "time" and left or UNLIMITED, xpcall, answers[request.what], function(e)
      return failure.is(e) and e or { ftpipe = "usage", message = tostring(e), traceback = host.traceback(tostring(e), 2) }
   end, pipeline, request, set)
   sys.out(json.encode(ok and answer or error_of(answer)))
end

return child
