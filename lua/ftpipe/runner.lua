--- Runs a plan: steps in order, artifacts in memory, results in a directory that is complete or visibly not.
--
-- OUT/.run/ holds what an unfinished run needs to go on: the plan's digest, the finished training steps and the last
-- checkpoint. A run that ended writes metrics.json last and drops the checkpoints. Steps run in this process; each gets
-- its inputs and a context, so that they can move into processes of their own.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local store = require "ftpipe.core.store"
local sys = require "ftpipe.core.sys"
local host = require "ftpipe.core.host"
local failure = require "ftpipe.failure"
local plan_of = require "ftpipe.plan"
local training = require "ftpipe.training"
local exports = require "ftpipe.exports"

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

-- The directory, and whether it holds an unfinished run of the same plan.
local function choose(plan, digest, out)
   if out then
      local state = state_of(out)
      if state and state.digest ~= digest and not state.done and has_progress(out) then
         failure.raise("usage", ("%s holds an unfinished run of another plan"):format(out),
            "choose another --out, or remove that directory")
      end
      if state and state.done then
         failure.raise("usage", ("%s holds a finished run"):format(out), "choose another --out, or remove that directory")
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
      dir = run.out .. "/.run/" .. step.id, log = run.log, progress = run.progress, fingerprint = run.fingerprint,
      interval = run.options.checkpoint or 60 }

   --- A message for the user, above the progress bar.
   function ctx:say(text) if run.progress then run.progress:line(text) end end

   --- The values that `auto` became, kept for the report.
   function ctx:settled(params) run.settled[step.id] = params end

   --- A model that this step may change: a copy, unless nobody else reads it.
   function ctx:own(model)
      local mine = run.readers[model] and run.readers[model] > 1 and model:copy() or model
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
      ctx:say(("%s: goes on after update %d of %d"):format(ctx.step, state.cursor, state.total))
   end
   return ctx
end

-- A finished training step is kept until the run is complete, so that resuming need not repeat it.
local function result_path(run, step) return run.out .. "/.run/" .. step.id .. "/result.safetensors" end

local function save_result(run, step, model)
   local facts = { history = json.array(model.history or {}), kept_epoch = model.kept_epoch or 0, settings = model.settings,
      settled = run.settled[step.id] and { lr = run.settled[step.id].lr,
      epochs = run.settled[step.id].epochs, batch = run.settled[step.id].batch,
      precision = run.settled[step.id].precision } or nil }
   failure.try("system", run.log:flush())
   failure.try("system", fs.mkdirs(run.out .. "/.run/" .. step.id))
   failure.try("system", store.write(result_path(run, step), model:weights(true), { facts = json.encode(facts) }))
   fs.remove(run.out .. "/.run/" .. step.id .. "/checkpoint.safetensors")
end

local function load_result(run, step, start)
   if not fs.stat(result_path(run, step)) then return nil end
   local saved = failure.try("data", store.open(result_path(run, step)))
   local facts = json.decode(saved:metadata("facts"))
   local model = start:copy()
   local weights = {}
   for _, name in ipairs(saved:names()) do weights[name] = saved:tensor(name) end
   model:set_weights(weights)
   model.settings = facts.settings or {}
   model.history, model.kept_epoch = facts.history, facts.kept_epoch > 0 and facts.kept_epoch or nil
   run.settled[step.id] = run.settled[step.id] or facts.settled
   return model
end

local function is_model(x) return type(x) == "table" and x.set_weights ~= nil and x.list ~= nil end

local function gather_inputs(run, step)
   local inputs, model = {}, nil
   for key, v in pairs(step.inputs) do
      if type(v) == "table" then
         inputs[key] = {}
         for name, id in pairs(v) do inputs[key][name] = run.artifacts[id] end
      else
         inputs[key] = run.artifacts[v]
         if is_model(inputs[key]) then model = inputs[key] end
      end
   end
   return inputs, model
end

local function trains(step) return step.unit.trains or step.kind == "lua" end

local function run_step(run, step)
   local inputs, start = gather_inputs(run, step)
   if trains(step) and start then
      local done = load_result(run, step, start)
      if done then
         if run.progress then run.progress:line(("%s: finished before, taken from the interrupted run"):format(step.id)) end
         return done
      end
      run:mark_log(step)
   end
   local ctx = step_context(run, step)
   if trains(step) and step.kind == "lua" and start then
      for key, v in pairs(inputs) do if v == start then inputs[key] = ctx:own(start) end end
   end
   local artifact = step.unit.run(ctx, inputs, step.params)
   if trains(step) and is_model(artifact) then
      artifact.history, artifact.kept_epoch = ctx.history, ctx.best_so_far and ctx.best_so_far.epoch or nil
      artifact.attach = nil
      artifact:unfreeze("*")
      save_result(run, step, artifact)
   end
   return artifact
end

-- ==== The run ====

local run_meta = {}
run_meta.__index = run_meta

function run_meta:truncate_log(size)
   self.log:close()
   self.log = failure.try("system", fs.append(self.out .. "/log.jsonl", size))
end

-- Before a training step writes its first line: where to cut the log if it must begin again. With a checkpoint it does
-- not begin again, and the checkpoint says where to cut.
function run_meta:mark_log(step)
   if fs.stat(self.out .. "/.run/" .. step.id .. "/checkpoint.safetensors") then return end
   local path = self.out .. "/.run/" .. step.id .. ".begin"
   local size = fs.read(path)
   if size then return self:truncate_log(math.tointeger(tonumber(size))) end
   failure.try("system", fs.write(path, tostring(self.log:size())))
end

local function count_readers(run)
   local by_step = {}
   for _, step in ipairs(run.plan.steps) do
      for _, id in ipairs(plan_of.inputs_of(step)) do by_step[id] = (by_step[id] or 0) + 1 end
   end
   return by_step
end

local function fingerprint()
   local p = failure.try("system", sys.product())
   return ("%s %s (%s), kernels %s"):format(p.name, p.version, p.kernel, (sys.isa()))
end

-- Finished steps and checkpoints hold only with what computed them.
local function check_fingerprint(out, now)
   local before = (state_of(out) or {}).fingerprint
   if before and before ~= now and has_progress(out) then
      failure.raise("usage", ("%s was begun with %s, but now %s would compute; its bits would differ"):format(out, before, now),
         "begin anew with another --out, or use the former library (--blas)")
   end
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
   for _, name in ipairs { "log.jsonl", "rejected.csv" } do fs.remove(out .. "/" .. name) end
end

-- Files whose writing was cut off by a kill; the lock is held, so nobody is writing them now.
local function sweep_parts(dir)
   for _, name in ipairs(fs.list(dir) or {}) do
      local path = dir .. "/" .. name
      if name:find "%.part%-%d+$" then fs.remove(path)
      elseif name == ".run" or dir:find "/%.run$" and fs.stat(path) == "directory" then sweep_parts(path) end
   end
end

local function begin(plan, options)
   local digest, computes = plan:digest(), fingerprint()
   local out, resumes = choose(plan, digest, options.out)
   failure.try("system", fs.mkdirs(out .. "/.run"))
   local lock = fs.lock(out .. "/.run/lock")
   if not lock then failure.raise("usage", ("another ftpipe is working in %s"):format(out)) end
   if resumes then check_fingerprint(out, computes) end
   local run = setmetatable({ plan = plan, options = options, out = out, resumes = resumes, lock = lock, artifacts = {},
      readers = {}, settled = {}, cards = {}, progress = options.progress, fingerprint = computes, digest = digest }, run_meta)
   sweep_parts(out)
   if not resumes then
      sweep(out)
   elseif options.progress then
      options.progress:line(("continuing the unfinished run in %s"):format(out))
   end
   write_state(run, false)
   failure.try("system", fs.write(out .. "/plan.json", plan:json()))
   run.log = failure.try("system", fs.append(out .. "/log.jsonl"))
   return run
end

local function link_latest(run)
   local base, n = run.out:match("^(runs/.+)/(%d+)$")
   if base then fs.symlink(n, base .. "/latest") end
end

local function execute(run)
   local readers = count_readers(run)
   for _, step in ipairs(run.plan.steps) do
      local ok, artifact = xpcall(run_step, function(e)
         if failure.is(e) then return failure.wrap(e, step.where) end
         return setmetatable({ ftpipe = "data", message = step.where .. ": " .. tostring(e),
            traceback = host.traceback(tostring(e), 2) },
            { __tostring = function(x) return x.message end })
      end, run, step)
      if not ok then
         if artifact.ftpipe == "interrupted" then
            artifact.hint = "type the same command again to go on: " .. (run.options.command or "ftpipe run " .. run.plan.file)
         end
         error(artifact, 0)
      end
      run.artifacts[step.id] = artifact
      if type(artifact) == "table" then
         run.readers[artifact] = (readers[step.id] or 0) + (run.plan.model == step.id and 1 or 0)
      end
      host.collectgarbage()
   end
end

--- Run a plan to its end. options: out, progress, checkpoint (seconds), command (to be repeated after an interruption).
---@return { out: string, report: string }
function runner.run(plan, options)
   sys.catch_interrupts()
   local run = begin(plan, options or {})
   execute(run)
   local report = exports.write(run)
   write_state(run, true)
   for _, step in ipairs(plan.steps) do
      fs.remove(run.out .. "/.run/" .. step.id)
      fs.remove(run.out .. "/.run/" .. step.id .. ".begin")
   end
   link_latest(run)
   run.log:close()
   run.lock:close()
   if run.progress then run.progress:finish() end
   return { out = run.out, report = report }
end

return runner
