--- Scores of named entities, from files: see ftpipe.metric.entities.
--
-- Two files of columns are compared tag by tag, so that broken sequences show: read as conlleval reads them, and strictly by
-- the scheme. All other pairs are compared by places in the texts.

local fs = require "ftpipe.core.fs"
local tagging = require "ftpipe.core.tagging"
local failure = require "ftpipe.failure"
local columns = require "ftpipe.reading.columns"
local entities = require "ftpipe.reading.entities"
local metric = require "ftpipe.metric.entities"
local tags = require "ftpipe.tags"

local ner = {}

local function fail(message, hint) failure.raise("data", message, hint) end

-- ==== Columns ====

local function sentences(path, column)
   local out = {}
   columns.each(path, { tag = column }, function(s) out[#out + 1] = s end, function(_, message) fail(message) end)
   if #out == 0 then fail(path .. " has no sentences") end
   return out
end

local function same_words(opts, gold, said)
   if #gold ~= #said then
      fail(("%s has %d sentences, %s has %d"):format(opts.gold, #gold, opts.predictions, #said))
   end
   for i, s in ipairs(gold) do
      local line, words = said[i].line, said[i].words
      for k = 1, math.min(#s.words, #words) do
         if s.words[k] ~= words[k] then
            fail(("%s:%d: word %d of the sentence is '%s', in %s it is '%s'"):format(opts.predictions, line, k, words[k],
               opts.gold, s.words[k]))
         end
      end
      if #words ~= #s.words then
         fail(("%s:%d: the sentence has %d word%s, in %s it has %d"):format(opts.predictions, line, #words,
            #words == 1 and "" or "s", opts.gold, #s.words))
      end
   end
end

local function lists(all)
   local out = {}
   for i, s in ipairs(all) do out[i] = s.tags end
   return out
end

local function by_tags(opts)
   local gold, said = sentences(opts.gold, opts.gold_column), sentences(opts.predictions, opts.predictions_column)
   same_words(opts, gold, said)
   local a, b = lists(gold), lists(said)
   local out = metric.score_tags(a, b)
   local scheme = opts.scheme or tags.scheme_of(a)
   if scheme then
      local ok, strict = pcall(metric.score_tags, a, b, scheme)
      if ok then
         out.strict, out.scheme = strict, scheme
      elseif opts.scheme then
         fail(tostring(strict))
      end
   end
   return out
end

-- ==== Places ====

-- { texts, entities as places { start, stop, type } } of a file.
local function by_place(path, predicted)
   local rows = entities.read(path, { predicted = predicted }, function(_, message) fail(message) end)
   local out = { texts = rows.texts, entities = {} }
   for i, list in ipairs(rows.entities) do
      out.entities[i] = {}
      for k, e in ipairs(list) do
         local start = tagging.span(rows.words[i], e[1])
         local _, stop = tagging.span(rows.words[i], e[2])
         out.entities[i][k] = { start, stop, e[3] }
      end
   end
   return out
end

local function by_places(opts)
   local gold, said = by_place(opts.gold, false), by_place(opts.predictions, true)
   if #gold.texts ~= #said.texts then
      fail(("%s has %d rows, %s has %d"):format(opts.gold, #gold.texts, opts.predictions, #said.texts))
   end
   for i, text in ipairs(gold.texts) do
      if text ~= said.texts[i] then
         fail(("%s: row %d is of another text than row %d of %s"):format(opts.predictions, i, i, opts.gold),
            "rows must be in the same order")
      end
   end
   return metric.score(gold.entities, said.entities)
end

--- Read both files and score.
---@param opts table as `ftpipe score` takes them
---@return ftpipe.entity_scores with `strict` and `scheme` where both files are columns
function ner.score(opts)
   for _, path in ipairs { opts.gold, opts.predictions } do
      if not fs.stat(path) then fail(("cannot read %s: there is no such file"):format(path)) end
   end
   local in_columns = entities.format_of(opts.gold) == "conll" and entities.format_of(opts.predictions) == "conll"
   return (in_columns and by_tags or by_places)(opts)
end

-- ==== For people ====

local function points(x) return ("%.2f"):format(100 * x) end

local function rows_of(lines, s)
   local function row(name, p, r, f, n)
      lines[#lines + 1] = ("%-16s %10s %10s %10s %10s"):format(name, points(p), points(r), points(f), n or "")
   end
   for _, class in ipairs(s.per_class) do row(class.label, class.precision, class.recall, class.f1, class.support) end
   row("all (micro)", s.precision, s.recall, s.f1, s.entities)
   row("mean of types", s.macro_precision, s.macro_recall, s.macro_f1)
end

--- The scores for people.
---@param s ftpipe.entity_scores
---@return string
function ner.text(s)
   local lines = { ("%-16s %10s %10s %10s %10s"):format("", "precision", "recall", "F1", "entities") }
   rows_of(lines, s)
   if s.strict then
      lines[#lines + 1] = ("strictly by %s, where broken sequences are no entities:"):format(s.scheme)
      rows_of(lines, s.strict)
   end
   return table.concat(lines, "\n") .. "\n"
end

return ner
