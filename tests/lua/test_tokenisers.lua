-- tests/lua/test_tokenisers.lua - tokenisers other than BERT's on the way to training: pairs, words of entities, spans of answers
-- in the text's own characters, and masks.

local check = require "check"
local fs = require "ftpipe.core.fs"
local sys = require "ftpipe.core.sys"
local corpus = require "ftpipe.core.corpus"
local tagging = require "ftpipe.core.tagging"
local text = require "ftpipe.core.text"
local windows = require "ftpipe.core.windows"

local DIR = "tests/fixtures/tokenizer/"
local KINDS = { "json", "bytes", "unigram.json", "fallback.json", "parts.json" }

check.suite "tokenisers"

local function load(name) return assert(text.load(DIR .. name)) end

check.test("pairs_get_the_special_tokens_of_their_family", function()
   local bytes = load "bytes"
   local cls, sep = bytes:special "cls", bytes:special "sep"
   check.equal({ bytes:token(cls), bytes:token(sep), bytes:token(bytes:special "mask"), bytes:token(bytes:special "pad") },
      { "<s>", "</s>", "<mask>", "<pad>" })
   local x = bytes:encode("a", "b")
   check.equal(x.ids, { cls, bytes:id "a", sep, sep, bytes:id "b", sep })
   check.equal(x.types, { 0, 0, 0, 0, 0, 0 })
end)

check.test("every_word_of_a_row_has_a_token_that_answers_for_it", function()
   local row = "Anna met  Zo\u{eb} in S\u{e3}o Paulo , \u{1f600} ok"
   local words = assert(tagging.split(row, "spaced"))
   check.equal(tagging.count(words), 9)
   for _, name in ipairs(KINDS) do
      local tokens, places = tagging.encode(load(name), { row }, { words }, { max_length = 60, stride = 0 })
      check.equal(tagging.words_of(tokens, places), { 9 }, name)
   end
end)

check.test("masks_are_the_mask_token_of_the_family", function()
   for _, name in ipairs { "bytes", "unigram.json" } do
      check.is_true(corpus.masker(load(name), { seed = 1, rate = 0.15, whole_word = true }) ~= nil, name)
   end
   local masker, message = corpus.masker(load "fallback.json", { seed = 1, rate = 0.15, whole_word = true })
   check.equal(masker, nil)
   check.is_true(message:find("no mask token", 1, true) ~= nil)
end)

check.test("answers_begin_and_end_with_their_own_characters", function()
   local context = "The lamp  stood in S\u{e3}o Paulo."
   for _, name in ipairs(KINDS) do
      local tok = load(name)
      local tokens, w = windows.encode(tok, { "where" }, { context }, { max_length = 90, stride = 10 })
      check.equal(tokens:count(), 1, name)
      local first, last = w:locate(1, 19, 28)      -- "São Paulo"
      check.is_true(first ~= nil, name)
      check.equal(w:place(1, first), 19, name)
      check.equal(select(2, w:place(1, last)), 28, name)
      local at, n = w:text(1)
      for k = at, at + n - 1 do
         local begin, stop = w:place(1, k)
         local piece = context:sub(utf8.offset(context, begin + 1), utf8.offset(context, stop + 1) - 1)
         check.is_true(not piece:find "^%s" and not piece:find "%s$", name .. ": " .. piece)
      end
   end
end)

check.test("SentencePiece's own file is refused by its name", function()
   local dir = (sys.getenv "TMPDIR" or "/tmp") .. "/pieces-" .. sys.pid()
   assert(fs.mkdirs(dir))
   assert(fs.write(dir .. "/spm.model", "\10\14"))
   local tok, message = text.load(dir)
   check.equal(tok, nil)
   check.contains(message, "has SentencePiece's spm.model alone")
   check.contains(message, "tokenizer.json")
   assert(fs.remove(dir))
end)

check.done()
