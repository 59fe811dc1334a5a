--- Before the first expensive step: rows are read, shared out and tokenised, encoders and settings are looked at, memory and
-- disk are compared with what the rest will take. All that is wrong is told together.

local fs = require "ftpipe.core.fs"
local host = require "ftpipe.core.host"
local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"
local forecast = require "ftpipe.forecast"
local outlook = require "ftpipe.outlook"
local plan_of = require "ftpipe.plan"

local preflight = {}

local TRUNCATED = 0.2      -- share of rows that are cut that is worth a word

-- Run f; what is wrong goes to the list, but for an interruption. Gives whether all went well.
local function collect(problems, f)
   local ok, e = pcall(f)
   if ok then return true end
   local own = not failure.is(e) or e.message:find "%f[%w]lua/ftpipe/[%w_/]+%.lua:%d+: "      -- a fault of the program
   if own or e.ftpipe == "interrupted" or e.ftpipe == "system" then error(e, 0) end
   problems[#problems + 1] = e
   return false
end

local function cut_rows(run, step, value)
   local facts = type(value) == "table" and value.facts
   for _, name in ipairs { "train", "valid", "test" } do
      local share = facts and facts.truncated and facts.truncated[name]
      if share and share > TRUNCATED and run.progress then
         run.progress:line(("%s: %.0f %% of the rows of %s are longer than %d tokens and are cut"):format(step.id, 100 * share,
            name, facts.max_tokens))
      end
   end
end

-- ==== Rows and encoders ====

local function look_at(run, step, perform)
   local state = run.schedule:state(step)
   if step.kind == "pretrained" then
      local ok, e = pcall(run.schedule.need, run.schedule, step.id)
      if not ok then error(failure.wrap(e, step.where), 0) end
   elseif step.unit.early and state.key and not state.hit then
      perform(step)
      cut_rows(run, step, run.schedule.memo[step.id])
   end
end

-- Whether all that a step needs is as it should be so far.
local function inputs_fine(step, wrong)
   for _, id in ipairs(plan_of.inputs_of(step)) do if wrong[id] then return false end end
   return true
end

-- ==== Memory and disk ====

local function number_in(path, pattern) return tonumber((fs.read(path) or ""):match(pattern or "^%s*(%d+)")) end

-- Limit and use of memory of this process's control groups: of the first version of groups, or the second; and, where it sees
-- no more than its own, at the top.
local function groups()
   local out, own = {}, fs.read "/proc/self/cgroup" or ""
   for path in ("\n" .. own):gmatch "\n0::([^\n]*)" do
      out[#out + 1] = { "/sys/fs/cgroup" .. path .. "/memory.max", "/sys/fs/cgroup" .. path .. "/memory.current" }
   end
   for path in own:gmatch ":memory:([^\n]*)" do
      local dir = "/sys/fs/cgroup/memory" .. path
      out[#out + 1] = { dir .. "/memory.limit_in_bytes", dir .. "/memory.usage_in_bytes" }
   end
   out[#out + 1] = { "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current" }
   out[#out + 1] = { "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes" }
   return out
end

--- Bytes of memory that this process may have, and that are free now.
function preflight.memory()
   local all = (number_in("/proc/meminfo", "MemTotal:%s*(%d+)") or math.huge) * 1024
   local free = (number_in("/proc/meminfo", "MemAvailable:%s*(%d+)") or math.huge) * 1024
   for _, group in ipairs(groups()) do
      local limit = number_in(group[1])
      if limit then
         all = math.min(all, limit)
         free = math.min(free, limit - (number_in(group[2]) or 0))
      end
   end
   return all, free
end

local MEMORY_HINT = "a smaller tokens_per_batch, max_length or batch takes less"

local function check_memory(run, told, problems)
   local all, free = preflight.memory()
   for _, step in ipairs(run.plan.steps) do
      local need = told.steps[step.id] and told.steps[step.id].memory or 0
      local model, o = nil, nil
      if told.steps[step.id] then model, o = outlook.known_training(run.plan, run.schedule, step) end
      local ok, e = pcall(function() return model and forecast.check(model, o) end)
      if not ok then error(failure.wrap(e, step.where), 0) end
      if need > all then
         problems[#problems + 1] = failure.new("usage", ("%s: step '%s' would take about %s of memory, and there are %s"):format(
            step.where, step.id, outlook.size_text(need), outlook.size_text(all)), MEMORY_HINT)
      elseif need > free and run.progress then
         run.progress:line(("%s: would take about %s of memory; only %s are free now"):format(step.id,
            outlook.size_text(need), outlook.size_text(math.max(0, free))))
      end
   end
end

local function check_disk(run, told, problems)
   local places = { { run.schedule.store.dir, told.disk - (told.results or 0) }, { run.out, told.results or 0 } }
   local free, device = {}, {}
   for i, place in ipairs(places) do
      free[i], device[i] = fs.free(place[1]), (fs.status(place[1]) or {}).device
   end
   if device[1] and device[1] == device[2] then
      places = { { run.out, told.disk } }
      free[1] = free[2]
   end
   for i, place in ipairs(places) do
      if free[i] and place[2] > free[i] then
         problems[#problems + 1] = failure.new("system", ("%s: about %s would be written, and there is room for %s"):format(
            place[1], outlook.size_text(place[2]), outlook.size_text(free[i])),
            "`ftpipe cache gc` frees what was not used for long; FTPIPE_CACHE and --out name other places")
      end
   end
end

-- ==== All of it ====

-- Settings of a step that can be judged before its inputs exist.
local function look_at_settings(run, step, problems)
   for _, problem in ipairs(step.unit.preflight and step.unit.preflight(step.params, run.plan, step) or {}) do
      problems[#problems + 1] = failure.new("usage", step.where .. ": " .. problem)
   end
end

--- Do what is cheap of a run, and raise one error for all that is wrong. perform(step) computes a step and puts it into the
-- store.
---@param run table of ftpipe.runner
---@param perform fun(step: table)
function preflight.run(run, perform)
   local problems, wrong, expensive = {}, {}, false
   for _, step in ipairs(run.plan.steps) do
      local fine = inputs_fine(step, wrong)
      if fine then fine = collect(problems, function() look_at(run, step, perform) end) end
      if not fine then wrong[step.id] = true end
      if not run.schedule:state(step).hit and not step.unit.early then
         expensive = true
         collect(problems, function() look_at_settings(run, step, problems) end)
      end
      if sys.interrupted() > 0 then failure.raise("interrupted", "interrupted before the first step") end
   end
   host.collectgarbage()
   if expensive and #problems == 0 then
      local told = outlook.of(run.plan, run.schedule, run.fingerprint)
      if run.progress and next(told.steps) then run.progress:line("to do: " .. outlook.text(told)) end
      check_memory(run, told, problems)
      check_disk(run, told, problems)
   end
   failure.raise_all(problems)
end

return preflight
