--- A WordPiece vocabulary learnt from text, for an encoder that is trained from scratch.
--
-- vocabulary.train counts the words of files or texts as BERT's tokeniser cuts them, joins characters to pieces
-- (runtime/text/wordpiece_train.h says how), and writes vocab.txt, tokenizer.json and tokenizer_config.json. Only the
-- distinct words and their counts are kept in memory, so that the text may be larger. The same text gives the same
-- files, whatever its order and the number of threads.

local core = require "ftpipe.core.vocab"
local failure = require "ftpipe.failure"
local sys = require "ftpipe.core.sys"

local vocabulary = {}

-- Options, and their defaults; false: there is none.
local OPTIONS = {
   dir = false, files = false, texts = false, format = "text", size = false, lowercase = true, strip_accents = false,
   cjk = true, min_frequency = 2, limit_alphabet = 1000, min_word_count = 1, progress = false,
}

---@class ftpipe.vocabulary_options
---@field dir string                 folder for the files; made if need be
---@field files? string[]            paths of UTF-8 text; instead of texts
---@field texts? fun(): string?      gives one text a call and nil at the end; no word goes on in the next text
---@field format? "text"|"doc"       "doc": lines of files that begin with "<doc " or "</doc>" are left out
---@field size integer               tokens wanted in all, [PAD] [UNK] [CLS] [SEP] [MASK] and characters included
---@field lowercase? boolean         true
---@field strip_accents? boolean     as lowercase, if it is not said
---@field cjk? boolean               true: ideographs are words of their own
---@field min_frequency? integer     2; pieces less frequent are not joined
---@field limit_alphabet? integer    1000; only the most frequent characters are kept
---@field min_word_count? integer    1; words less frequent are left out before learning
---@field progress? fun(bytes: integer, path?: string)  called as text is read, with the bytes so far

---@class ftpipe.vocabulary_report
---@field size integer        tokens; less than wanted where pairs ran out
---@field words integer       occurrences of words
---@field distinct integer    different words
---@field too_long integer    occurrences of words above 100 characters, which are left out
---@field characters integer  different characters
---@field alphabet integer    of them, kept
---@field joined integer      pairs of pieces joined
---@field last_count integer  how frequent the last of them was; 0: none was joined

local function usage(text, ...) failure.raise("usage", "vocabulary.train: " .. text:format(...)) end

-- The options with their defaults, checked; ranges are for the core to check.
local function read_options(given)
   if type(given) ~= "table" then usage("want a table of options") end
   local names, opts = {}, {}
   for name in pairs(OPTIONS) do names[#names + 1] = name end
   table.sort(names)
   for name in pairs(given) do
      if OPTIONS[name] == nil then
         local near = sys.nearest(tostring(name), names)
         usage("there is no option '%s'%s", tostring(name), near and (" (meant: %s?)"):format(near) or "")
      end
   end
   for _, name in ipairs(names) do
      opts[name] = given[name]
      if opts[name] == nil and OPTIONS[name] then opts[name] = OPTIONS[name] end
   end
   return opts
end

local function check_options(o)
   if type(o.dir) ~= "string" then usage("option 'dir' is missing: the folder for the vocabulary") end
   if (o.files == nil) == (o.texts == nil) then usage("want either files or texts") end
   if o.files and (type(o.files) ~= "table" or #o.files == 0) then usage("files must be a list of paths") end
   if o.texts and type(o.texts) ~= "function" then usage("texts must be a function that gives one text a call") end
   if o.format ~= "text" and o.format ~= "doc" then usage("format must be \"text\" or \"doc\", got %s", tostring(o.format)) end
   if o.texts and o.format == "doc" then usage("format \"doc\" is for files") end
   for _, name in ipairs { "size", "min_frequency", "limit_alphabet", "min_word_count" } do
      if math.type(o[name]) ~= "integer" then usage("%s must be a whole number, got %s", name, tostring(o[name])) end
   end
   for _, name in ipairs { "lowercase", "strip_accents", "cjk" } do
      if o[name] ~= nil and type(o[name]) ~= "boolean" then usage("%s must be true or false", name) end
   end
end

local function count_files(counter, o)
   local bytes = 0
   for _, path in ipairs(o.files) do
      failure.try("data", counter:open(path, o.format == "doc"))
      repeat
         local n = failure.try("data", counter:step())
         bytes = bytes + n
         if o.progress and n > 0 then o.progress(bytes, path) end
      until n == 0
   end
end

local function count_texts(counter, o)
   local bytes, n = 0, 0
   for text in o.texts do
      n = n + 1
      if type(text) ~= "string" then usage("text %d is a %s", n, type(text)) end
      local ok, message = counter:add(text)
      if not ok then failure.raise("data", ("text %d: %s"):format(n, message)) end
      bytes = bytes + #text
      if o.progress then o.progress(bytes) end
   end
end

--- Learn a vocabulary and write it into a folder. Raises ftpipe.failure: "usage" (an option; no room in `size` for
--- the alphabet), "data" (a file cannot be read or is not UTF-8; there are no words), "system" (the disk).
---@param options ftpipe.vocabulary_options
---@return ftpipe.vocabulary_report
function vocabulary.train(options)
   local o = read_options(options)
   check_options(o)
   local counter <close> = core.counter { lowercase = o.lowercase, strip_accents = o.strip_accents, cjk = o.cjk }
   if o.files then count_files(counter, o) else count_texts(counter, o) end
   local words, distinct, too_long = counter:totals()
   local learnt <close> = failure.try(words > 0 and "usage" or "data", counter:learn {
      size = o.size, min_frequency = o.min_frequency, limit_alphabet = o.limit_alphabet, min_word_count = o.min_word_count,
   })
   failure.try("system", learnt:save(o.dir))
   local size, characters, alphabet, joined, last_count = learnt:facts()
   return { size = size, words = words, distinct = distinct, too_long = too_long, characters = characters,
      alphabet = alphabet, joined = joined, last_count = last_count }
end

return vocabulary
