-- tests/lua/test_pack.lua - packed values come back as they were, with equal bytes for equal values; damage is told.

if package then package.path = "lua/?.lua;tests/lua/?.lua;" .. package.path end

local check = require "check"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local pack = require "ftpipe.core.pack"
local tensor = require "ftpipe.core.tensor"
local text = require "ftpipe.core.text"
local sys = require "ftpipe.core.sys"

check.suite "pack"

local dir = (sys.getenv "TMPDIR" or "/tmp") .. "/pack-" .. sys.pid()
assert(fs.mkdirs(dir))
local path = dir .. "/value"

local function through(value, shared)
   local bytes, used = pack.bytes(value, shared)
   assert(bytes, used)
   assert(bytes:write(path))
   return assert(pack.read(path, shared)), used, bytes:sha256()
end

check.test("digests of tensors are those of their bytes", function()
   local tensors, wanted = {}, {}
   for i, shape in ipairs { { 3 }, { 2, 5 }, { 0, 4 }, { 1, 2, 3, 4 } } do
      tensors[i] = tensor.new(shape)
      if i ~= 3 then tensors[i]:fill(i / 3) end
      wanted[i] = pack.bytes(tensors[i]):sha256()
   end
   local got = pack.digests(tensors)
   check.equal(#got, #wanted)
   for i, digest in ipairs(wanted) do check.equal(got[i], digest) end
   check.equal(#pack.digests {}, 0)
end)

check.test("numbers, texts, truth values, null", function()
   local back = through { 1, 1.0, 0.1, -0.0, math.maxinteger, math.mininteger, 1e300, "", "a\0b\xff", true, false, json.null }
   check.equal(math.type(back[1]), "integer")
   check.equal(math.type(back[2]), "float")
   check.equal(1 / back[4], -math.huge)
   check.equal(back[5], math.maxinteger)
   check.equal(back[6], math.mininteger)
   check.equal(back[9], "a\0b\xff")
   check.equal(back[11], false)
   assert(back[12] == json.null)
   local odd = through { 0 / 0, math.huge }
   assert(odd[1] ~= odd[1] and odd[2] == math.huge)
end)

check.test("lists, maps, holes, marked arrays", function()
   local back = through { a = { 1, 2, nil, 4 }, [7] = "seven", [-1] = "less", list = json.array {}, deep = { { { x = 1 } } } }
   check.equal(back.a[4], 4)
   check.equal(back[7], "seven")
   check.equal(back[-1], "less")
   check.equal(json.encode(back.list), "[]")
   check.equal(back.deep[1][1].x, 1)
end)

check.test("equal values have equal bytes, however they were filled", function()
   local a, b = { 1, 2, 3, 4 }, {}
   for i = 4, 1, -1 do b[i] = i end
   a.x, a.y = 1, 2
   b.y, b.x = 2, 1
   local _, _, first = through(a)
   local _, _, second = through(b)
   check.equal(first, second)
   local _, _, third = through { 1, 2, 3, 4.0, x = 1, y = 2 }
   assert(first ~= third, "an integer and a float are not the same")
end)

check.test("tensors and token data sets", function()
   local tokens = text.tokens()
   tokens:add({ 5, 6, 7 }, { 0, 0, 1 })
   tokens:add { 8 }
   local back = through { t = tensor.from({ 1.5, -2, 3, 4, 5, 6 }, { 2, 3 }), i = tensor.from({ 1, 2 }, nil, "i32"),
      tokens = tokens, none = text.tokens() }
   check.equal(table.concat(back.t:shape(), "x"), "2x3")
   check.equal(back.t:table()[2], -2)
   check.equal(back.i:dtype(), "i32")
   check.equal(back.tokens:digest(), tokens:digest())
   check.equal(back.none:count(), 0)
   back.tokens:add { 1, 2 }      -- what was read can grow
   check.equal(back.tokens:count(), 3)
end)

check.test("shared objects are referred to", function()
   local rows, other = { "many", "rows" }, { "unused" }
   local back, used = through({ a = rows, b = { rows } }, { other = other, rows = rows })
   assert(rawequal(back.a, rows) and rawequal(back.b[1], rows))
   check.equal(used.other, nil)
   check.equal(used.rows, true)
   local value, message = pack.read(path, { other = other })
   check.equal(value, nil)
   assert(message:find("refers to an object that is not there", 1, true), message)
end)

check.test("what has no form is named", function()
   local function fails(value, text_of)
      local bytes, message = pack.bytes(value)
      check.equal(bytes, nil)
      assert(message:find(text_of, 1, true), message)
   end
   fails({ a = { print } }, "function in a.1 cannot be stored")
   fails({ a = { b = setmetatable({}, {}) } }, "an object in a.b")
   fails({ [1.5] = 1 }, "a key that is neither text nor a whole number")
   fails(coroutine.create(print), "thread cannot be stored")
   local round = {}
   round.again = round
   fails(round, "contains itself")
end)

check.test("every cut and many flips of a packed value are refused or give a value, and never crash", function()
   local tokens = text.tokens()
   tokens:add { 1, 2, 3 }
   assert(assert(pack.bytes { "abc", 1, 2.5, tokens, x = { y = true }, t = tensor.from { 1, 2 } }):write(path))
   local bytes = fs.read(path)
   for n = 0, #bytes - 1 do
      local value, message = pack.decode(bytes:sub(1, n))
      assert(value == nil and message, "a cut value was accepted")
   end
   local refused = 0
   for n = 1, #bytes do
      for _, flip in ipairs { 1, 0x80, 0xff } do
         local value = pack.decode(bytes:sub(1, n - 1) .. string.char(bytes:byte(n) ~ flip) .. bytes:sub(n + 1))
         if value == nil then refused = refused + 1 end
      end
   end
   assert(refused > #bytes, "damage is hardly ever found")
   check.equal(pack.decode(bytes .. "x"), nil)
end)

fs.remove(dir)
check.done()
