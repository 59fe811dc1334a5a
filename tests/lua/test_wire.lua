-- tests/lua/test_wire.lua - plans as JSON: what goes in comes out, keys stay the same, and a plan that was made up is refused.

local check = require "tests.lua.check"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"
local identity = require "ftpipe.identity"
local pipeline = require "ftpipe.pipeline"
local wire = require "ftpipe.sandbox.wire"

check.suite "wire"

local dir = assert(sys.getenv "TMPDIR")

local function evaluated(text)
   local file = dir .. "/plan.lua"
   assert(fs.write(file, text))
   return pipeline.evaluate(file, {}), file
end

local function through(plan, file) return wire.into(json.decode(json.encode(wire.out(plan))), file) end

local VALUES = [==[
local ft = require "ftpipe"
local p = ft.params { rate = { default = 1.0 }, wide = { default = "caf\u{e9}" }, none = { type = "path" } }
local scale = 2
local rows = ft.read { from = "a\0\255.csv", text = { "t", "u" }, map = { { "1", "neg" }, { "2", "pos" } }, keep = {} }
local loud = ft.map { rows = rows, with = function(row) row.text = row.text .. scale return row end }
local some = ft.sample { name = "some", rows = loud, share = 0.1, split = "all" }
local unused = ft.sample { rows = loud, share = p.rate, split = "all" }
local own = ft.step { name = "own", version = 3, run = function(_, x) return x end }
return ft.pipeline { name = "x", seed = 9, outputs = { some = some, own = own(rows) } }
]==]

check.test("values, names, places and order go through", function()
   local plan, file = evaluated(VALUES)
   local back = through(plan, file)
   check.equal(back:json(), plan:json())
   check.equal(#back.steps, #plan.steps)
   check.equal(back.by_id.read.params.from, "a\0\255.csv")
   check.equal(#back.by_id.read.params.keep, 0)
   check.equal(math.type(back.params[2].default), "float")
   check.equal(back.params[3].default, "caf\u{e9}")
   check.equal(back.seed, 9)
   check.equal(back.by_id.sample ~= nil and back.by_id.sample.where, plan.by_id.sample.where)
   check.equal(json.encode(wire.out(evaluated(VALUES))), json.encode(wire.out(plan)))
end)

check.test("functions leave a mark and their identity", function()
   local plan, file = evaluated(VALUES)
   local back = through(plan, file)
   check.equal(back.has_code, true)
   check.equal(back.by_id.map.has_code, true)
   check.equal(back.by_id.own.has_code, true)
   check.equal(back.by_id.read.has_code, false)
   for _, id in ipairs { "map", "own", "some", "read" } do
      local a = identity.of(plan.by_id[id], plan, function() return nil end)
      local b = identity.of(back.by_id[id], back, function() return nil end)
      check.equal(json.encode(b), json.encode(a), id)
   end
   check.error_contains("runs only where its file was evaluated", back.by_id.own.unit.run)
end)

check.test("numbers without a JSON form", function()
   local list = wire.params_in(json.decode(json.encode(wire.params_out {
      { name = "a", value = math.huge, default = -math.huge, min = 0 / 0, max = 3.0,
         help = "\27[31m", choices = { 1, 2.5, "x", true } },
      { name = "b", value = { [3] = "c", x = { y = {} } }, default = 2 ^ 60, min = math.mininteger } })))
   check.equal(list[1].value, math.huge)
   check.equal(list[1].default, -math.huge)
   check.is_true(list[1].min ~= list[1].min)
   check.equal(math.type(list[1].max), "float")
   check.equal(list[1].choices[2], 2.5)
   check.equal(list[2].value[3], "c")
   check.equal(next(list[2].value.x.y), nil)
   check.equal(list[2].default, 2.0 ^ 60)
   check.equal(list[2].min, math.mininteger)
end)

-- A plan that an evaluation could be made to send, with one thing changed.
local function made_up(change)
   local plan, file = evaluated(VALUES)
   local data = json.decode(json.encode(wire.out(plan)))
   change(data)
   return pcall(wire.into, data, file)
end

check.test("made-up plans are refused", function()
   local changes = {
      function(d) d.steps[1].kind = "nothing" end,
      function(d) d.steps[1].id = "../../x" end,
      function(d) d.steps[1].id = "" end,
      function(d) d.steps[1].id = 7 end,
      function(d) d.steps[2].id = d.steps[1].id end,
      function(d) d.steps[1].params.command = "rm" end,
      function(d) d.steps[1].params.from = 7 end,
      function(d) d.steps[1].params.format = "exe" end,
      function(d) d.steps[1].params.from = { ["$"] = "shell", of = "x" } end,
      function(d) d.steps[1].params = "x" end,
      function(d) d.steps[2].inputs.rows = "later" end,
      function(d) d.steps[2].inputs.rows = { ["a"] = 1 } end,
      function(d) d.steps[1].inputs = nil end,
      function(d) d.name = "../x" end,
      function(d) d.name = {} end,
      function(d) d.model = "nothing" end,
      function(d) d.outputs.some = "nothing" end,
      function(d) d.steps = nil end,
      function(d) d.steps[1] = "x" end,
      function(d) d.seed = "x" end,
      function(d) d.weights = "f64" end,
   }
   for i, change in ipairs(changes) do
      local ok = made_up(change)
      check.equal(ok, false, "change " .. i)
   end
   check.equal((made_up(function() end)), true)
end)

check.test("bytes of a plan that were changed give a plan or an error", function()
   local plan, file = evaluated(VALUES)
   local text, draw = json.encode(wire.out(plan)), check.random(5)
   local refused = 0
   for _ = 1, 3000 do
      local at = 1 + draw(#text)
      local changed = text:sub(1, at - 1) .. string.char(32 + draw(95)) .. text:sub(at + 1)
      local data = json.decode(changed)
      if type(data) == "table" then
         local ok, problem = pcall(wire.into, data, file)
         if not ok then
            refused = refused + 1
            check.equal(tostring(problem):find "attempt to", nil,
               changed:sub(math.max(1, at - 60), at + 20) .. ": " .. tostring(problem))
         end
      end
   end
   check.is_true(refused > 100, refused .. " were refused")
end)

check.done()
