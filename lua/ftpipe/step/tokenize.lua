--- ft.tokenize: rows to token ids, labels to numbers, and the facts about the data that a reader wants to know first.
--
-- Gives { train, valid, test, labels = names, tokenizer, max_length, facts, leaked }; a split is
-- { n, tokens, labels = ids from 1, texts, lines, file }.

local failure = require "ftpipe.failure"
local stats = require "ftpipe.stats"
local sys = require "ftpipe.core.sys"

local step = { kind = "tokenize", version = 1, inputs = { rows = "required", with = "required" } }

step.params = {
   max_length = { type = "integer", default = "auto", min = 3, help = "tokens of a row; auto: the encoder's limit, 512 at most" },
}

-- Numbers in order of value, other labels in byte order.
local function label_names(rows)
   local seen, names, numeric = {}, {}, true
   for _, label in ipairs(rows.labels) do
      if not seen[label] then
         seen[label] = true
         names[#names + 1] = label
         numeric = numeric and tonumber(label) ~= nil
      end
   end
   table.sort(names, function(a, b)
      if numeric and tonumber(a) ~= tonumber(b) then return tonumber(a) < tonumber(b) end
      return a < b
   end)
   return names
end

local function encode(name, rows, ids, with, max_length)
   local labels = {}
   local names = {}
   for label in pairs(ids) do names[#names + 1] = label end
   for i, label in ipairs(rows.labels) do
      labels[i] = ids[label]
      if not labels[i] then
         table.sort(names)
         local near = sys.nearest(label, names)
         failure.raise("data", ("%s:%d: label '%s' does not occur in the training rows%s"):format(rows.file, rows.lines[i],
            label, near and ("; did you mean '%s'?"):format(near) or ("; there: " .. table.concat(names, ", "))))
      end
   end
   local tokens, full = with.tokenizer:encode_all(rows.texts, nil, { max_length = max_length })
   if not tokens then failure.raise("data", ("%s: %s"):format(rows.file, full)) end
   local cut = 0
   for _, n in ipairs(full) do if n > max_length then cut = cut + 1 end end
   return { name = name, n = #rows.texts, tokens = tokens, labels = labels, texts = rows.texts, lines = rows.lines,
      file = rows.file, full = full, truncated = cut / #rows.texts }
end

local function repeats(rows)
   local seen, n = {}, 0
   for _, text in ipairs(rows.texts) do
      if seen[text] then n = n + 1 end
      seen[text] = true
   end
   return n, seen
end

local function shared(seen, rows)
   local list = {}
   for i, text in ipairs(rows.texts) do if seen[text] then list[#list + 1] = i end end
   return list
end

local function facts_of(out, splits, max_length)
   local facts = { rows = {}, duplicates = {}, lengths = {}, truncated = {}, shared = {}, max_tokens = max_length }
   local seen = {}
   for name, rows in pairs(splits) do
      facts.rows[name] = #rows.texts
      facts.duplicates[name], seen[name] = repeats(rows)
      facts.lengths[name] = stats.summary(out[name].full)
      facts.truncated[name] = out[name].truncated
   end
   local leaked
   for _, pair in ipairs { { "train", "test" }, { "train", "valid" }, { "valid", "test" } } do
      local a, b = pair[1], pair[2]
      if seen[a] and splits[b] then
         local list = shared(seen[a], splits[b])
         facts.shared[a .. "_" .. b] = #list
         if a == "train" and b == "test" then leaked = list end
      end
   end
   return facts, leaked
end

function step.run(_, inputs, params)
   local splits, with = inputs.rows.splits, inputs.with
   if not splits.train then failure.raise("data", "there are no training rows: put ft.split before ft.tokenize") end
   local limit = with.dims.positions
   local max_length = params.max_length == "auto" and math.min(limit, 512) or params.max_length
   if max_length > limit then
      failure.raise("usage", ("max_length = %d is more than the encoder's %d positions"):format(max_length, limit))
   end
   local out = { labels = label_names(splits.train), tokenizer = with.tokenizer, max_length = max_length, rows = inputs.rows }
   if #out.labels < 2 then
      failure.raise("data", ("%s: all training rows have the label '%s'; two or more are needed"):format(
         splits.train.file, out.labels[1] or ""))
   end
   local ids = {}
   for k, label in ipairs(out.labels) do ids[label] = k end
   for _, name in ipairs { "train", "valid", "test" } do
      if splits[name] then out[name] = encode(name, splits[name], ids, with, max_length) end
   end
   out.facts, out.leaked = facts_of(out, splits, max_length)
   return out
end

function step.resolve(params, plan, s)
   if params.max_length ~= "auto" then return {} end
   local from = plan.by_id[s.inputs.with]
   local _, positions = require("ftpipe.step.pretrained").size(from.params)
   return { max_length = positions and math.min(positions, 512) }
end

return step
