--- Texts, or pairs of them, as token ids: what tasks share that say one thing of each row.

local failure = require "ftpipe.failure"
local labelled = require "ftpipe.reading.labelled"

local texts = {}

texts.long = { "head", "head+tail", "windows" }      -- what is read of rows that are too long

--- Token ids of texts. params: max_length; long (one of texts.long), stride (tokens that windows share; 0 unless said);
-- tick(n), which hears how many are done.
---@return userdata|nil tokens nil and a message where a text cannot be tokenised
---@return integer[]|string full tokens that each text has
---@return integer[][]? windows of each text among the examples of `tokens`, where any has several
function texts.tokens(tokenizer, list, seconds, params)
   local stride = tonumber(params.stride) or 0
   local tokens, full, counts = tokenizer:encode_all(list, seconds, { max_length = params.max_length,
      long = seconds and "head" or params.long, stride = math.tointeger(stride), tick = params.tick })
   if not tokens or tokens:count() == #list then return tokens, full end
   local windows, at = {}, 0
   for i, n in ipairs(counts) do
      windows[i] = {}
      for k = 1, n do windows[i][k] = at + k end
      at = at + n
   end
   return tokens, full, windows
end

--- Rows without labels as token ids and windows, read as the model was trained; max_length where it is said.
---@param model ftpipe.model
---@param rows table of ftpipe.reading.labelled
---@param opts { max_length: integer? }
function texts.for_model(model, rows, opts)
   local data = model.data or model.own or {}
   local most = math.min(model.dims.positions, opts.max_length or data.max_length or 512)
   local tokens, problem, windows = texts.tokens(model.tokenizer, rows.texts, rows.pairs, { max_length = most, long = data.long,
      stride = data.stride })
   if not tokens then failure.raise("data", ("%s: %s"):format(rows.file, problem)) end
   return tokens, windows
end

--- What tells a row apart for people: names of columns and a function that gives a row's cells.
function texts.told(rows)
   if not rows.pairs then return { "text" }, function(i) return rows.texts[i] end end
   return { "text", "pair" }, function(i) return rows.texts[i], rows.pairs[i] end
end

--- How many texts are longer than an example.
function texts.too_long(full, max_length)
   local n = 0
   for _, length in ipairs(full) do n = n + (length > max_length and 1 or 0) end
   return n
end

--- A split without its labels: { name, n, tokens, parts, texts, pairs, keys, lines, file, full, truncated, windowed }; the
--- last two are the shares of rows of which not all is read, and of those read in windows, which `parts` lists for each row.
---@param name string
---@param rows table of ftpipe.reading.labelled
---@param with ftpipe.encoder
---@param params { max_length: integer, long: string?, stride: integer|string?, watch: function? } watch(name, n) gives a `tick`
function texts.encode(name, rows, with, params)
   if rows.pairs and params.long and params.long ~= "head" then
      failure.raise("usage", ("long = %s is for single texts; of pairs the longer one is cut"):format(params.long))
   end
   local tokens, full, windows = texts.tokens(with.tokenizer, rows.texts, rows.pairs, { max_length = params.max_length,
      long = params.long, stride = params.stride, tick = params.watch and params.watch(name, #rows.texts) })
   if not tokens then failure.raise("data", ("%s: %s"):format(rows.file, full)) end
   local share = texts.too_long(full, params.max_length) / #rows.texts
   return { name = name, n = #rows.texts, tokens = tokens, parts = windows, texts = rows.texts, pairs = rows.pairs,
      keys = labelled.keys(rows), lines = rows.lines, file = rows.file, full = full,
      truncated = params.long == "windows" and 0.0 or share, windowed = params.long == "windows" and share or nil }
end

--- Where row i of some rows came from.
function texts.place(rows, i)
   return ("%s:%s"):format(rows.files and rows.files[i] or rows.file, tostring(rows.lines[i] or "?"))
end

return texts
