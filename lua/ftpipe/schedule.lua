--- Which steps must run, and what the others left: keys, the store, artifacts on demand.
--
-- A step's key is made of its identity and the digests of its inputs' content. Where the store has it, the step is a hit and
-- its artifact is read only when somebody needs it; a step that is not stored has its key for a digest and is computed when
-- somebody needs it.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local store = require "ftpipe.core.store"
local sys = require "ftpipe.core.sys"
local artifact = require "ftpipe.artifact"
local cache = require "ftpipe.cache"
local failure = require "ftpipe.failure"
local identity = require "ftpipe.identity"

---@class ftpipe.schedule
local schedule = {}
schedule.__index = schedule

--- What each step of a plan is, without its inputs.
---@param plan ftpipe.plan
---@param kept ftpipe.cache
function schedule.identities(plan, kept)
   local out = {}
   for _, step in ipairs(plan.steps) do
      out[step.id] = identity.of(step, plan, function(path) return kept.files:of(path) end)
   end
   return out
end

--- A schedule. run(step, inputs) computes a step and gives its artifact and facts (plain data that are kept with it).
---@param plan ftpipe.plan
---@param kept ftpipe.cache
---@param opts { engine: string, identities: table, run: fun(step: table, inputs: table): any, table, force: any, reader: table }
-- force: true, or a set of step ids: no hits; reader: the only step that reads artifacts here
function schedule.new(plan, kept, opts)
   local self = setmetatable({ plan = plan, store = kept, engine = opts.engine, identities = opts.identities, compute = opts.run,
      force = opts.force, states = {}, memo = {}, readers = {}, places = {} }, schedule)
   for _, step in ipairs(opts.reader and { opts.reader } or plan.steps) do
      for _, id in ipairs(plan.inputs_of(step)) do self.readers[id] = (self.readers[id] or 0) + 1 end
   end
   if plan.model and not opts.reader then self.readers[plan.model] = (self.readers[plan.model] or 0) + 1 end
   return self
end

-- Digests of a step's inputs by name, or nil where one is not known yet.
local function input_digests(self, step)
   local out = {}
   for name, from in pairs(step.inputs) do
      if type(from) == "table" then
         out[name] = {}
         for key, id in pairs(from) do
            local state = self.states[id]
            if not state or not state.digest then return nil end
            out[name][tostring(key)] = state.digest
         end
      else
         local state = self.states[from]
         if not state or not state.digest then return nil end
         out[name] = state.digest
      end
   end
   return out
end

--- Where a step stands: { key, described, digest, hit, record, dir }. The key is known when all inputs' contents are.
function schedule:state(step)
   local state = self.states[step.id]
   if state and state.key then return state end
   state = {}
   self.states[step.id] = state
   local digests = input_digests(self, step)
   if not digests then return state end
   state.key, state.described = identity.key(self.identities[step.id], digests, not step.unit.exact and self.engine or nil,
      cache.FORMAT)
   if step.unit.stored == false then
      state.digest, state.hit = "key " .. state.key, true
   else
      state.record, state.dir = self.store:find(state.key)
      state.forced = self.force and (self.force == true or self.force[step.id]) and not state.ran or nil
      if state.record and not state.forced then state.digest, state.hit = state.record.digest, true end
   end
   return state
end

-- The object that a path of names leads to, beginning with an input's.
local function follow(self, step, path)
   local from, at = step.inputs[path[1]], 2
   local value
   if type(from) == "table" then
      if not path[2] then
         value = {}
         for key, id in pairs(from) do value[key] = self:need(id) end
         return value
      end
      value, at = self:need(from[path[2]]), 3
   else
      value = self:need(from)
   end
   for i = at, #path do value = value[path[i]] end
   return value
end

local function inputs_of(self, step)
   local out = {}
   for name, from in pairs(step.inputs) do
      if type(from) == "table" then
         out[name] = {}
         for key, id in pairs(from) do out[name][key] = self:need(id) end
      else
         out[name] = self:need(from)
      end
   end
   return out
end

--- The artifact of a step: read from the store, or computed if it is not stored.
---@param id string
function schedule:need(id)
   if self.memo[id] ~= nil then return self.memo[id] end
   local step, state = self.plan.by_id[id], self.states[id]
   local value
   if state.record and state.record.type ~= "none" then
      local ok, result = pcall(artifact.load, state.dir, state.record, step.unit,
         function(path) return follow(self, step, path) end)
      if not ok then      -- damaged: as if it had never been there
         if type(result) == "table" and result.ftpipe == "interrupted" then error(result, 0) end
         self.store:drop(state.key)
         state.record, state.dir = nil, nil
         value = self:perform(step)
      else
         value = result
      end
   elseif state.record or step.unit.stored == false then
      value = (self.compute(step, inputs_of(self, step)))
   else
      value = self:perform(step)
   end
   self.memo[id] = value
   return value
end

-- The digest of the input that a path leads into.
local function digest_at(self, step, path)
   local from = step.inputs[path[1]]
   if type(from) ~= "table" then return self.states[from].digest end
   if path[2] then return self.states[from[path[2]]].digest end
   local all = {}
   for key, id in pairs(from) do all[key] = self.states[id].digest end
   return json.encode(all)
end

--- The folder that becomes a step's entry of the store, for what is too large to be handed over in memory.
---@param step table
function schedule:place(step)
   local place = self.places[step.id] or self.store:staging()
   self.places[step.id] = place
   return place
end

--- Compute a step and put what it leaves into the store.
function schedule:perform(step)
   local state, start = self.states[step.id], sys.now()
   local inputs = inputs_of(self, step)
   local before = step.unit.save and {} or artifact.before(inputs)
   local value, facts = self.compute(step, inputs)
   local staging = self:place(step)
   self.places[step.id] = nil
   local record, reason = artifact.save(staging, value, step.unit, inputs, before,
      function(path) return digest_at(self, step, path) end)
   record = record or { type = "none", digest = "key " .. state.key, reason = reason, shared = {} }
   record.digest = record.digest or "key " .. state.key
   record.key, record.kind, record.version, record.facts = state.key, step.kind, step.version, facts
   record.step, record.seconds = state.described, math.floor((sys.now() - start) * 1000) / 1000
   self.store:publish(staging, record, state.forced)
   state.record, state.dir = self.store:find(state.key)
   if not state.record then
      failure.raise("system", ("what step '%s' left was removed from the store by another process"):format(step.id))
   end
   state.digest, state.ran = state.record.digest, true
   if state.record.type == "value" or step.unit.load then      -- what follows sees it as if it had been a hit, to the last table
      value = artifact.load(state.dir, state.record, step.unit, function(path) return follow(self, step, path) end)
   end
   self.memo[step.id] = value
   return value
end

--- A tensor inside a step that is kept by what decides about it: read from the store, or made and put there.
---@param kind string
---@param about table plain data
---@param engine string what computes
---@param make fun(): userdata
function schedule:tensor(kind, about, engine, make)
   local key = fs.sha256(json.encode { kind = kind, about = about, engine = engine, format = cache.FORMAT })
   local record, dir = self.store:find(key)
   local file = record and store.open(dir .. "/value.safetensors")
   local known = file and file:tensor "value"
   if known then return known end
   if record then self.store:drop(key) end
   local value, staging = make(), self.store:staging()
   failure.try("system", store.write(staging .. "/value.safetensors", { value = value }, {}))
   self.store:publish(staging, { key = key, kind = kind, digest = "key " .. key, type = "tensor" })
   return value
end

--- Forget a step's artifact in memory, because a step changed it in place.
function schedule:forget(value)
   for id, known in pairs(self.memo) do
      if rawequal(known, value) then self.memo[id] = nil end
   end
end

--- How many steps of the plan read what this artifact is.
function schedule:readers_of(value)
   for id, known in pairs(self.memo) do
      if rawequal(known, value) then return self.readers[id] or 0 end
   end
   return 0
end

return schedule
