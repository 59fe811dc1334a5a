--- Evaluates a pipeline file to a plan. The file is Lua in a limited environment (ftpipe.sandbox.environment), with a `require`
-- that knows ftpipe and modules beside the file; undefined variables are errors. Here it is evaluated in this process;
-- commands have it done in one that holds nothing (ftpipe.sandbox.child).

local confine = require "ftpipe.core.confine"
local host = require "ftpipe.core.host"
local fs = require "ftpipe.core.fs"
local failure = require "ftpipe.failure"
local params = require "ftpipe.params"
local plan = require "ftpipe.plan"
local kinds = require "ftpipe.step"
local heads = require "ftpipe.head"
local environment = require "ftpipe.sandbox.environment"
local sandbox = require "ftpipe.sandbox"
local nn = require "ftpipe.nn"

local pipeline = {}
local current      -- the evaluation in progress

local function evaluating(what)
   if not current then error(("ft.%s works only while a pipeline file is evaluated"):format(what), 3) end
   return current
end

-- ==== What a pipeline file sees: the API that needs an evaluation ====

--- Declare parameters; returns their values.
function pipeline.params(specs)
   local c = evaluating "params"
   if c.params then error("ft.params may be called once", 2) end
   local values, described, problems = params.resolve(specs, c)
   c.params = described
   if c.only_params then error(c.only_params, 0) end
   if #problems > 0 then
      failure.raise("usage", (#problems == 1 and "%s: %s" or "%s:\n  %s"):format(c.file, table.concat(problems, "\n  ")),
         ("`ftpipe help %s` lists the parameters"):format(c.file))
   end
   return values
end

--- A step of one's own: { name, version, run = function(ctx, inputs...), seconds = limit }. Call the result with the input steps.
function pipeline.step(t)
   evaluating "step"
   if type(t) ~= "table" or type(t.run) ~= "function" or type(t.name) ~= "string" then
      error("ft.step needs name, version and run", 2)
   end
   if t.seconds ~= nil and (type(t.seconds) ~= "number" or t.seconds <= 0) then
      error("ft.step: seconds must be a number above 0", 2)
   end
   return function(...)
      local inputs, args = {}, { name = t.name }
      for i = 1, select("#", ...) do
         local key = ("input_%d"):format(i)
         inputs[key], args[key] = "required", (select(i, ...))
      end
      local n = select("#", ...)
      args.run = t.run
      local handle = current.plan:add({ kind = "lua", version = t.version or 1, inputs = inputs,
         params = { run = { required = true } },
         run = function(ctx, artifacts)
            local list = {}
            for i = 1, n do list[i] = artifacts[("input_%d"):format(i)] end
            if t.seconds then return confine.within(t.seconds, t.run, ctx, table.unpack(list, 1, n)) end
            return t.run(ctx, table.unpack(list, 1, n))
         end }, args, 3)
      return handle
   end
end

--- A head of one's own; see ftpipe.head.
function pipeline.head(t)
   local unit = heads.define(t)     -- no tail call: the caller's line is looked up
   return unit
end

-- Further steps that shall run, under names.
local function outputs_of(p, t, where, goals)
   if t.outputs == nil then return end
   if type(t.outputs) ~= "table" or plan.is_handle(t.outputs) then
      failure.raise("usage", where .. ": outputs must be { name = step, ... }")
   end
   p.outputs = {}
   for name, handle in pairs(t.outputs) do
      if not plan.is_handle(handle) then failure.raise("usage", ("%s: outputs.%s must be a step"):format(where, tostring(name))) end
      p.outputs[tostring(name)] = handle.id
      goals[#goals + 1] = handle.id
   end
end

--- The pipeline itself: { name, api, seed, model = step, report = step, outputs = { name = step },
-- weights = "f32" | "f16" | "bf16" }; weights says how `model/` stores its numbers.
function pipeline.pipeline(t)
   local c = evaluating "pipeline"
   local where = host.where(2) or c.file
   if type(t) ~= "table" or type(t.name) ~= "string" then failure.raise("usage", where .. ": ft.pipeline needs a name") end
   plan.check_name(where, "pipeline", t.name)
   if t.api ~= nil and t.api ~= 1 then
      failure.raise("usage", ("%s: api = %s is newer than this ftpipe, which knows api = 1"):format(where, tostring(t.api)))
   end
   local p = c.plan
   p.name, p.seed = t.name, c.seed or t.seed or 1
   p.seed = math.tointeger(p.seed)
   if not p.seed then failure.raise("usage", ("%s: seed = %s is no whole number"):format(where, tostring(t.seed))) end
   if t.weights and t.weights ~= "f32" and t.weights ~= "f16" and t.weights ~= "bf16" then
      failure.raise("usage", ("%s: weights = %s is none of f32, f16, bf16"):format(where, tostring(t.weights)))
   end
   p.weights = t.weights
   local goals = {}
   for _, key in ipairs { "model", "report" } do
      if t[key] ~= nil then
         if not plan.is_handle(t[key]) then failure.raise("usage", ("%s: %s must be a step"):format(where, key)) end
         p[key] = t[key].id
         goals[#goals + 1] = t[key].id
      end
   end
   outputs_of(p, t, where, goals)
   if #goals == 0 then failure.raise("usage", where .. ": ft.pipeline needs a model, a report or outputs") end
   p:prune(goals)
   c.done = true
   return p
end

-- ==== The environment ====

local MOST = 1 << 24      -- bytes of a module

local function read_module(dir, path)
   if sandbox.on "modules" then return confine.read(dir, path, MOST) end
   return fs.read((dir == "" and "" or dir .. "/") .. path)
end

-- Text and chunk name of a module beside the script, or nil. A name that leads out of the folder is an error.
local function module_finder(dir)
   return function(name)
      local relative = name:gsub("%.", "/")
      for _, tail in ipairs { ".lua", "/init.lua" } do
         local text, message = read_module(dir, relative .. tail)
         if text == false then
            failure.raise("access", ("module '%s': %s"):format(name, message), "modules lie in the folder of the pipeline file")
         end
         if text then return text, "@" .. (dir == "" and "" or dir .. "/") .. relative .. tail end
      end
   end
end

-- Text, never bytecode, which can take the interpreter apart.
local function mode() return sandbox.on "bytecode" and "t" or "bt" end

local view      -- what scripts see of the interface: all but what opens files

local function scripts_view()
   if view then return view end
   local shown = {}
   for name, value in pairs(require "ftpipe") do shown[name] = value end
   shown.model, shown.gradcheck = nil, nil
   shown.nn = environment.freeze(nn, "nn")
   shown.tensor = environment.freeze(shown.tensor, "ft.tensor")
   view = environment.freeze(setmetatable(shown, getmetatable(require "ftpipe")), "ft")
   environment.call(view, "ft")
   return view
end

-- require for scripts: ftpipe's own modules by name, else files beside the script
local function script_require(dir)
   local loaded, env, find = {}, nil, module_finder(dir)
   heads.set_modules(find)
   local function req(name)
      if type(name) ~= "string" then error("require takes a name", 2) end
      if name == "ftpipe" then return scripts_view() end
      if loaded[name] ~= nil then return loaded[name] end
      if name:find("^ftpipe%.") then
         error(("module '%s' is internal; require \"ftpipe\" gives the whole interface"):format(name), 2)
      end
      local text, chunk = find(name)
      if not text then error(("no module '%s' beside the pipeline file"):format(name), 2) end
      heads.remember(chunk, text)
      local f, message = host.load(text, chunk, env, mode())
      if not f then error(message, 0) end
      local value = f(name)
      loaded[name] = value == nil and true or value
      return loaded[name]
   end
   env = environment.new(req)
   return env
end

-- options.text: what the file holds, where that is known
local function context(file, options)
   local given = {}
   for _, s in ipairs(options.set or {}) do given[s.name] = s.value end
   local dir = file:match("^(.*)/[^/]*$") or ""
   return { file = file, text = options.text, given = given, cwd = options.cwd or "", dir = dir, seed = options.seed,
      plan = plan.new(file) }
end

local function execute(c)
   local text, message = c.text, nil
   if not text then text, message = fs.read(c.file) end
   if not text then failure.raise("usage", message) end
   heads.remember("@" .. c.file, text)
   local f, problem = host.load(text, "@" .. c.file, script_require(c.dir), mode())
   if not f then failure.raise("usage", problem) end
   local before = current
   current = c
   local ok, result = xpcall(f, function(e)
      if failure.is(e) or e == c.only_params then return e end
      return { ftpipe = "usage", message = tostring(e), traceback = host.traceback(tostring(e), 2) }
   end)
   current = before
   return ok, result
end

--- Evaluate a file.
---@param file string
---@param options? { set: {name: string, value: string}[]?, seed: integer?, cwd: string?,
-- text: string? }
function pipeline.evaluate(file, options)
   local c = context(file, options or {})
   local ok, result = execute(c)
   if not ok then error(result, 0) end
   if not c.done or result ~= c.plan then
      failure.raise("usage", ("%s: a pipeline file must end with `return ft.pipeline { ... }`"):format(file))
   end
   c.plan.file = file
   c.plan.params = c.params or {}
   if not c.params and next(c.given) then
      failure.raise("usage", ("%s declares no parameters, so --set has nothing to set"):format(file))
   end
   return c.plan
end

--- Parameters of a file without running the rest, and its first comment.
function pipeline.parameters(file, text)
   local c = context(file, { text = text })
   c.only_params = {}
   local ok, result = execute(c)
   if not ok and result ~= c.only_params then error(result, 0) end
   text = text or fs.read(file) or ""
   return { params = c.params or {}, summary = text:match("^%-%-+%s*([^\n]*)") }
end

-- ==== The interface: require "ftpipe" ====

--- Constructors of all step kinds, and what a pipeline file may use besides.
function pipeline.interface()
   local ft = { params = pipeline.params, step = pipeline.step, head = pipeline.head, pipeline = pipeline.pipeline, nn = nn }
   for kind, unit in pairs(kinds) do
      ft[kind] = function(args)
         local handle = evaluating(kind).plan:add(unit, args, 3)     -- no tail call: the caller's line is looked up
         return handle
      end
   end
   return ft
end

return pipeline
