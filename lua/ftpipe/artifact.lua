--- What a step leaves, as files, and back.
--
-- Anything made of plain data, tensors and token data sets is one packed value; a model is its configuration and those of its
-- weights that differ from an input's. What an input holds already (a tokeniser, rows, the frozen part of a model) is
-- referred to, not written again. A step kind may do it its own way, as files that it wrote where ctx:place() said:
-- unit.save(dir, artifact) and unit.load(dir, need). One with `stored = false`, and what has no such form, is computed again
-- whenever it is needed.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local pack = require "ftpipe.core.pack"
local store = require "ftpipe.core.store"
local failure = require "ftpipe.failure"
local model = require "ftpipe.model"

local artifact = {}

function artifact.is_model(x) return type(x) == "table" and getmetatable(x) == model end

-- ==== What inputs hold: objects and the way to them ====

local function sorted(t)
   local keys = {}
   for k in pairs(t) do
      if type(k) == "string" then keys[#keys + 1] = k end
   end
   table.sort(keys)
   return keys
end

local function is_object(x) return type(x) == "table" or type(x) == "userdata" and x ~= json.null end

-- Objects of a value, outer ones first, down to `depth` names.
local function collect(list, seen, value, path, depth)
   if not is_object(value) or seen[value] then return end
   seen[value] = true
   list[#list + 1] = { object = value, path = path }
   if depth == 0 or type(value) ~= "table" then return end
   local names = artifact.is_model(value) and { "data", "tokenizer" } or sorted(value)
   for _, name in ipairs(names) do
      local longer = { table.unpack(path) }
      longer[#longer + 1] = name
      collect(list, seen, value[name], longer, depth - 1)
   end
end

local function shared_objects(inputs)
   local list, seen = {}, {}
   for _, name in ipairs(sorted(inputs)) do collect(list, seen, inputs[name], { name }, 2) end
   return list
end

-- ==== Models ====

-- Digests of tensors by name.
local function digests_of(tensors)
   local names, list, out = sorted(tensors), {}, {}
   for i, name in ipairs(names) do list[i] = tensors[name] end
   for i, digest in ipairs(pack.digests(list)) do out[names[i]] = digest end
   return out
end

--- Digests of a model's weights, by which a step's change is told.
function artifact.weights_of(m) return digests_of(m:weights(true)) end

--- What the weights of all models among the inputs are before a step runs, which may change them in place: by path, digests, and of
-- weights that are pages of a file those pages, which training leaves as they are and whose digests can wait.
---@param inputs table
function artifact.before(inputs)
   local out = {}
   for _, o in ipairs(shared_objects(inputs)) do
      if artifact.is_model(o.object) then
         local now, later = {}, {}
         for _, p in ipairs(o.object:parameters()) do
            local t = p:tensor()
            later[p:name()] = t:origin()
            if not later[p:name()] then now[p:name()] = t end
         end
         out[#out + 1] = { path = o.path, weights = digests_of(now), later = later }
      end
   end
   return out
end

-- The digests that artifact.before put off; weights whose pages were written to after all have none, and match nothing.
local function settled(one)
   local untouched = {}
   for name, t in pairs(one.later) do untouched[name] = t:untouched() and t or nil end
   for name, digest in pairs(digests_of(untouched)) do one.weights[name] = digest end
   one.later = {}
   return one
end

-- The input that shares most weights, and the names of those.
local function base_of(own, before)
   local base, same, most = nil, {}, 0
   for _, b in ipairs(before) do
      settled(b)
      local names = {}
      for name, digest in pairs(own) do
         if b.weights[name] == digest then names[#names + 1] = name end
      end
      if #names > most then base, same, most = b.path, names, #names end
   end
   table.sort(same)
   return base, same
end

local function describe_model(m)
   local loaded = {}
   for _, p in ipairs(m:parameters()) do if p:loaded() then loaded[#loaded + 1] = p:name() end end
   return { config = m.config, head = m.head_unit.source or m.head_unit.name, options = m.options, tokenizer = m.tokenizer,
      data = m.data, loaded = loaded, dropped = m.dropped, history = m.history, kept_epoch = m.kept_epoch,
      settings = m.settings }
end

-- The plain part of a model; its weights go to a file of their own.
local function split_model(dir, m, before)
   local about = describe_model(m)
   local own, unchanged, tensors = artifact.weights_of(m), {}, {}
   about.base, about.unchanged = base_of(own, before)
   for _, name in ipairs(about.unchanged) do unchanged[name] = true end
   for _, p in ipairs(m:parameters()) do
      if not unchanged[p:name()] then tensors[p:name()] = p:tensor() end
   end
   failure.try("system", store.write(dir .. "/weights.safetensors", tensors, {}))
   return about, own
end

local function join_model(dir, about, need)
   local m = model.empty(about.config, about.tokenizer, about.head, about.options)
   local weights = failure.try("data", store.open(dir .. "/weights.safetensors"))
   local base = #about.unchanged > 0 and need(about.base)
   local unchanged = {}
   for _, name in ipairs(about.unchanged) do unchanged[name] = true end
   for _, p in ipairs(m:parameters()) do
      local from = unchanged[p:name()] and base.by_name[p:name()]:tensor()
         or failure.try("data", weights:tensor(p:name()))
      p:tensor():copy(from)
   end
   weights:close()
   for _, name in ipairs(about.loaded) do m.by_name[name]:loaded(true) end
   m.data, m.dropped, m.history, m.kept_epoch = about.data, about.dropped, about.history, about.kept_epoch
   m.settings = about.settings or {}
   return m
end

-- ==== Saving and loading ====

local function way(path) return table.concat(path, "/") end

--- Write an artifact into a directory that is empty or what ctx:place() gave. Gives what its record must hold ({ digest, type,
-- shared }; without digest its key stands for it), or nil and the reason why it cannot be stored.
---@param dir string
---@param value any what the step's run gave
---@param unit table its kind
---@param inputs table artifacts of its inputs
---@param before table from artifact.before
---@param digest_of fun(input: string): string digest of an input's content
function artifact.save(dir, value, unit, inputs, before, digest_of)
   if unit.save then return unit.save(dir, value) end
   local plain, weights = value, nil
   local objects, paths, shared, sources = {}, {}, {}, {}
   if artifact.is_model(value) then plain, weights = split_model(dir, value, before) end
   for _, c in ipairs(shared_objects(inputs)) do objects[way(c.path)], paths[way(c.path)] = c.object, c.path end
   local bytes, used = pack.bytes(plain, objects)
   if not bytes then return nil, used end
   for name in pairs(used) do shared[name], sources[name] = json.array(paths[name]), digest_of(paths[name]) end
   failure.try("system", bytes:write(dir .. "/value.pack"))
   local digest = fs.sha256(json.encode { value = bytes:sha256(), weights = weights, sources = sources })
   bytes:close()
   return { digest = digest, type = weights and "model" or "value", shared = shared }
end

--- Read an artifact back. need(path) gives an object of the inputs.
---@param dir string
---@param record table
---@param unit table
---@param need fun(path: string[]): any
function artifact.load(dir, record, unit, need)
   if unit.load then return unit.load(dir, need) end
   local objects = {}
   for name, path in pairs(record.shared) do objects[name] = need(path) end
   local value, message = pack.read(dir .. "/value.pack", objects)
   if value == nil and message then failure.raise("data", message) end
   return record.type == "model" and join_model(dir, value, need) or value
end

return artifact
