--- Steps side by side, each in a process of its own: `ftpipe run --jobs N`.
--
-- A worker is this program started anew with the same file and parameters, for one step whose inputs are there; it puts the
-- step's result into the store and ends. The processors are divided among the workers. What a worker says lies beside its
-- checkpoint, in OUT/.run/STEP.messages, and its lines of the log join the run's when it is done.

local fs = require "ftpipe.core.fs"
local process = require "ftpipe.core.process"
local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"

local workers = {}

local TAIL = 20      -- lines of a worker's messages that are shown when it fails

local signals = { [6] = "SIGABRT", [9] = "SIGKILL (out of memory?)", [11] = "SIGSEGV", [15] = "SIGTERM" }
local kinds = { [2] = "data", [3] = "lock", [130] = "interrupted" }

-- Everything that a worker said, and the message of the error that it ended with.
local function messages_of(path)
   local text = fs.read(path) or ""
   local lines, cause, hint = {}, nil, nil
   for line in text:gmatch "[^\n]+" do
      lines[#lines + 1] = line
      cause = line:match "^ftpipe: (.*)$" or cause
      hint = line:match "^  hint: (.*)$" or hint
   end
   local from = math.max(1, #lines - TAIL + 1)
   return table.concat(lines, "\n", from), cause, hint
end

local function fail(run, job, code, signal)
   local said, cause, hint = messages_of(job.messages)
   if code ~= 130 and said ~= "" then sys.err(("last lines of step '%s':\n%s\n"):format(job.step.id, said)) end
   if signal then
      failure.raise("system", ("%s: the worker of step '%s' was killed by %s"):format(job.step.where, job.step.id,
         signals[signal] or "signal " .. signal), "type the same command again to go on: " .. (run.options.command or ""))
   end
   failure.raise(kinds[code] or "system", cause or ("%s: the worker of step '%s' ended with exit code %d"):format(job.step.where,
      job.step.id, code), hint)
end

-- The run's log gets the step's lines.
local function join_log(run, step)
   local path = ("%s/.run/%s.log"):format(run.out, step.id)
   local text = fs.read(path)
   if not text then return end
   failure.try("system", run.log:write(text))
   failure.try("system", run.log:flush())
   fs.remove(path)
end

local function start(run, step, threads)
   local job = { step = step, began = sys.now(), messages = ("%s/.run/%s.messages"):format(run.out, step.id) }
   local argv = { "ftpipe", table.unpack(run.options.worker) }
   for _, word in ipairs { "--worker", step.id, "--out", run.out, "--threads", tostring(threads) } do argv[#argv + 1] = word end
   job.pid = failure.try("system", process.spawn(sys.executable(), argv, job.messages, { "OMP_NUM_THREADS=" .. threads }))
   if run.progress then run.progress:line(("%s: started (process %d)"):format(step.id, job.pid)) end
   return job
end

local function stop_all(running, how)
   for pid in pairs(running) do process.stop(pid, how) end
end

-- Wait for all that are left; nobody is left behind.
local function wait_all(running)
   while next(running) do
      local pid = process.wait(1)
      if pid then running[pid] = nil end
   end
end

-- One worker's end: its step's state is looked up anew.
local function finish(run, running, pid, code, signal)
   local job = running[pid]
   running[pid] = nil
   if not job then return end
   if signal or code ~= 0 then
      stop_all(running, "interrupt")
      wait_all(running)
      fail(run, job, code, signal)
   end
   join_log(run, job.step)
   fs.remove(job.messages)
   run.schedule.states[job.step.id] = nil
   if run.schedule.force then
      run.schedule.force[job.step.id] = nil
      failure.try("system", fs.write(("%s/.run/%s.forced"):format(run.out, job.step.id), ""))
   end
   run.schedule:state(job.step).ran = true
   if run.progress then run.progress:line(("%s: done in %.1f s"):format(job.step.id, sys.now() - job.began)) end
   run:note()
end

local function interrupted(run, running)
   stop_all(running, "interrupt")
   wait_all(running)
   failure.raise("interrupted", "interrupted", "type the same command again to go on: " .. (run.options.command or ""))
end

--- Run all steps that the store lacks, `jobs` at a time. taken(step, state) is called for each step that is a hit.
---@param run table of ftpipe.runner
---@param jobs integer
function workers.execute(run, jobs)
   local running, busy = {}, {}
   local threads = math.max(1, sys.threads() // jobs)
   while true do
      local count, waiting = 0, 0
      for _ in pairs(running) do count = count + 1 end
      for _, step in ipairs(run.plan.steps) do
         local state = run.schedule:state(step)
         if not state.digest then
            waiting = waiting + 1
            if state.key and not busy[step.id] and count < jobs then
               local job = start(run, step, threads)
               running[job.pid], busy[step.id], count = job, true, count + 1
            end
         elseif not state.ran then
            join_log(run, step)      -- of a run that was killed before it could
         end
      end
      if waiting == 0 then return end
      local pid, code, signal
      repeat
         if sys.interrupted() > 0 then interrupted(run, running) end
         pid, code, signal = process.wait(0.2)
      until pid
      finish(run, running, pid, code, signal)
   end
end

return workers
