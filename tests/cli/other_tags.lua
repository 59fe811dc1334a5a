-- tests/cli/other_tags.lua - a BIO tagger with the tags of another scheme: ftpipe lua tests/cli/other_tags.lua MODEL BIOES|IO OUT
--
-- Rows of its head are copied (E and S from I and B), so that it says what it said before as far as the scheme can.

local model = require "ftpipe.model"
local tags = require "ftpipe.tags"

local m = model.load(arg[1])
local rows, labels, number = {}, { "O" }, {}
for i, label in ipairs(m.options.labels) do number[label] = i end
local _, types = tags.rules(m.options.labels)
local from = arg[2] == "IO" and { { "", "I-" } } or { { "B-", "B-" }, { "I-", "I-" }, { "E-", "I-" }, { "S-", "B-" } }
rows[1] = number.O
for _, kind in ipairs(types) do
   for _, f in ipairs(from) do
      labels[#labels + 1], rows[#rows + 1] = f[1] .. kind, number[f[2] .. kind]
   end
end
local out = model.replace_head(m:source(), { head = "token_classification", labels = labels, task = "named_entities" }, 1)
for _, name in ipairs { "head.out.weight", "head.out.bias" } do
   local p, q = m.by_name[name], out.by_name[name]
   local width = p:shape()[2] or 1
   local taken = p:tensor():view(1, { #m.options.labels, width }):take_rows(rows)
   q:tensor():view(1, { #labels, width }):copy(taken)
end
out:save(arg[3], { words = "spaced" })
return 0
