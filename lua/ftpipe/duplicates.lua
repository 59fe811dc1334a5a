--- Texts that occur more than once, exactly or nearly, within splits and across them.

local data = require "ftpipe.core.data"

local duplicates = {}

-- Texts of all splits in the order in which the first one wins: what is tested on stays, what is trained on goes.
local function gather(splits, order)
   local all = { texts = {}, split = {}, row = {} }
   for _, name in ipairs(order) do
      for i, text in ipairs(splits[name] or {}) do
         local k = #all.texts + 1
         all.texts[k], all.split[k], all.row[k] = text, name, i
      end
   end
   return all
end

local function exact_groups(texts)
   local first, group = {}, {}
   for i, text in ipairs(texts) do
      first[text] = first[text] or i
      group[i] = first[text]
   end
   return group
end

--- Find them. Gives { repeated = list of { split, row, of = { split, row }, exact } }, each told once, for the later of the two
-- in the order test, valid, train.
---@param splits table<string, string[]> texts by split
---@param near number? least Jaccard similarity of runs of five letters; nil: exact ones only
function duplicates.find(splits, near)
   local all = gather(splits, { "test", "valid", "train", "all" })
   local exact, like, out = exact_groups(all.texts), near and data.near_groups(all.texts, near), {}
   for i = 1, #all.texts do
      local of = exact[i] ~= i and exact[i] or like and like[i] ~= i and like[i]
      if of then
         out[#out + 1] = { split = all.split[i], row = all.row[i], of = { split = all.split[of], row = all.row[of] },
            exact = exact[i] ~= i }
      end
   end
   return out
end

--- How many of each kind: { exact = { ["train"] = n, ["train_test"] = n }, near = ... }; "a_b": in a, of a text in b.
function duplicates.count(found)
   local out = { exact = {}, near = {} }
   for _, d in ipairs(found) do
      local name = d.split == d.of.split and d.split or d.split .. "_" .. d.of.split
      local kind = d.exact and out.exact or out.near
      kind[name] = (kind[name] or 0) + 1
   end
   return out
end

return duplicates
