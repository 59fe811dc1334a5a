-- tests/lua/test_mini.lua - the built-in encoder gives what transformers recorded with it (tests/record/record_mini.py).

local check = require "check"
local fs = require "ftpipe.core.fs"
local graph = require "ftpipe.core.graph"
local json = require "ftpipe.core.json"
local model = require "ftpipe.model"
local source = require "ftpipe.source"
local text = require "ftpipe.core.text"

check.suite "mini"

local DIR = source.path "builtin:mini"
local recorded = assert(json.decode(assert(fs.read "tests/fixtures/mini.json")))

check.test("tokens_and_hidden_states_are_those_of_transformers", function()
   local on = model.open(DIR)
   local m = model.replace_head(on, { head = "hidden_states", width = 1 }, 1)
   m:set_dropout(0)
   for _, row in ipairs(recorded) do
      local ids = on.tokenizer:encode(row.text)
      check.equal(ids.ids or ids, row.ids)
      local tokens = text.tokens()
      tokens:add(row.ids)
      graph.begin "eval"
      local h = m:hidden(tokens:batch { 1 }):tensor():table()
      local width = m.dims.hidden
      for k, x in ipairs(row.hidden) do check.near(h[(k - 1) // 4 * width + (k - 1) % 4 + 1], x, 1e-4) end
   end
end)

check.test("heads_read_the_mean_unless_told_otherwise", function()
   local on = model.open(DIR)
   local function pooling(pool)
      return model.replace_head(on, { head = "classification", labels = { "a", "b" }, pool = pool }, 1).pooling
   end
   check.equal(pooling "auto", "mean")
   check.equal(pooling "cls", "cls")
end)

check.test("it_fits_twelve_megabytes", function()
   local sum = 0
   for _, name in ipairs(fs.list(DIR)) do sum = sum + #fs.read(DIR .. "/" .. name) end
   check.is_true(sum <= 12000000, sum .. " bytes")
end)

check.done()
