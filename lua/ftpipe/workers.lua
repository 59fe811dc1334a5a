--- Starts workers and sees to their ends: each step of a run in a process of its own (ftpipe.worker says what happens there).
--
-- A worker is this program started anew with the same file and parameters, in a process group of its own; it dies with the
-- one that leads. One at a time it speaks to the user itself and writes the run's log. Side by side (`--jobs N`) the processors
-- are divided among them, what each says lies beside its checkpoint, in OUT/.run/STEP.messages, and its lines of the log join the
-- run's when it is done.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local process = require "ftpipe.core.process"
local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"

local workers = {}

local TAIL = 20      -- lines of a worker's messages that are shown when it fails

local signals = { [4] = "SIGILL", [6] = "SIGABRT", [7] = "SIGBUS", [8] = "SIGFPE", [9] = "SIGKILL", [11] = "SIGSEGV",
   [15] = "SIGTERM" }

-- What a phase does, where a step would be named.
local doing = { [".fetch"] = "what it fetches", [".preflight"] = "rows and settings", [".results"] = "the results" }

local function path_of(run, name, what) return ("%s/.run/%s.%s"):format(run.out, name, what) end

local function to_go_on(run)
   return "type the same command again to go on: " .. (run.options.command or "ftpipe run " .. run.plan.file)
end

-- ==== How one ended ====

-- How many processes the system ended for lack of memory; nil where it does not count them.
local function killed_for_memory() return tonumber((fs.read("/proc/vmstat") or ""):match "oom_kill (%d+)") end

local function last_lines(path)
   local lines = {}
   for line in (path and fs.read(path) or ""):gmatch "[^\n]+" do lines[#lines + 1] = line end
   return table.concat(lines, "\n", math.max(1, #lines - TAIL + 1))
end

-- The step that a worker was at, and where the pipeline made it.
local function place_of(run, job)
   local note = json.decode(fs.read(path_of(run, job.name, "at")) or "null")
   if type(note) == "table" then return tostring(note.where), ("step '%s'"):format(note.step) end
   return job.step and job.step.where or run.plan.file, job.step and ("step '%s'"):format(job.name) or doing[job.name]
end

-- The error that a worker left.
local function error_of(job)
   local e = json.decode(process.last_words(job.last_words))
   if type(e) ~= "table" or type(e.message) ~= "string" then return nil end
   local own = failure.new(e.ftpipe, e.message, e.hint)
   own.where, own.traceback = e.where, e.traceback
   return own
end

local function signal_text(job, signal)
   if signal ~= 9 then return signals[signal] or "signal " .. signal end
   local now = killed_for_memory()
   if not now or not job.memory_kills then return "SIGKILL (out of memory?)" end
   return now > job.memory_kills and "the system, because memory ran out" or "SIGKILL"
end

-- Tell what a worker said, where nobody has seen it, and raise what ended it.
local function fail(run, job, code, signal)
   local e = error_of(job)
   local unseen = not e or not job.quiet      -- with --quiet an error alone is told
   local said = unseen and last_lines(job.messages) or ""
   if job.terminal and not e then sys.err "\n" end      -- the progress bar stays as the last line
   if said ~= "" and not (e and e.ftpipe == "interrupted") then
      sys.err(("last lines of %s:\n%s\n"):format(job.step and "step '" .. job.name .. "'" or doing[job.name], said))
   end
   if e then
      if e.ftpipe == "interrupted" then e.hint = to_go_on(run) end
      error(e, 0)
   end
   local where, what = place_of(run, job)
   if not signal then
      failure.raise("system", ("%s: the worker of %s ended with exit code %d"):format(where, what, code), to_go_on(run))
   end
   local text = signal_text(job, signal)
   failure.raise("system", ("%s: the worker of %s was killed by %s"):format(where, what, text),
      (text:find "memory" and "a smaller tokens_per_batch, batch or max_length takes less memory; " or "") .. to_go_on(run))
end

--- How the last attempt ended, where the process that led it could not say it.
function workers.say_last_end(run)
   if not run.progress then return end
   for _, name in ipairs(fs.list(run.out .. "/.run") or {}) do
      local job = name:match "^(.+)%.at$"
      if job then
         local where, what = place_of(run, { name = job, step = run.plan.by_id[job] })
         run.progress:line(("the last attempt ended in the middle of %s (%s): it crashed, was killed (out of memory?), or the "
            .. "machine stopped"):format(what, where))
         fs.remove(run.out .. "/.run/" .. name)
      end
   end
end

-- ==== The log ====

-- The run's log gets the step's lines.
local function join_log(run, name)
   local path = path_of(run, name, "log")
   local text = fs.read(path)
   if not text then return end
   local log <close> = failure.try("system", fs.append(run.log_path))
   failure.try("system", log:write(text))
   failure.try("system", log:flush())
   fs.remove(path)
end

-- A step that began alone and goes on side by side with others: its lines leave the run's log, where they are the last.
local function part_log(run, name)
   local mark = path_of(run, name, "begin")
   local begin, text = math.tointeger(tonumber(fs.read(mark) or "")), fs.read(run.log_path)
   if not begin or fs.stat(path_of(run, name, "log")) then return end
   failure.try("system", fs.write(path_of(run, name, "log"), (text or ""):sub(begin + 1)))
   failure.try("system", fs.append(run.log_path, begin)):close()
   fs.remove(mark)
end

-- ==== Start and end ====

local function start(run, name, threads, alone)
   local options = run.options
   local job = { name = name, step = run.plan.by_id[name], began = sys.now(), memory_kills = killed_for_memory(), alone = alone,
      quiet = options.quiet, terminal = alone and not options.quiet and sys.terminal() ~= nil }
   if not alone or options.quiet then job.messages = path_of(run, name, "messages") end
   if not alone then part_log(run, name) end
   local argv = { "ftpipe", table.unpack(options.worker) }
   local function add(...) for _, word in ipairs { ... } do argv[#argv + 1] = word end end
   add("--worker", name, "--out", run.out, "--threads", tostring(threads))
   if alone then add "--alone" end
   for _, step in ipairs(run.plan.steps) do
      local forced = run.schedule.force and (run.schedule.force == true or run.schedule.force[step.id])
      if forced and (not job.step or job.step == step) then add("--force=" .. step.id) end
   end
   job.pid, job.last_words = failure.try("system", process.spawn(sys.executable(), argv, job.messages or false,
      { "OMP_NUM_THREADS=" .. threads }))
   if run.progress and not alone then run.progress:line(("%s: started (process %d)"):format(name, job.pid)) end
   return job
end

local function stop_all(running, how)
   for pid in pairs(running) do process.stop(pid, how) end
end

-- Wait for all that are left; nobody is left behind. Gives what one of them said: what went wrong, else where it stopped.
local function wait_all(run, running)
   local told
   while next(running) do
      local pid = process.wait(1)
      local job = pid and running[pid]
      if job then
         running[pid] = nil
         local e = error_of(job)
         if e and (not told or told.ftpipe == "interrupted") then told = e end
         fs.remove(path_of(run, job.name, "at"))
      end
   end
   return told
end

local function interrupted(run, running)
   stop_all(running, "interrupt")
   local e = wait_all(run, running) or failure.new("interrupted", "interrupted")
   e.hint = e.ftpipe == "interrupted" and to_go_on(run) or e.hint
   error(e, 0)
end

-- Ctrl-Z reaches the process that leads, which alone belongs to the terminal's foreground.
local function suspend(running)
   stop_all(running, "stop")
   process.suspend()
   stop_all(running, "continue")
end

-- The next worker that ends, which must end well.
local function await(run, running)
   local pid, code, signal
   repeat
      if sys.interrupted() > 0 then interrupted(run, running) end
      if process.suspended() then suspend(running) end
      pid, code, signal = process.wait(0.2)
   until pid and running[pid]
   local job = running[pid]
   running[pid] = nil
   if signal or code ~= 0 then
      stop_all(running, "interrupt")
      wait_all(run, running)
      local ok, e = pcall(fail, run, job, code, signal)
      fs.remove(path_of(run, job.name, "at"))
      if not ok then error(e, 0) end
   end
   process.last_words(job.last_words)
   for _, what in ipairs { "messages", "at" } do fs.remove(path_of(run, job.name, what)) end
   return job
end

-- A forced step is done: an attempt to come does not repeat it.
local function no_longer_forced(run, step)
   local force = run.schedule.force
   if not force or force ~= true and not force[step.id] then return end
   if force == true then
      force = {}
      for _, s in ipairs(run.plan.steps) do force[s.id] = true end
      run.schedule.force = force
   end
   force[step.id] = nil
   failure.try("system", fs.write(path_of(run, step.id, "forced"), ""))
end

-- What one step's worker left: its state is looked up anew.
local function take_in(run, job)
   join_log(run, job.name)
   run.schedule.states[job.name] = nil
   no_longer_forced(run, job.step)
   run.schedule:state(job.step).ran = true
   if run.progress and not job.alone then run.progress:line(("%s: done in %.1f s"):format(job.name, sys.now() - job.began)) end
   run:note()
end

-- The steps that a phase computed, as it told.
local function performed(run, name)
   local path, out = path_of(run, name, "ran"), {}
   for _, id in ipairs(json.decode(fs.read(path) or "[]") or {}) do out[id] = true end
   fs.remove(path)
   return out
end

--- One phase of a run in a process of its own; then all states are looked up anew.
---@param run table of ftpipe.runner
---@param name string
function workers.phase(run, name)
   local ran = {}
   for _, step in ipairs(run.plan.steps) do ran[step.id] = run.schedule:state(step).ran end
   local job = start(run, name, sys.threads(), true)
   await(run, { [job.pid] = job })
   for id in pairs(performed(run, name)) do ran[id] = true end
   run.schedule.states = {}
   for _, step in ipairs(run.plan.steps) do
      if step.unit.early and name == ".preflight" then no_longer_forced(run, step) end
      run.schedule:state(step).ran = ran[step.id]
   end
   run:note()
end

--- Run all steps that the store lacks, `jobs` at a time.
---@param run table of ftpipe.runner
---@param jobs integer
function workers.execute(run, jobs)
   local running, busy = {}, {}
   local threads = math.max(1, sys.threads() // jobs)
   for _, step in ipairs(run.plan.steps) do
      local state = run.schedule:state(step)
      if state.digest and not state.ran then join_log(run, step.id) end      -- of a run that was killed before it could
   end
   while true do
      local count, waiting = 0, 0
      for _ in pairs(running) do count = count + 1 end
      for _, step in ipairs(run.plan.steps) do
         local state = run.schedule:state(step)
         if not state.digest then
            waiting = waiting + 1
            if busy[step.id] == "done" then      -- an entry must not vanish while the store is locked
               failure.raise("system", ("what step '%s' left was removed from the store by another process"):format(step.id),
                  to_go_on(run))
            end
            if state.key and not busy[step.id] and count < jobs then
               local job = start(run, step.id, threads, jobs == 1)
               running[job.pid], busy[step.id], count = job, true, count + 1
            end
         end
      end
      if waiting == 0 then return end
      local job = await(run, running)
      busy[job.name] = "done"
      take_in(run, job)
   end
end

return workers
