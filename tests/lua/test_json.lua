-- tests/lua/test_json.lua - canonical JSON: the bytes of names, texts, numbers, arrays and empty tables; what has no form.

if package then package.path = "lua/?.lua;tests/lua/?.lua;" .. package.path end

local check = require "check"
local json = require "ftpipe.core.json"

check.suite "json"

check.test("names are in the order of their bytes, however the table was filled", function()
   local want = '{"":0,"A":1,"A\\u0000":2,"A\\u0000b":3,"AB":4,"a":5,"b":6,"ba":7,"é":8}'
   local names = { "", "A", "A\0", "A\0b", "AB", "a", "b", "ba", "é" }
   for step = 1, 8 do
      local t, k = {}, 0
      for _ = 1, 9 do
         k = (k + step) % 9
         t[names[k + 1]] = k
      end
      for i, name in ipairs(names) do t[name] = i - 1 end
      check.equal(json.encode(t), want, "step " .. step)
   end
end)

check.test("names of inner objects do not mix with those around them", function()
   local t = { c = { z = 1, a = { y = 2, b = 3 } }, a = { { q = 1 }, { p = 2, o = {} } }, b = 4 }
   check.equal(json.encode(t), '{"a":[{"q":1},{"o":{},"p":2}],"b":4,"c":{"a":{"b":3,"y":2},"z":1}}')
   local many, parts = {}, {}
   for i = 1, 300 do
      many[("n%03d"):format(i)] = { b = { d = i }, a = i }
      parts[i] = ('"n%03d":{"a":%d,"b":{"d":%d}}'):format(i, i, i)
   end
   check.equal(json.encode(many), "{" .. table.concat(parts, ",") .. "}")
   local long = ("x"):rep(100)      -- such names are no shared strings of Lua's
   check.equal(json.encode { [long .. "b"] = 1, [long .. "a"] = 2 }, ('{"%sa":2,"%sb":1}'):format(long, long))
end)

check.test("texts keep their bytes; what JSON does not allow is escaped", function()
   check.equal(json.encode 'a"b\\c\n\t\0\x1f\x7f/é\xff', '"a\\"b\\\\c\\n\\u0009\\u0000\\u001f\\u007f/é\xff"')
   check.equal(json.encode "", '""')
   check.equal(json.encode "\n", '"\\n"')
end)

check.test("numbers: the shortest form that reads back exactly", function()
   check.equal(json.encode(json.array { 1, -0, 1.5, 0.1, 1 / 3, 1e300, 5e-324, math.maxinteger, math.mininteger, 2.0 }),
      "[1,0,1.5,0.1,0.3333333333333333,1e+300,4.94065645841247e-324,9223372036854775807,-9223372036854775808,2]")
   check.equal(json.encode { 0 / 0, 1 / 0, -1 / 0 }, "[null,null,null]")
end)

check.test("arrays, objects, null, truth values", function()
   check.equal(json.encode { {}, json.array {}, json.null, true, false, { 1 }, { a = json.array { {} } } },
      '[{},[],null,true,false,[1],{"a":[{}]}]')
   check.equal(json.encode(nil), "null")
end)

check.test("what is read is written as it was", function()
   local text = '{"a":[1,2.5,{"b":null,"c":[]}],"d":{},"e":"\\u0001x"}'
   check.equal(json.encode(json.decode(text)), text)
end)

check.test("what has no form is an error, and nothing is held after it", function()
   check.error_contains("string keys", json.encode, { a = { [1.5] = 1, b = 2 } })
   check.error_contains("no JSON form", json.encode, { a = print })
   local loop = {}
   loop.a = loop
   for _ = 1, 200 do check.error_contains("nested deeper", json.encode, loop) end
   local deep = 1
   for _ = 1, 200 do deep = { deep } end
   check.equal(#json.encode(deep), 401)
end)

check.done()
