-- tests/lua/test_identity.lua - tokens of source text, and what functions and values are known by.

if package then package.path = "lua/?.lua;tests/lua/?.lua;" .. package.path end

local check = require "check"
local fs = require "ftpipe.core.fs"
local sys = require "ftpipe.core.sys"
local digests = require "ftpipe.cache.digests"
local identity = require "ftpipe.identity"
local tokens_of = require "ftpipe.tokens_of"

check.suite "identity"

local function tokens(text) return tokens_of.text(text) end

check.test("comments and spacing are no tokens", function()
   check.equal(tokens "local x=1 -- said\n --[[ long\n comment ]]  return x --[==[ ]] ]==]", "local x = 1 return x")
   check.equal(tokens "a  =  b..c", "a = b .. c")
   check.equal(tokens "-- only a comment", "")
end)

check.test("strings keep what looks like a comment", function()
   check.equal(tokens [[x = "a -- b" .. 'it\'s' .. "\""]], [[x = "a -- b" .. 'it\'s' .. "\""]])
   check.equal(tokens "x = [[a -- b]] y = [==[ ]] ]==]", "x = [[a -- b]] y = [==[ ]] ]==]")
   check.equal(tokens "t[ [[k]] ]", "t [ [[k]] ]")
end)

check.test("numbers and operators", function()
   check.equal(tokens "x=0x1p-4+1e-3*.5//2~=3", "x = 0x1p-4 + 1e-3 * .5 // 2 ~= 3")
   check.equal(tokens "f(...)::l::goto l", "f ( ... ) :: l :: goto l")
   assert(tokens "a - -b" ~= tokens "a --b")
end)

check.test("required modules", function()
   local list = tokens_of.list 'local a = require "x.y" local b = require("z") require [[w]] require(name)'
   check.equal(table.concat(tokens_of.required(list), " "), "x.y z w")
end)

check.test("plain data is what it is; what cannot be told is named", function()
   check.equal(identity.value({ 1, "a", { b = true } }, "x")[3].b, true)
   check.equal(identity.value(math.huge, "x")["$number"], "inf")
   check.equal(identity.value(math.floor, "x")["$api"], "math.floor")
   local function fails(value, text)
      local ok, message = pcall(identity.value, value, "x")
      assert(not ok and message:find(text, 1, true), message)
   end
   fails({ a = { coroutine.create(print) } }, "x.a.1, a thread")
   fails(setmetatable({ a = 1 }, {}), "x, a table with a metatable")
   fails(setmetatable({}, { __index = function() return 1 end }), "x, a table with a metatable")
   fails(setmetatable({}, { __len = function() error "called" end }), "x, a table with a metatable")
   local like_a_head = identity.value({ source = "web", build = true, forward = 1 }, "x")
   check.equal(like_a_head.source, "web")
   fails({ 1, a = 2 }, "a list and has names too")
   local round = {}
   round.again = round
   fails(round, "contains itself")
end)

check.test("digests of files are remembered until a file changes", function()
   local dir = (sys.getenv "TMPDIR" or "/tmp") .. "/digests-" .. sys.pid()
   assert(fs.mkdirs(dir))
   assert(fs.write(dir .. "/a", "one"))
   local start = sys.now()
   repeat until sys.now() - start > 0.03      -- a file that changed this very moment is not remembered
   local first = digests.new(dir .. "/memory")
   check.equal(first:of(dir .. "/a"), fs.sha256 "one")
   check.equal(first.hashed, 3)
   local again = digests.new(dir .. "/memory")
   check.equal(again:of(dir .. "/a"), fs.sha256 "one")
   check.equal(again.hashed, 0)
   assert(fs.write(dir .. "/a", "two"))
   check.equal(again:of(dir .. "/a"), fs.sha256 "two")
   check.equal(again.hashed, 3)
   check.equal(digests.new(dir .. "/memory"):of(dir .. "/none"), nil)
   fs.remove(dir)
end)

check.done()
