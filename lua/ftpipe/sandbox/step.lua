--- What a process that runs steps gives up. Every run keeps, of all files, only its inputs and the places of its results. One that
-- runs a pipeline's own functions, or a head that came with a model, gives up everything else too before that Lua is loaded: no
-- network, no programs, no other processes; it reads the project, the declared inputs, the store and the system's libraries; it
-- writes the run's directory and the store's staging place, and may add entries to the store but change none. Memory is counted
-- as always; there is no time limit.

local confine = require "ftpipe.core.confine"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"
local sandbox = require "ftpipe.sandbox"
local source = require "ftpipe.source"

local step = {}

-- What libraries read that are loaded late, and what tells about the machine.
local system = { "/usr/lib", "/usr/local/lib", "/usr/share/zoneinfo", "/lib", "/lib64", "/opt", "/etc/ld.so.cache", "/proc/cpuinfo",
   "/proc/meminfo", "/proc/self/cgroup", "/sys/devices/system", "/sys/fs/cgroup", "/dev/urandom" }

local function add_system(allowed)
   for _, path in ipairs(system) do allowed[#allowed + 1] = { path, "r" } end
   for path in (sys.getenv "LD_LIBRARY_PATH" or ""):gmatch "[^:]+" do allowed[#allowed + 1] = { path, "r" } end
   allowed[#allowed + 1] = { "/dev/null", "rw" }
   allowed[#allowed + 1] = { sys.executable(), "r" }
   local facts = require("ftpipe.cli").facts
   if facts and facts.lua_dir then allowed[#allowed + 1] = { facts.lua_dir, "r" } end
end

local function add_store(allowed, dir, changes)
   for _, name in ipairs { "journal.jsonl", "files", "engines" } do
      local log = fs.append(dir .. "/" .. name)      -- there from now on: making it needs more than adding to it
      if log then log:close() end
      allowed[#allowed + 1] = { dir .. "/" .. name, "ra" }
   end
   failure.try("system", fs.mkdirs(dir .. "/runs"))
   allowed[#allowed + 1] = { dir, "r" }
   allowed[#allowed + 1] = { dir .. "/lock", "ra" }
   allowed[#allowed + 1] = { dir .. "/staging", "rw" }
   allowed[#allowed + 1] = { dir .. "/runs", "rw" }
   allowed[#allowed + 1] = { dir .. "/steps", changes and "rw" or "rn" }
end

-- Give up all other files.
local function give_up_files(allowed)
   sys.threads()      -- LLVM's OpenMP writes a shared-memory file when it is first asked for anything
   if confine.facts().landlock and sandbox.on "landlock" then failure.try("system", confine.landlock(allowed)) end
end

-- Give up all else.
local function give_up(allowed)
   local facts = confine.facts()
   give_up_files(allowed)
   if facts.seccomp and sandbox.on "seccomp" then failure.try("system", confine.seccomp "step") end
   sandbox.enter "step"
end

-- ==== Runs ====

-- Whether a folder's ftpipe.json carries the source of a head.
local function carries_head(dir)
   local text = fs.read(dir .. "/ftpipe.json", 1 << 24)
   local own = text and json.decode(text)
   return type(own) == "table" and own.head_source ~= nil
end

--- Whether the steps of a plan call Lua that is not ftpipe's: functions of the file, or a head that came with a model.
---@param plan ftpipe.plan
function step.has_foreign_code(plan)
   if plan.has_code then return true end
   for _, s in ipairs(plan.steps) do
      local from = s.kind == "pretrained" and s.params.from
      if type(from) == "string" and carries_head(source.path(from, "models")) then return true end
   end
   return false
end

-- Let the steps of a plan that was read have the functions of one that was evaluated here; both must be the same.
local function bring_to_life(plan, file, opts)
   local wire = require "ftpipe.sandbox.wire"
   local live = require("ftpipe.pipeline").evaluate(file, { set = opts.set or {}, seed = opts.seed, cwd = "" })
   if opts["until"] then live:cut(opts["until"]) end
   local lived = {}
   for _, s in ipairs(live.steps) do lived[s.id] = s end
   local now = wire.into(wire.out(live), file)
   if now:json() ~= plan:json() then
      failure.raise("usage", ("%s: evaluated again it gives another plan"):format(file),
         "a plan must depend on the file and its parameters alone")
   end
   for _, s in ipairs(plan.steps) do s.unit, s.params = lived[s.id].unit, lived[s.id].params end
end

--- What a worker does before it runs a step. Where the plan has foreign code, all
-- but its own work is given up; else only files, so that a link that is changed meanwhile leads nowhere.
---@param plan ftpipe.plan
---@param place { out: string, store: string, file: string, opts: table, changes: boolean?, foreign: boolean }
-- changes: entries of the store may be replaced (--force)
function step.enter(plan, place)
   local allowed = { { place.out, "rw" } }
   add_system(allowed)
   if place.foreign then add_store(allowed, place.store, place.changes) else allowed[#allowed + 1] = { place.store, "rw" } end
   local places = require("ftpipe.sandbox.access").places(plan, place.file, place.opts)
   table.move(places, 1, #places, #allowed + 1, allowed)
   if not place.foreign then
      if confine.facts().shadowed then      -- what a sanitizer reads when it looks for leaks in the end
         allowed[#allowed + 1] = { "/proc", "r" }
         allowed[#allowed + 1] = { (sys.getenv "LSAN_OPTIONS" or ""):match "suppressions=([^:]+)" or "/proc", "r" }
      end
      return give_up_files(allowed)
   end
   give_up(allowed)
   if plan.has_code then bring_to_life(plan, place.file, place.opts) end
end

--- What `ftpipe predict` does with a model that carries a head of its own, before it is loaded.
---@param dir string of the model
---@param input string?
---@param output string?
function step.enter_for_model(dir, input, output)
   if not carries_head(dir) then return end
   local allowed = { { dir, "r" } }
   add_system(allowed)
   local texts = input and input ~= "-" and require("ftpipe.reading.files").expand(input) or {}
   for _, path in ipairs(texts) do allowed[#allowed + 1] = { path, "r" } end
   if input and input:find "[*?]" then allowed[#allowed + 1] = { input:match "^([^*?]*)/" or ".", "r" } end
   if output then allowed[#allowed + 1] = { output:match "^(.+)/[^/]*$" or (output:find "^/" and "/" or "."), "rw" } end
   give_up(allowed)
end

return step
