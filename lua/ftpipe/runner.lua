--- Runs a plan: steps whose key the store lacks, and results in a directory that is complete or visibly not.
--
-- What finished steps left is in the store (ftpipe.cache), by key. OUT/.run/ holds what an unfinished run needs besides: the
-- plan's digest and the last checkpoint. A run that ended writes metrics.json last and drops the checkpoints. A plan whose
-- finished run is there already is not run again. Steps run in this process; each gets its inputs and a context, so that
-- they can move into processes of their own.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"
local host = require "ftpipe.core.host"
local artifact = require "ftpipe.artifact"
local cache = require "ftpipe.cache"
local downloads = require "ftpipe.cache.downloads"
local unpacking = require "ftpipe.unpacking"
local engine = require "ftpipe.cache.engine"
local speeds = require "ftpipe.cache.speeds"
local failure = require "ftpipe.failure"
local outlook = require "ftpipe.outlook"
local preflight = require "ftpipe.preflight"
local process = require "ftpipe.core.process"
local schedule = require "ftpipe.schedule"
local training = require "ftpipe.training"
local exports = require "ftpipe.exports"
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

-- ==== One step ====

---@class ftpipe.step_context : ftpipe.context what a step's run function gets first
local function step_context(run, step)
   local ctx = training.context { seed = run.plan.seed, step = step.id, where = step.where, out = run.out,
      dir = run:directory(step), log = run.log, progress = run.progress, fingerprint = run.fingerprint,
      interval = run.options.checkpoint or 60 }

   --- A message for the user, above the progress bar.
   function ctx:say(text) if run.progress then run.progress:line(text) end end

   --- A tensor that other steps and runs may need too: from the store, or made and put there. `about` is plain data that
   -- decides about its values.
   function ctx:kept(kind, about, make) return run.schedule:tensor(kind, about, self.fingerprint, make) end

   --- The values that `auto` became, kept for the report.
   function ctx:settled(params) run.settled[step.id] = params end

   --- A model that this step may change: a copy, unless nobody else reads it.
   function ctx:own(model)
      local mine = model
      if run.schedule:readers_of(model) > 1 then mine = model:copy() else run.schedule:forget(model) end
      mine.attach = function(m, optimiser) self:attach(m, optimiser) end
      return mine
   end

   --- Say once which weights are loaded, new and frozen.
   function ctx:card(model)
      local card = model:card()
      ctx:say(("%s: %d of %d parameters are trained; %d tensors loaded, %d new%s, %d frozen"):format(self.step,
         card.trainable, card.parameters, #card.loaded, #card.new,
         #card.new > 0 and (" (%s)"):format(table.concat(card.new, ", ")) or "", #card.frozen))
      run.cards[step.id] = card
   end

   --- After a resume the log goes on where the checkpoint saw it.
   function ctx.on_resume(state)
      run:truncate_log(state.log_size)
      ctx.log = run.log
      run.resumed[ctx.step] = true
      ctx:say(("%s: goes on after update %d of %d"):format(ctx.step, state.cursor, state.total))
   end
   return ctx
end

local function trains(step) return step.unit.trains or step.kind == "lua" end

-- Plain facts that are kept with what a step left, so that a run that does not repeat it can tell them too.
local function facts_of(run, step, value)
   local settled = run.settled[step.id]
   return { settled = settled and { lr = settled.lr, epochs = settled.epochs, batch = settled.batch,
      precision = settled.precision }, card = run.cards[step.id],
      leaves = step.unit.leave and step.unit.leave(run.out, value, step.id) or nil,
      extent = step.unit.extent and step.unit.extent(value) or nil }
end

local function run_step(run, step, inputs)
   if trains(step) then run:mark_log(step) end
   local ctx = step_context(run, step)
   run.contexts[step.id] = ctx
   if step.kind == "lua" then
      for key, v in pairs(inputs) do
         if artifact.is_model(v) then inputs[key] = ctx:own(v) end
      end
   end
   local value = step.unit.run(ctx, inputs, step.params)
   run.share[step.id] = ctx.total and ctx.cursor / ctx.total or 1
   if artifact.is_model(value) and trains(step) then
      value.history, value.kept_epoch = ctx.history, ctx.best_so_far and ctx.best_so_far.epoch or nil
      value.attach = nil
      value:unfreeze("*")
      failure.try("system", run.log:flush())
   end
   return value, facts_of(run, step, value)
end

local function to_go_on(run)
   return "type the same command again to go on: " .. (run.options.command or "ftpipe run " .. run.plan.file)
end

-- A step's error tells where the pipeline made the step.
local function guarded(run, step, inputs)
   local ok, value, facts = xpcall(run_step, function(e)
      if failure.is(e) then return failure.wrap(e, step.where) end
      return setmetatable({ ftpipe = "data", message = step.where .. ": " .. tostring(e), where = step.where,
         traceback = host.traceback(tostring(e), 2) },
         { __tostring = function(x) return x.message end })
   end, run, step, inputs)
   if ok then return value, facts end
   if value.ftpipe == "interrupted" then
      local ctx = run.contexts[step.id]
      if ctx then failure.try("system", pcall(ctx.save_pending, ctx)) end
      value.hint = to_go_on(run)
   end
   error(value, 0)
end

-- ==== The run ====

local run_meta = {}
run_meta.__index = run_meta

function run_meta:truncate_log(size)
   self.log:close()
   self.log = failure.try("system", fs.append(self.log_path, size))
end

--- Where a step has its checkpoint and files. What a worker computes besides its own step is its own affair.
function run_meta:directory(step)
   local own = self.options.step
   if not own or own == step.id then return ("%s/.run/%s"):format(self.out, step.id) end
   return ("%s/.run/%s/needs/%s"):format(self.out, own, step.id)
end

-- Before a training step writes its first line: where to cut the log if it must begin again. With a checkpoint it does
-- not begin again, and the checkpoint says where to cut.
function run_meta:mark_log(step)
   if training.has_checkpoint(self:directory(step)) then return end
   local path = self.out .. "/.run/" .. step.id .. ".begin"
   local size = fs.read(path)
   if size then return self:truncate_log(math.tointeger(tonumber(size))) end
   failure.try("system", fs.write(path, tostring(self.log:size())))
end

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
   if not lock then failure.raise("usage", ("another ftpipe is working in %s"):format(out)) end
   if resumes then check_fingerprint(out, computes) end
   local run = setmetatable({ plan = plan, options = options, out = out, resumes = resumes, lock = lock,
      settled = {}, cards = {}, resumed = {}, share = {}, contexts = {}, progress = options.progress, fingerprint = computes,
      digest = digest,
      started = sys.date(), log_path = out .. "/log.jsonl" }, run_meta)
   run.schedule = schedule.new(plan, at.store, { engine = computes, identities = at.identities,
      force = forced_still(out, plan, options.force, resumes),
      run = function(step, inputs) return guarded(run, step, inputs) end })
   run.artifacts = setmetatable({}, { __index = function(_, id) return run.schedule:need(id) end })
   sweep_parts(out)
   if not resumes then
      sweep(out)
   elseif options.progress then
      options.progress:line(("continuing the unfinished run in %s"):format(out))
   end
   write_state(run, false)
   at.store:register(out)
   failure.try("system", fs.write(out .. "/plan.json", plan:json()))
   run.log = failure.try("system", fs.append(run.log_path))
   return run
end

-- Where `latest` shall lead: link, target.
local function latest_of(out)
   local base, n = out:match("^(runs/.+)/(%d+)$")
   if base then return base .. "/latest", n end
end

local function link_latest(run)
   local link, target = latest_of(run.out)
   if run.notary then run.notary:go()
   elseif link then fs.symlink(target, link) end
end

-- Steps that need the network run while there is one.
local function fetch(run)
   for _, step in ipairs(run.plan.steps) do
      local state = step.unit.fetches and run.schedule:state(step)
      if state and state.key and step.unit.stored == false then run.schedule:need(step.id)
      elseif state and state.key and not state.hit then run.schedule:perform(step) end
   end
end

-- Before the first step runs: one that was asked beforehand makes the link `latest` in the end, which lies outside of what is left
-- to this process.
local function enter(run, plan, options, store)
   if not options.enter then return end
   fetch(run)
   local link, target = latest_of(run.out)
   if link then run.notary = failure.try("system", process.notary(target, link)) end
   options.enter(plan, run.out, store.dir)
end

-- What a step that was not run left besides its artifact.
local function take_over(run, step, state)
   local facts = state.record and state.record.facts or {}
   run.settled[step.id], run.cards[step.id] = facts.settled, facts.card
   if facts.leaves then step.unit.leave(run.out, run.schedule:need(step.id), step.id) end
end

-- How long a step took for what it had to do, for forecasts to come. What went on from a checkpoint tells nothing.
local function note_speed(run, step)
   local record = run.schedule.states[step.id].record
   local ok, work = pcall(outlook.work, run.plan, run.schedule, step)
   if not ok or not record or run.resumed[step.id] then return end
   local share = run.share[step.id] or 1
   local function scaled(x) return x and x * share end
   speeds.note(run.schedule.store, { kind = work.kind, engine = run.fingerprint, seconds = record.seconds,
      flops = scaled(work.flops), tokens = scaled(work.tokens), bytes = work.bytes })
end

-- A note of the step at work, which outlives a process that is killed, and what is said where it crashes.
local function mark(run, step)
   local path = run.out .. "/.run/running"
   if not step then
      sys.on_crash ""
      fs.remove(path)
   else
      failure.try("system", fs.write(path, json.encode { step = step.id, where = step.where }))
      sys.on_crash(("\nftpipe: %s: step '%s' crashed\n  hint: %s\n"):format(step.where, step.id, to_go_on(run)))
   end
end

-- How the last attempt ended, where nobody could say it.
local function say_last_end(run)
   local note = json.decode(fs.read(run.out .. "/.run/running") or "null")
   if type(note) ~= "table" or not run.progress then return end
   run.progress:line(("the last attempt ended in the middle of step '%s' (%s): it crashed, was killed (out of memory?), or the "
      .. "machine stopped"):format(tostring(note.step), tostring(note.where)))
end

local function perform(run, step)
   run:note()
   local forced = run.schedule:state(step).forced
   mark(run, step)
   local ok, e = pcall(run.schedule.perform, run.schedule, step)
   mark(run, nil)
   if not ok then error(e, 0) end
   if forced then failure.try("system", fs.write(("%s/.run/%s.forced"):format(run.out, step.id), "")) end
   note_speed(run, step)
   run:note()
end

local function execute(run)
   local taken, jobs = json.array {}, run.options.jobs or 1
   say_last_end(run)
   preflight.run(run, function(step) perform(run, step) end)
   if jobs > 1 then
      run.schedule:forget_all()
      workers.execute(run, jobs)
   end
   for _, step in ipairs(run.plan.steps) do
      local state = run.schedule:state(step)
      if state.hit then
         take_over(run, step, state)
         if state.record and not state.ran then taken[#taken + 1] = state.key end
      elseif not state.ran then
         perform(run, step)
      end
      host.collectgarbage()
   end
   table.move(downloads_of(run), 1, #downloads_of(run), #taken + 1, taken)
   if #taken > 0 then run.schedule.store:note { event = "use", keys = taken } end
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

--- Run a plan to its end. options: out, progress, checkpoint (seconds), command (to be repeated after an interruption),
-- force (true or a set of step ids), version, machine and sources (to be noted), jobs (steps at a time), worker
-- (the words that start one), enter (called with plan, out and the store's directory before the first step: ftpipe.sandbox.step).
-- `repeats` says that nothing was done, because `out` is the finished run of the same plan.
---@return { out: string, report: string, repeats: boolean? }
function runner.run(plan, options)
   sys.catch_interrupts()
   options = options or {}
   local at = look(plan)
   local before = finished(plan, at.digest, at.computes, options.out)
   if before and not options.force then return { out = before, report = fs.read(before .. "/report.txt") or "", repeats = true } end
   make_certain(at)
   local run = begin(plan, options, at)
   enter(run, plan, options, at.store)
   execute(run)
   local report = exports.write(run)
   run:note(true)
   write_state(run, true)
   for _, step in ipairs(plan.steps) do
      fs.remove(run.out .. "/.run/" .. step.id)
      fs.remove(run.out .. "/.run/" .. step.id .. ".begin")
      for _, name in ipairs { ".forced", ".log", ".messages" } do fs.remove(run.out .. "/.run/" .. step.id .. name) end
   end
   at.store:unregister(run.out)
   link_latest(run)
   run.log:close()
   run.lock:close()
   if run.progress then run.progress:finish() end
   return { out = run.out, report = report }
end

--- What a worker does: one step of a run that another process leads, into the store. options: step (its id), out, progress,
-- checkpoint.
function runner.work(plan, options)
   sys.catch_interrupts()
   local at = look(plan)
   make_certain(at)
   local step = plan.by_id[options.step]
   if not step then failure.raise("usage", ("there is no step '%s'"):format(options.step)) end
   local run = setmetatable({ plan = plan, options = options, out = options.out, settled = {}, cards = {},
      resumed = {}, share = {}, contexts = {},
      progress = options.progress, fingerprint = at.computes,
      log_path = ("%s/.run/%s.log"):format(options.out, step.id) }, run_meta)
   run.schedule = schedule.new(plan, at.store, { engine = at.computes, identities = at.identities,
      run = function(s, inputs) return guarded(run, s, inputs) end })
   run.log = failure.try("system", fs.append(run.log_path))
   if options.enter then options.enter(plan, run.out, at.store.dir) end
   for _, s in ipairs(plan.steps) do
      local state = run.schedule:state(s)
      if s == step and not state.key then failure.raise("system", ("the inputs of step '%s' are not there"):format(step.id)) end
   end
   run.schedule.states[step.id].forced = true      -- who leads the run has decided
   run.schedule:perform(step)
   note_speed(run, step)
   run.log:close()
end

return runner
