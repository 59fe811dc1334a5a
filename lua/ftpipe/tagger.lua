--- What a model with a label for each token says of whole rows: entities by the most probable sequence of tags that its
-- labels allow (Viterbi 1967), over all windows of a row at once.

local tagging = require "ftpipe.core.tagging"
local failure = require "ftpipe.failure"
local scoring = require "ftpipe.scoring"
local tags = require "ftpipe.tags"

local tagger = {}

--- Rows in windows: { tokens, places, rows, full, n }. See ftpipe.core.tagging.encode.
---@param tokenizer userdata
---@param rows { texts: string[], words: string[], lines: (integer|false)[]?, file: string? }
---@param max_length integer
---@param stride integer
---@param tick nil|fun(n: integer) hears how many rows are done
function tagger.windows(tokenizer, rows, max_length, stride, tick)
   local tokens, places, full = tagging.encode(tokenizer, rows.texts, rows.words, { max_length = max_length, stride = stride,
      tick = tick })
   if not tokens then
      local line = rows.lines and rows.lines[full]
      failure.raise("data", ("%s%s: %s"):format(rows.file or "text " .. full, line and (":%d"):format(line) or "", places))
   end
   return { tokens = tokens, places = places, rows = rows, full = full, n = tokens:count() }
end

--- Tokens that windows share: a quarter of a window, 64 at most.
function tagger.stride(max_length, stride)
   if stride == nil or stride == "auto" then return math.min(64, max_length // 4) end
   return stride
end

--- Log-probabilities of every word, a tensor (words, labels).
---@param model ftpipe.model
---@param split { tokens: userdata, places: table, rows: table }
---@param features table?
function tagger.scores(model, split, features)
   local words = 0
   for _, w in ipairs(split.rows.words) do words = words + tagging.count(w) end
   local out = tagging.scores(words, #model.options.labels)
   scoring.each(model, split.tokens, features, function(index, logits)
      local broken = tagging.collect(out, split.tokens, split.places, index, logits)
      if broken then scoring.fail_numeric(model, broken) end
   end)
   return out
end

--- Entities of every row: { first word, last word, type, score }.
---@param model ftpipe.model
---@param scores userdata from tagger.scores
---@param split table
---@return ftpipe.entity[][]
function tagger.entities(model, scores, split)
   local rules, types = tags.rules(model.options.labels)
   local out = tagging.decode(scores, split.places.first, rules)
   for _, row in ipairs(out) do
      for _, e in ipairs(row) do e[3] = types[e[3]] end
   end
   return out
end

return tagger
