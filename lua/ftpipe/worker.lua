--- What a worker does: one step of a run, or one of its phases, in a process of its own that another leads (ftpipe.workers).
--
-- A worker is `ftpipe run FILE --worker NAME`, with the run's directory as --out. It has the plan, the store and its step's
-- inputs, puts what it computes into the store and ends; what went wrong are its last words to its leader, and
-- OUT/.run/NAME.at tells which step it is at. Phases have names that no step can have: ".fetch" (what needs the network and
-- files that other steps do without), ".preflight" (rows, encoders, settings, forecasts) and ".results" (the run's files).

local fs = require "ftpipe.core.fs"
local host = require "ftpipe.core.host"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"
local artifact = require "ftpipe.artifact"
local cache = require "ftpipe.cache"
local engine = require "ftpipe.cache.engine"
local exports = require "ftpipe.exports"
local failure = require "ftpipe.failure"
local outlook = require "ftpipe.outlook"
local preflight = require "ftpipe.preflight"
local schedule = require "ftpipe.schedule"
local speeds = require "ftpipe.cache.speeds"
local step_log = require "ftpipe.step_log"
local training = require "ftpipe.training"

local worker = {}

local run_meta = {}
run_meta.__index = run_meta

--- Where a step has its checkpoint and files. Side by side with others, what a worker computes besides its own step is its
--- own affair.
function run_meta:directory(step)
   local own = self.options.step
   if self.options.alone or own == step.id then return ("%s/.run/%s"):format(self.out, step.id) end
   return ("%s/.run/%s/needs/%s"):format(self.out, own, step.id)
end

-- The log of a training step, cut to where it goes on: at its last checkpoint, or at its beginning.
local function open_log(run, step)
   local own, log = ("%s/.run/%s.log"):format(run.out, step.id), nil
   if run.options.alone and not fs.stat(own) then
      log = step_log.open(run.out .. "/log.jsonl", ("%s/.run/%s.begin"):format(run.out, step.id))
   elseif run.options.step == step.id then
      log = step_log.open(own)
   end
   if log and not training.has_checkpoint(run:directory(step)) then log:cut(0) end
   return log
end

---@class ftpipe.step_context : ftpipe.context what a step's run function gets first
local function step_context(run, step, log)
   local ctx = training.context { seed = run.plan.seed, step = step.id, where = step.where, out = run.out,
      dir = run:directory(step), log = log, progress = run.progress, fingerprint = run.fingerprint,
      interval = run.options.checkpoint or 60 }

   --- A message for the user, above the progress bar.
   function ctx:say(text) if run.progress then run.progress:line(text) end end

   --- A tensor that other steps and runs may need too: from the store, or made and put there. `about` is plain data that
   -- decides about its values.
   function ctx:kept(kind, about, make) return run.schedule:tensor(kind, about, self.fingerprint, make) end

   --- A folder for files that become what the step leaves (unit.save, unit.load).
   function ctx:place() return run.schedule:place(step) end

   --- The values that `auto` became, kept for the report.
   function ctx:settled(params) run.settled[step.id] = params end

   --- A model that this step may change: a copy, unless nobody else reads it.
   function ctx:own(model)
      local mine = model
      if run.schedule:readers_of(model) > 1 then mine = model:copy() else run.schedule:forget(model) end
      mine.attach = function(m, optimiser) self:attach(m, optimiser) end
      return mine
   end

   --- Say once which weights are loaded, new and frozen, and what of the checkpoint is left out.
   function ctx:card(model)
      local card = model:card()
      local function listed(kind)
         local names = table.concat(card[kind], ", ")
         return ("%d %s%s"):format(#card[kind], kind, names ~= "" and (" (%s)"):format(names) or "")
      end
      ctx:say(("%s: %d of %d parameters are trained; %d tensors loaded, %s, %d frozen%s"):format(self.step,
         card.trainable, card.parameters, #card.loaded, listed "new", #card.frozen,
         #card.dropped > 0 and "; of the checkpoint " .. listed "dropped" or ""))
      run.cards[step.id] = card
   end

   --- After a resume the log goes on where the checkpoint saw it.
   function ctx.on_resume(state)
      if log then log:cut(state.log_size) end
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

-- A message handler: an error tells where the pipeline made the step.
local function placed(step)
   return function(e)
      if failure.is(e) then return failure.wrap(e, step.where) end
      local text = tostring(e)
      local told = text:sub(1, #step.where + 1) == step.where .. ":"      -- an error of the very line that made the step
      return setmetatable({ ftpipe = "data", message = told and text or step.where .. ": " .. text, where = step.where,
         traceback = host.traceback(tostring(e), 2) },
         { __tostring = function(x) return x.message end })
   end
end

local function run_step(run, step, inputs)
   local log <close> = trains(step) and open_log(run, step) or nil
   local ctx = step_context(run, step, log)
   if step.kind == "lua" then
      for key, v in pairs(inputs) do
         if artifact.is_model(v) then inputs[key] = ctx:own(v) end
      end
   end
   local ok, value = xpcall(step.unit.run, placed(step), ctx, inputs, step.params)
   if not ok then
      if value.ftpipe == "interrupted" then
         ctx:save_pending()
         value.message = value.message:gsub("interrupted$", "stopped while scoring in step " .. step.id)
      end
      error(value, 0)
   end
   run.share[step.id] = ctx.total and ctx.cursor / ctx.total or 1
   if artifact.is_model(value) and trains(step) then
      value.history, value.kept_epoch = ctx.history, ctx.best_so_far and ctx.best_so_far.epoch or nil
      value.attach = nil
      value:unfreeze("*")
   end
   if log then failure.try("system", log:flush()) end
   return value, facts_of(run, step, value)
end

-- Which step this process is at, for what is said where it is killed.
local function note_place(run, step)
   local path = ("%s/.run/%s.at"):format(run.out, run.options.step)
   failure.try("system", fs.write(path, json.encode { step = step.id, where = step.where }))
end

local function guarded(run, step, inputs)
   note_place(run, step)
   local ok, value, facts = xpcall(run_step, placed(step), run, step, inputs)
   if not ok then error(value, 0) end
   return value, facts
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

local function perform(run, step)
   run.schedule:perform(step)
   run.performed[#run.performed + 1] = step.id
   note_speed(run, step)
end

-- ==== Phases ====

local phases = {}

phases[".fetch"] = function(run)
   for _, step in ipairs(run.plan.steps) do
      local state = step.unit.fetches and run.schedule:state(step)
      if state and state.key and step.unit.stored == false then run.schedule:need(step.id)
      elseif state and state.key and not state.hit then perform(run, step) end
   end
end

phases[".preflight"] = function(run) preflight.run(run, function(step) perform(run, step) end) end

-- What a step that was not run left besides its artifact.
local function take_over(run, step)
   local record = run.schedule:state(step).record
   local facts = record and record.facts or {}
   run.settled[step.id], run.cards[step.id] = facts.settled, facts.card
   if facts.leaves then step.unit.leave(run.out, run.schedule:need(step.id), step.id) end
end

phases[".results"] = function(run)
   for _, step in ipairs(run.plan.steps) do take_over(run, step) end
   exports.write(run)
end

-- A phase, and which steps it computed.
local function one_phase(run, phase)
   phase(run)
   failure.try("system", fs.write(("%s/.run/%s.ran"):format(run.out, run.options.step), json.encode(run.performed)))
end

--- Whether a name is a phase's.
---@param name string
function worker.is_phase(name) return phases[name] ~= nil end

-- ==== One step or phase ====

local function one_step(run, step)
   for _, s in ipairs(run.plan.steps) do
      local state = run.schedule:state(s)
      if s == step and not state.key then
         failure.raise("system", ("the inputs of step '%s' were removed from the store by another process"):format(step.id),
            "type the same command again: they are made anew")
      end
   end
   local force = run.options.force      -- else an entry that somebody else put there meanwhile stays
   run.schedule.states[step.id].forced = force == true or force and force[step.id] or nil
   perform(run, step)
end

-- The library as it is, before anything is computed with it; who leads the run made certain of it moments ago.
local function computes(step, at)
   if step and not step.unit.exact then return engine.load() end
   return (engine.current(at.dir))
end

--- Do it. options: step (its id, or a phase), out, progress, checkpoint (seconds), alone (no other worker is at it), force (true
-- or a set of step ids), enter (called with plan, out and the store's directory before anything is computed, but where the network
-- is needed: ftpipe.sandbox.step).
---@param plan ftpipe.plan
---@param options table
function worker.work(plan, options)
   sys.catch_interrupts(true)
   local kept, step, phase = cache.open(), plan.by_id[options.step], phases[options.step]
   if not step and not phase then failure.raise("usage", ("there is no step '%s'"):format(options.step)) end
   local identities = schedule.identities(plan, kept)
   kept:begin()
   local run = setmetatable({ plan = plan, options = options, out = options.out, settled = {}, cards = {}, resumed = {},
      share = {}, performed = json.array {}, progress = options.progress, fingerprint = computes(step, kept) }, run_meta)
   run.schedule = schedule.new(plan, kept, { engine = run.fingerprint, identities = identities, reader = step,
      force = phase and options.force or nil, run = function(s, inputs) return guarded(run, s, inputs) end })
   run.artifacts = setmetatable({}, { __index = function(_, id) return run.schedule:need(id) end })
   if options.enter and options.step ~= ".fetch" then options.enter(plan, run.out, kept.dir) end
   if phase then one_phase(run, phase) else one_step(run, step) end
end

return worker
