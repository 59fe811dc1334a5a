-- tests/lua/check.lua - a small test helper: suites, named tests, comparisons, fixtures.
--
-- A test file registers tests with check.test and ends with check.done(), which prints
-- "N passed, N failed" and raises an error if any failed. It needs no more than the base library;
-- only check.json reads files.

local check = {}

local suite_name, passed, failures = "", 0, {}

--- Name the tests that follow.
function check.suite(name) suite_name = name end

--- Run one test now and remember how it went.
---@param name string
---@param body fun()
function check.test(name, body)
   local ok, message = pcall(body)
   if ok then
      passed = passed + 1
   else
      failures[#failures + 1] = ("%s: %s: %s"):format(suite_name, name, tostring(message))
   end
end

--- Print the totals; raise an error if a test failed or none ran.
function check.done()
   local total, list = passed, failures
   passed, failures = 0, {}
   for _, text in ipairs(list) do print("FAILED " .. text) end
   print(("%s: %d passed, %d failed"):format(suite_name, total, #list))
   if #list > 0 then error(("%s: %d tests failed"):format(suite_name, #list), 0) end
   if total == 0 then error(suite_name .. ": no test ran", 0) end
end

local function show(value)
   if type(value) == "string" then return ("%q"):format(value) end
   if type(value) ~= "table" then return tostring(value) end
   local keys, parts = {}, {}
   for k in pairs(value) do keys[#keys + 1] = k end
   table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
   for _, k in ipairs(keys) do parts[#parts + 1] = tostring(k) .. "=" .. show(value[k]) end
   return "{" .. table.concat(parts, ", ") .. "}"
end

local function same(a, b)
   if type(a) ~= "table" or type(b) ~= "table" then return a == b end
   for k, v in pairs(a) do
      if not same(v, b[k]) then return false end
   end
   for k in pairs(b) do
      if a[k] == nil then return false end
   end
   return true
end

--- Equal, tables by content.
function check.equal(got, want, what)
   if not same(got, want) then
      error(("%sgot %s, want %s"):format(what and what .. ": " or "", show(got), show(want)), 2)
   end
end

--- True, or an error.
function check.is_true(value, what)
   if not value then error(what or "want a true value", 2) end
end

--- Numbers no further apart than `tolerance`. NaN is near nothing.
function check.near(got, want, tolerance, what)
   local near = type(got) == "number" and math.abs(got - want) <= tolerance
   if not near then
      error(("%sgot %s, want %s within %g"):format(what and what .. ": " or "", show(got), show(want), tolerance), 2)
   end
end

--- Text that holds a phrase, compared plainly.
function check.contains(text, phrase, what)
   if type(text) ~= "string" or not text:find(phrase, 1, true) then
      error(("%s%s does not contain %q"):format(what and what .. ": " or "", show(text), phrase), 2)
   end
end

--- A call that fails with a message that holds `phrase`.
function check.error_contains(phrase, body, ...)
   local ok, message = pcall(body, ...)
   if ok then error(("want an error with %q, got none"):format(phrase), 2) end
   if not tostring(message):find(phrase, 1, true) then
      error(("want an error with %q, got %q"):format(phrase, tostring(message)), 2)
   end
end

--- A reproducible random(below): SplitMix64 (Steele, Lea & Flood 2014).
---@param seed integer
---@return fun(below: integer): integer
function check.random(seed)
   local state = seed
   return function(below)
      state = state + 0x9E3779B97F4A7C15
      local z = state
      z = (z ~ (z >> 30)) * 0xBF58476D1CE4E5B9
      z = (z ~ (z >> 27)) * 0x94D049BB133111EB
      return ((z ~ (z >> 31)) >> 1) % below
   end
end

-- A minimal JSON reader for fixtures: well-formed input, null becomes nil.
local read_value

local function skip(text, at) return text:find("[^ \t\r\n]", at) or #text + 1 end

local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function read_string(text, at)
   local stop = at + 1
   while text:sub(stop, stop) ~= '"' do
      if stop > #text then error("unterminated string in JSON at byte " .. at, 0) end
      stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
   end
   local body = text:sub(at + 1, stop - 1)
   body = body:gsub("\\\\", "\\u005C")   -- so that no escaped backslash starts an escape below
   body = body:gsub("\\u[dD]([89abAB]%x%x)\\u[dD]([c-fC-F]%x%x)", function(high, low)
      return utf8.char(0x10000 + ((tonumber(high, 16) - 0x800) << 10) + tonumber(low, 16) - 0xC00)
   end)
   body = body:gsub("\\u(%x%x%x%x)", function(hex)
      local code = tonumber(hex, 16)
      return code == 0x5C and "\\\\" or utf8.char(code)
   end)
   return (body:gsub("\\(.)", function(c) return ESCAPES[c] or c end)), stop + 1
end

local function read_list(text, at, close, read_item)
   local out = {}
   at = skip(text, at + 1)
   if text:sub(at, at) == close then return out, at + 1 end
   local index = 0
   while true do
      index = index + 1
      at = skip(text, read_item(out, index, at))
      local mark = text:sub(at, at)
      if mark == close then return out, at + 1 end
      if mark ~= "," then error("want , or " .. close .. " in JSON at byte " .. at, 0) end
      at = skip(text, at + 1)
   end
end

local function read_array(text, at)
   return read_list(text, at, "]", function(out, index, from)
      local value, after = read_value(text, from)
      out[index] = value
      return after
   end)
end

local function read_object(text, at)
   return read_list(text, at, "}", function(out, _, from)
      local key, after = read_string(text, from)
      after = skip(text, after)
      if text:sub(after, after) ~= ":" then error("want : in JSON at byte " .. after, 0) end
      out[key], after = read_value(text, skip(text, after + 1))
      return after
   end)
end

local WORDS = { { "true", true }, { "false", false }, { "null", nil } }

function read_value(text, at)
   local first = text:sub(at, at)
   if first == "{" then return read_object(text, at) end
   if first == "[" then return read_array(text, at) end
   if first == '"' then return read_string(text, at) end
   for _, word in ipairs(WORDS) do
      if text:sub(at, at + #word[1] - 1) == word[1] then return word[2], at + #word[1] end
   end
   local number = text:match("^-?%d[%d.eE+-]*", at)
   if not number then error("cannot read JSON at byte " .. at, 0) end
   return tonumber(number), at + #number
end

--- Decode JSON text with ftpipe's own reader where it is there, else with the small one above.
---@param text string
function check.decode(text)
   local found, json = pcall(require, "ftpipe.core.json")
   if found then return json.decode(text) end
   return (read_value(text, skip(text, 1)))
end

--- Read a fixture; ftpipe's host has no io, plain Lua has no ftpipe.core.fs.
---@param path string relative to the root of the repository
function check.json(path)
   local found, fs = pcall(require, "ftpipe.core.fs")
   if found then return check.decode(assert(fs.read(path))) end
   local file, message = io.open(path, "rb")
   if not file then error(message, 0) end
   local text = file:read "a"
   file:close()
   return check.decode(text)
end

return check
