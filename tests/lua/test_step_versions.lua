-- tests/lua/test_step_versions.lua - what each step kind gives for fixed small inputs is what was recorded for its version.
--
-- Results are kept by kind and version: a kind that gives something else for the same input must get another version, or
-- stores hold what it no longer gives. Where this test fails, the output changed: raise the kind's version, and record anew:
--
--    ftpipe lua tests/lua/test_step_versions.lua record
--
-- Texts and whole numbers are compared by digest, other numbers (which differ in the last digits between processors and
-- libraries of products) to five digits, after training to three; of long lists of them, sums over every sixteenth.

if package then package.path = "lua/?.lua;tests/lua/?.lua;" .. package.path end

local check = require "check"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"
local artifact = require "ftpipe.artifact"
local steps = require "ftpipe.step"
local step_cases = require "step_cases"

check.suite "step versions"

local RECORD = "tests/fixtures/steps.json"
local LONG, BUCKETS = 24, 16

-- ==== An output as text and numbers ====

local describe

local function sorted_keys(t)
   local keys = {}
   for k in pairs(t) do keys[#keys + 1] = k end
   table.sort(keys, function(a, b)
      if type(a) ~= type(b) then return type(a) < type(b) end
      return a < b
   end)
   return keys
end

-- Numbers, or sums over every sixteenth of them where they are many.
local function add_numbers(into, list)
   if #list <= LONG then
      table.move(list, 1, #list, #into.numbers + 1, into.numbers)
      return
   end
   local sums = {}
   for i, x in ipairs(list) do sums[i % BUCKETS + 1] = (sums[i % BUCKETS + 1] or 0.0) + x end
   table.move(sums, 1, BUCKETS, #into.numbers + 1, into.numbers)
end

local function add(into, text) into.parts[#into.parts + 1] = text end

local function describe_tensor(into, t)
   local shape, values = t:shape(), t:table()
   add(into, "tensor " .. table.concat(shape, "x"))
   if math.type(values[1]) == "integer" then add(into, table.concat(values, " ")) else add_numbers(into, values) end
end

local function describe_tokens(into, tokens)
   local n = tokens:count()
   for i = 1, n do
      local batch = tokens:batch { i }
      add(into, table.concat(batch.tokens:table(), " "))
      if batch.types then add(into, table.concat(batch.types:table(), " ")) end
   end
end

local function has(value, name)
   local ok, method = pcall(function() return value[name] end)
   return ok and method ~= nil
end

local function describe_userdata(into, value)
   if value == json.null then add(into, "null")
   elseif has(value, "shape") then describe_tensor(into, value)
   elseif has(value, "batch") then describe_tokens(into, value)
   elseif has(value, "vocab_size") then add(into, "tokenizer " .. value:vocab_size())
   else add(into, "userdata") end
end

local function describe_model(into, m)
   describe(into, { config = m.config, options = m.options, settings = m.settings, history = m.history })
   for _, p in ipairs(m:parameters()) do
      add(into, ("%s %s"):format(p:name(), p:loaded() and "loaded" or "new"))
      describe_tensor(into, p:tensor())
   end
end

-- A list of floats, whose sums stand for them where it is long.
local function is_float_list(t)
   for _, x in ipairs(t) do if math.type(x) ~= "float" then return false end end
   return #t > LONG
end

local function describe_table(into, t)
   if into.seen[t] then return add(into, "seen") end
   into.seen[t] = true
   if artifact.is_model(t) then return describe_model(into, t) end
   if is_float_list(t) then return add_numbers(into, t) end
   for _, k in ipairs(sorted_keys(t)) do
      if type(t[k]) ~= "function" then
         add(into, tostring(k))
         describe(into, t[k])
      end
   end
   add(into, "end")
end

function describe(into, value)
   if type(value) == "table" then describe_table(into, value)
   elseif type(value) == "userdata" then describe_userdata(into, value)
   elseif math.type(value) == "float" then into.numbers[#into.numbers + 1] = value
   elseif type(value) == "string" and value:find "^%-?%d+%.%d+$" then into.numbers[#into.numbers + 1] = tonumber(value)
   elseif type(value) == "string" then add(into, (value:gsub(into.dir, "DIR")))
   else add(into, tostring(value)) end
end

local function finite(x) return x == x and math.abs(x) < 1e30 and x or 1e30 end

local function digest_and_numbers(value, dir)
   local into = { parts = {}, numbers = {}, seen = {}, dir = (dir:gsub("%p", "%%%0")) }
   describe(into, value)
   local numbers = json.array {}
   for i, x in ipairs(into.numbers) do numbers[i] = tonumber(("%.7g"):format(finite(x))) + 0.0 end
   return fs.sha256(table.concat(into.parts, "\n")), numbers
end

-- ==== Record and compare ====

local function outputs()
   local dir = (sys.getenv "TMPDIR" or "/tmp") .. "/steps-" .. sys.pid()
   assert(fs.mkdirs(dir))
   local list = step_cases(dir)
   for _, case in ipairs(list) do case.digest, case.numbers = digest_and_numbers(case.value, dir) end
   fs.remove(dir)
   return list
end

if arg and arg[1] == "record" then
   local record, lines = {}, {}
   for _, case in ipairs(outputs()) do
      record[#record + 1] = { kind = case.kind, case = case.name, version = steps[case.kind].version, digest = case.digest,
         numbers = case.numbers }
   end
   for i, entry in ipairs(record) do lines[i] = "  " .. json.encode(entry) end
   assert(fs.write(RECORD, "[\n" .. table.concat(lines, ",\n") .. "\n]\n"))
   sys.out(("%d outputs recorded\n"):format(#record))
   return 0
end

local recorded, seen = {}, {}
for _, entry in ipairs(json.decode(assert(fs.read(RECORD)))) do recorded[entry.kind .. ": " .. entry.case] = entry end

local function compare(case, entry)
   local tolerance = steps[case.kind].exact and 2e-5 or 1e-3
   local version, again = steps[case.kind].version, "ftpipe lua tests/lua/test_step_versions.lua record"
   if not entry then error("it has no record yet: " .. again, 0) end
   if entry.version ~= version then
      error(("version %d is recorded, and this is %d: %s"):format(entry.version, version, again), 0)
   end
   local changed = ("for the same input it gives something else than recorded for version %d (%%s); raise the version of '%s', "
      .. "then %s"):format(version, case.kind, again)
   if entry.digest ~= case.digest then error(changed:format "texts or whole numbers", 0) end
   if #entry.numbers ~= #case.numbers then error(changed:format "how many numbers", 0) end
   for i, want in ipairs(entry.numbers) do
      local got = case.numbers[i]
      if math.abs(got - want) > tolerance * math.max(1, math.abs(want)) then
         error(changed:format(("number %d: %.7g, recorded %.7g"):format(i, got, want)), 0)
      end
   end
end

for _, case in ipairs(outputs()) do
   local name = case.kind .. ": " .. case.name
   seen[case.kind], seen[name] = true, true
   check.test(name, function() compare(case, recorded[name]) end)
end

check.test("every step kind is recorded", function()
   for kind in pairs(steps) do check.is_true(seen[kind], "there is no case of " .. kind) end
   for name in pairs(recorded) do check.is_true(seen[name], "recorded, but no case: " .. name) end
end)

check.done()
