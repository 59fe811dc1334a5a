--- ft.tokenize: rows to token ids, labels to numbers, and the facts about the data that a reader wants to know first.
--
-- Gives { train, valid, test, task, labels, tokenizer, max_length, facts, leaked, rows }: see ftpipe.task.

local failure = require "ftpipe.failure"
local stats = require "ftpipe.stats"
local tasks = require "ftpipe.task"
local texts = require "ftpipe.texts"

local step = { kind = "tokenize", version = 1, early = true, exact = true, seedless = true,
   inputs = { rows = "required", with = "required" } }

step.params = {
   max_length = { type = "integer", default = "auto", min = 3,
      help = "tokens of a row or window; auto: the encoder's limit, 512 at most, 384 for questions" },
   long = { type = "string", default = "head", choices = texts.long,
      help = "of rows longer than that, for tasks with one prediction a row: their head, head and tail, or windows whose logits "
         .. "are averaged" },
   stride = { type = "integer", default = "auto", min = 0,
      help = "tokens that windows of a row share; auto: a third of a window for questions, a quarter for entities, none else" },
}

local MANY = 20000      -- rows, from which on it takes a while

local function n_rows(splits)
   local n = 0
   for _, from in pairs(splits) do n = n + #(from.texts or from.questions) end
   return n
end

local function repeats(split)
   local seen, n = {}, 0
   for _, text in ipairs(split.keys) do
      if seen[text] then n = n + 1 end
      seen[text] = true
   end
   return n, seen
end

local function shared(seen, split)
   local list = {}
   for i, text in ipairs(split.keys) do if seen[text] then list[#list + 1] = i end end
   return list
end

local function facts_of(out, max_length, long)
   local facts = { rows = {}, duplicates = {}, lengths = {}, truncated = {}, windowed = {}, shared = {}, max_tokens = max_length,
      long = long }
   local seen = {}
   for _, name in ipairs { "train", "valid", "test" } do
      local split = out[name]
      if split then
         facts.rows[name] = #split.keys
         facts.duplicates[name], seen[name] = repeats(split)
         facts.lengths[name] = stats.summary(split.full)
         facts.truncated[name], facts.windowed[name] = split.truncated, split.windowed
      end
   end
   local leaked
   for _, pair in ipairs { { "train", "test" }, { "train", "valid" }, { "valid", "test" } } do
      local a, b = pair[1], pair[2]
      if seen[a] and out[b] then
         local list = shared(seen[a], out[b])
         facts.shared[a .. "_" .. b] = #list
         if a == "train" and b == "test" then leaked = list end
      end
   end
   return facts, leaked
end

local function max_length_of(params, task, limit)
   if params.max_length == "auto" then return math.min(limit, task.max_length or 512) end
   if params.max_length > limit then
      failure.raise("usage", ("max_length = %d is more than the encoder's %d positions"):format(params.max_length, limit))
   end
   return params.max_length
end

--- What forecasts want to know of the data.
function step.extent(data) return require("ftpipe.outlook").extent(data) end

function step.run(ctx, inputs, params)
   local splits, with = inputs.rows.splits, inputs.with
   if not splits.train then failure.raise("data", "there are no training rows: put ft.split before ft.tokenize") end
   if inputs.rows.labelled == false then
      failure.raise("usage", "the rows have no labels to learn from or to compare with: ft.predict gives them some")
   end
   local task = tasks.find(inputs.rows.task or "classification")
   local max_length = max_length_of(params, task, with.dims.positions)
   if params.long ~= "head" and task.stride then
      failure.raise("usage", ("long = %s: %s are always read in windows"):format(params.long, (task.name:gsub("_", " "))))
   end
   local function watch(name, n)
      if not ctx.progress then return nil end
      ctx.progress:stage(("%s: %s"):format(ctx.step, name), n, "rows", 0)
      return function(done) ctx.progress:update { step = done } end
   end
   local out = task.encode(splits, with, { max_length = max_length, stride = params.stride, long = params.long,
      watch = n_rows(splits) >= MANY and watch or nil })
   out.task, out.tokenizer, out.max_length, out.rows = task.name, with.tokenizer, max_length, inputs.rows
   out.stride = out.stride or tonumber(params.stride)
   out.long, out.facts, out.leaked = params.long, facts_of(out, max_length, not task.stride and params.long or nil)
   for _, note in ipairs(out.notes or {}) do ctx:say(note) end
   return out
end

function step.resolve(params, plan, s)
   local found
   local function look(id)
      local at = plan.by_id[id]
      if at.kind == "read" then found = at end
      for _, input in ipairs(plan.inputs_of(at)) do look(input) end
   end
   look(s.inputs.rows)
   local task = tasks.find(found and found.params.task or "classification")
   local from, max_length = plan.by_id[s.inputs.with], params.max_length
   if max_length == "auto" then
      local positions
      if from.kind == "pretrained" then positions = select(2, require("ftpipe.step.pretrained").size(from.params)) end
      max_length = positions and math.min(positions, task.max_length or 512)
   end
   if not task.stride then return { max_length = max_length, stride = params.long == "windows" and 0 or "no windows" } end
   return { max_length = max_length, stride = max_length and task.stride(max_length, params.stride) }
end

return step
