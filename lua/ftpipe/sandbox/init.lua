--- What keeps a pipeline's Lua to what it declares. A pipeline file may come from a stranger: it is evaluated in a process of its
-- own that has nothing but memory, time and the files of its folder (ftpipe.sandbox.child), in an environment without
-- input and output (ftpipe.sandbox.environment); what it asks to be read must lie in its folder or be named on the command
-- line (ftpipe.sandbox.access); and a process that will call its functions, or those of a head that came with a model, gives up
-- everything else beforehand (ftpipe.sandbox.step).
--
-- FTPIPE_UNPROTECTED=NAME,NAME switches protections off: the tests do so to show that each of them is needed.

local sys = require "ftpipe.core.sys"

local sandbox = {}

--- All protections, and what each holds back.
sandbox.protections = { "absence", "environment", "bytecode", "finalizers", "handlers", "libraries", "metatables", "modules",
   "names", "memory", "time", "landlock", "seccomp", "access", "output" }

local off

local function read_switches()
   off = {}
   for name in (sys.getenv "FTPIPE_UNPROTECTED" or ""):gmatch "[^,]+" do off[name] = true end
end

--- Whether a protection is on.
---@param name string
function sandbox.on(name)
   if not off then read_switches() end
   return not off[name]
end

--- The switches as a child process gets them in its environment.
function sandbox.switches()
   if not off then read_switches() end
   local names = {}
   for name in pairs(off) do names[#names + 1] = name end
   table.sort(names)
   return table.concat(names, ",")
end

local state = {}

--- Note that this process may compile foreign Lua: "evaluate" or "step" (it is confined), or "own" (`ftpipe lua`: the user's own
-- script runs).
---@param how string
function sandbox.enter(how) state.how = how end

--- How this process may compile foreign Lua, or nil.
function sandbox.entered() return state.how end

--- What this kernel lacks, as a plain sentence; nil where nothing is missing.
---@return string|nil
function sandbox.missing()
   local facts = require("ftpipe.core.confine").facts()
   local lacks = {}
   if not (facts.landlock and sandbox.on "landlock") then lacks[#lacks + 1] = "Landlock (files and TCP of a process)" end
   if not (facts.seccomp and sandbox.on "seccomp") then lacks[#lacks + 1] = "seccomp (system calls of a process)" end
   if #lacks == 0 then return nil end
   return ("without %s a pipeline's Lua is held back by its environment and limits alone: run only pipelines that you trust")
      :format(table.concat(lacks, " and "))
end

return sandbox
