--- Runs a plan: steps whose key the store lacks, and results in a directory that is complete or visibly not.
--
-- What finished steps left is in the store (ftpipe.cache), by key. OUT/.run/ holds what an unfinished run needs besides: the
-- plan's digest and the last checkpoint. A run that ended writes metrics.json last and drops the checkpoints. A plan whose
-- finished run is there already is not run again. This process only leads: everything that reads rows or weights, calls a
-- pipeline's functions or computes happens in processes of their own (ftpipe.workers starts them, ftpipe.worker is one).

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"
local cache = require "ftpipe.cache"
local downloads = require "ftpipe.cache.downloads"
local unpacking = require "ftpipe.unpacking"
local engine = require "ftpipe.cache.engine"
local failure = require "ftpipe.failure"
local process = require "ftpipe.core.process"
local schedule = require "ftpipe.schedule"
local workers = require "ftpipe.workers"

local runner = {}

-- ==== Where a run writes ====

local function state_of(dir)
   local text = fs.read(dir .. "/.run/state.json")
   local state = text and json.decode(text)
   return type(state) == "table" and state or nil
end

local function numbered(base)
   local last = 0
   for _, name in ipairs(fs.list(base) or {}) do last = math.max(last, math.tointeger(tonumber(name)) or 0) end
   return last
end

-- Whether an unfinished run has got to anything that would be lost: a checkpoint or a finished training step.
local function has_progress(dir)
   for _, name in ipairs(fs.list(dir .. "/.run") or {}) do
      if fs.stat(dir .. "/.run/" .. name) == "directory" then return true end
   end
   return false
end

-- Whether a directory holds the finished run of this plan by what computes now.
local function is_done(state, digest, computes)
   return state and state.done and state.digest == digest and state.fingerprint == computes
end

-- The finished run of a plan, or nil.
local function finished(plan, digest, computes, out)
   if out then return is_done(state_of(out), digest, computes) and out or nil end
   for n = numbered("runs/" .. plan.name), 1, -1 do
      local dir = ("runs/%s/%d"):format(plan.name, n)
      if is_done(state_of(dir), digest, computes) then return dir end
   end
end

-- The directory, and whether it holds an unfinished run of the same plan.
local function choose(plan, digest, out)
   if out then
      local state = state_of(out)
      if state and state.digest ~= digest and not state.done and has_progress(out) then
         failure.raise("usage", ("%s holds an unfinished run of another plan"):format(out),
            "choose another --out, or remove that directory")
      end
      if state and state.done then
         failure.raise("usage", ("%s holds a finished run of another plan"):format(out),
            "choose another --out, or remove that directory")
      end
      -- .run alone is a run that was killed before it could say what it is
      local own = fs.stat(out .. "/.run") and 1 or 0
      if not state and fs.stat(out) == "directory" and #fs.list(out) > own then
         failure.raise("usage", ("%s is not empty and holds no run"):format(out), "choose another --out")
      end
      return out, state ~= nil and state.digest == digest
   end
   local base = "runs/" .. plan.name
   local n = numbered(base)
   local last = ("%s/%d"):format(base, n)
   local state = n > 0 and state_of(last)
   if state and not state.done and state.digest == digest then return last, true end
   return ("%s/%d"):format(base, n + 1), false
end

-- ==== The run ====

local run_meta = {}
run_meta.__index = run_meta

-- Finished steps and checkpoints hold only with what computed them.
local function check_fingerprint(out, now)
   local before = (state_of(out) or {}).fingerprint
   if before and before ~= now and has_progress(out) then
      failure.raise("usage", ("%s was begun with %s, but now %s would compute; its bits would differ"):format(out, before, now),
         "begin anew with another --out, or use the former library (--blas)")
   end
end

local function parameters_of(plan)
   local out = {}
   for _, p in ipairs(plan.params or {}) do out[p.name] = p.value end
   return out
end

-- What was fetched and unpacked for this run, by its keys in the store.
local function downloads_of(run)
   local keys = json.array(unpacking.used())
   for _, source in ipairs(run.options.sources or {}) do
      if source.sha256 then keys[#keys + 1] = downloads.key("fetched", source.sha256) end
   end
   return keys
end

--- run.json: what this run is, for `why`, `runs`, `show` and `compare`.
function run_meta:note(done)
   local steps = json.array {}
   for i, step in ipairs(self.plan.steps) do
      local state = self.schedule.states[step.id] or {}
      steps[i] = { id = step.id, kind = step.kind, where = step.where, key = state.key, step = state.described,
         ran = state.ran or false, seconds = state.record and state.record.seconds, digest = state.digest,
         inputs = step.inputs }
   end
   failure.try("system", fs.write(self.out .. "/run.json", json.encode { name = self.plan.name, file = self.plan.file,
      seed = self.plan.seed, command = self.options.command, version = self.options.version, params = parameters_of(self.plan),
      sources = self.options.sources, downloads = downloads_of(self),
      computed_with = self.fingerprint, machine = self.options.machine, started = self.started,
      ended = done and sys.date() or nil, steps = steps, model = self.plan.model, report = self.plan.report } .. "\n"))
end

local function write_state(run, done)
   failure.try("system", fs.write(run.out .. "/.run/state.json",
      json.encode { digest = run.digest, done = done, fingerprint = run.fingerprint }))
end

-- What a start that came to nothing left behind.
local function sweep(out)
   for _, name in ipairs(fs.list(out .. "/.run")) do
      if name ~= "lock" then fs.remove(out .. "/.run/" .. name) end
   end
   for _, name in ipairs { "log.jsonl", "rejected.csv", "run.json" } do fs.remove(out .. "/" .. name) end
end

-- Files whose writing was cut off by a kill; the lock is held, so nobody is writing them now.
local function sweep_parts(dir)
   for _, name in ipairs(fs.list(dir) or {}) do
      local path = dir .. "/" .. name
      if name:find "%.part%-%d+$" then fs.remove(path)
      elseif name == ".run" or dir:find "/%.run$" and fs.stat(path) == "directory" then sweep_parts(path) end
   end
end

-- The steps that are forced and were not computed yet, where an interrupted run goes on.
local function forced_still(out, plan, force, resumes)
   if not force then return nil end
   local set = {}
   for _, step in ipairs(plan.steps) do
      local done = resumes and fs.stat(("%s/.run/%s.forced"):format(out, step.id))
      if (force == true or force[step.id]) and not done then set[step.id] = true end
   end
   return set
end

local function begin(plan, options, at)
   local digest, computes = at.digest, at.computes
   local out, resumes = choose(plan, digest, options.out)
   failure.try("system", fs.mkdirs(out .. "/.run"))
   local lock = fs.lock(out .. "/.run/lock")
   if not lock then failure.raise("lock", ("another ftpipe is working in %s"):format(out)) end
   if resumes then check_fingerprint(out, computes) end
   local run = setmetatable({ plan = plan, options = options, out = out, resumes = resumes, lock = lock,
      progress = options.progress, fingerprint = computes, digest = digest, started = sys.date(),
      log_path = out .. "/log.jsonl" }, run_meta)
   run.schedule = schedule.new(plan, at.store, { engine = computes, identities = at.identities,
      force = forced_still(out, plan, options.force, resumes) })
   sweep_parts(out)
   if not resumes then
      sweep(out)
   elseif options.progress then
      options.progress:line(("continuing the unfinished run in %s"):format(out))
   end
   write_state(run, false)
   at.store:register(out)
   failure.try("system", fs.write(out .. "/plan.json", plan:json()))
   failure.try("system", fs.append(run.log_path)):close()      -- there from the start
   return run
end

local function link_latest(out)
   local base, n = out:match("^(runs/.+)/(%d+)$")
   if base then fs.symlink(n, base .. "/latest") end
end

-- Whether a step fetches something, which needs the network and files that other steps do without.
local function fetches(run)
   for _, step in ipairs(run.plan.steps) do
      if step.unit.fetches then return true end
   end
   return false
end

local function all_there(run)
   for _, step in ipairs(run.plan.steps) do
      if not run.schedule:state(step).hit then return false end
   end
   return true
end

local function execute(run)
   workers.say_last_end(run)
   if not all_there(run) then
      if fetches(run) then workers.phase(run, ".fetch") end
      workers.phase(run, ".preflight")
      workers.execute(run, run.options.jobs or 1)
   end
   local taken = json.array {}
   for _, step in ipairs(run.plan.steps) do
      local state = run.schedule:state(step)
      if state.record and not state.ran then taken[#taken + 1] = state.key end
   end
   for _, key in ipairs(downloads_of(run)) do taken[#taken + 1] = key end
   if #taken > 0 then run.schedule.store:note { event = "use", keys = taken } end
   workers.phase(run, ".results")
end

-- What decides whether there is anything to do: reads no data and no weights that were read before, loads no library.
local function look(plan)
   local store = cache.open()
   local identities = schedule.identities(plan, store)
   return { store = store, identities = identities, digest = plan:digest(identities), computes = engine.current(store.dir) }
end

-- The library as it is, before anything is computed with it.
local function make_certain(at)
   local known = at.computes
   at.store:begin()
   at.store:sweep()
   at.computes = engine.load()
   if at.computes ~= known then engine.remember(at.store.dir) end
end

-- What an unfinished run needs.
local function drop_remains(out)
   for _, name in ipairs(fs.list(out .. "/.run") or {}) do
      if name ~= "lock" and name ~= "state.json" then fs.remove(out .. "/.run/" .. name) end
   end
end

--- Run a plan to its end. options: out, progress, command (to be repeated after an interruption), force (true or a set of step
-- ids), version, machine and sources (to be noted), jobs (steps at a time), worker (the words that start one), quiet.
-- `repeats` says that nothing was done, because `out` is the finished run of the same plan.
---@return { out: string, report: string, repeats: boolean? }
function runner.run(plan, options)
   sys.catch_interrupts()
   process.catch_suspend()
   local at = look(plan)
   local before = finished(plan, at.digest, at.computes, options.out)
   if before and not options.force then return { out = before, report = fs.read(before .. "/report.txt") or "", repeats = true } end
   if options.progress then options.progress:line(("%s: %d steps"):format(plan.file, #plan.steps)) end
   make_certain(at)
   local run = begin(plan, options, at)
   execute(run)
   run:note(true)
   write_state(run, true)
   drop_remains(run.out)
   at.store:unregister(run.out)
   link_latest(run.out)
   run.lock:close()
   if run.progress then run.progress:finish() end
   return { out = run.out, report = fs.read(run.out .. "/report.txt") or "" }
end

return runner
