-- tests/lua/test_vocabulary.lua - vocabulary.train: files and texts, its report, the tokeniser it leaves, its errors.

if package then package.path = "lua/?.lua;tests/lua/?.lua;" .. package.path end

local check = require "check"
local failure = require "ftpipe.failure"
local fs = require "ftpipe.core.fs"
local sys = require "ftpipe.core.sys"
local text = require "ftpipe.core.text"
local vocabulary = require "ftpipe.vocabulary"

check.suite "vocabulary"

local DIR = (sys.getenv "TMPDIR" or "/tmp") .. "/vocabulary_test"
local FIXTURES = "tests/fixtures/wordpiece_train/"

local function read(path) return assert(fs.read(path)) end

-- The failure that training ends with: its kind must be this, and its message must have these words.
local function refused(options, kind, words)
   local ok, e = pcall(vocabulary.train, options)
   check.is_true(not ok and failure.is(e), "want a failure, got " .. tostring(e))
   check.equal(e.ftpipe, kind, e.message)
   check.contains(e.message, words)
end

-- An iterator over the elements of a list.
local function each(list)
   local i = 0
   return function()
      i = i + 1
      return list[i]
   end
end

check.test("files give the recorded vocabulary, and a report", function()
   local seen = {}
   local report = vocabulary.train {
      dir = DIR .. "/plain", files = { FIXTURES .. "plain.txt" }, size = 180,
      progress = function(bytes, path) seen[#seen + 1] = { bytes, path } end,
   }
   check.equal(read(DIR .. "/plain/vocab.txt"), read(FIXTURES .. "plain.vocab"))
   check.equal(seen, { { #read(FIXTURES .. "plain.txt"), FIXTURES .. "plain.txt" } })
   check.equal(report.size, 126)
   check.equal(report.characters, report.alphabet)
   check.equal(report.last_count, 2)
   check.equal(report.too_long, 0)
   check.is_true(report.words > report.distinct and report.distinct > 0)
end)

check.test("texts give the same as the file that holds them", function()
   local lines, bytes = {}, 0
   for line in read(FIXTURES .. "signs.txt"):gmatch "[^\n]+" do lines[#lines + 1] = line end
   vocabulary.train {
      dir = DIR .. "/signs", texts = each(lines), size = 300, min_frequency = 1,
      progress = function(n) bytes = n end,
   }
   check.equal(read(DIR .. "/signs/vocab.txt"), read(FIXTURES .. "signs.vocab"))
   check.equal(bytes, #table.concat(lines))
end)

check.test("the settings of words are those of the tokeniser that is left", function()
   vocabulary.train {
      dir = DIR .. "/cased", files = { FIXTURES .. "accents.txt" }, size = 400, min_frequency = 1, lowercase = false,
   }
   check.equal(read(DIR .. "/cased/vocab.txt"), read(FIXTURES .. "accents_cased.vocab"))
   local tokeniser <close> = assert(text.load(DIR .. "/cased"))
   check.equal(tokeniser:vocab_size(), 378)
   for i, name in ipairs { "pad", "unk", "cls", "sep", "mask" } do check.equal(tokeniser:special(name), i - 1) end
   local ids = tokeniser:encode("École", nil, { special = false }).ids
   check.equal(#ids, 1)
   check.equal(tokeniser:token(ids[1]), "École")
   check.is_true(tokeniser:encode("ÉCOLE", nil, { special = false }).ids[1] ~= ids[1])

   vocabulary.train {
      dir = DIR .. "/kept", files = { FIXTURES .. "accents.txt" }, size = 300, min_frequency = 1, strip_accents = false,
   }
   check.equal(read(DIR .. "/kept/vocab.txt"), read(FIXTURES .. "accents_kept.vocab"))
end)

check.test("lines of tags are left out of files in the form of WikiExtractor", function()
   assert(fs.mkdirs(DIR))
   assert(fs.write(DIR .. "/wiki", '<doc id="7" url="u">\nplain words\n</doc>\n'))
   local report = vocabulary.train { dir = DIR .. "/doc", files = { DIR .. "/wiki" }, size = 50, format = "doc" }
   check.equal(report.words, 2)
   check.is_true(vocabulary.train { dir = DIR .. "/doc", files = { DIR .. "/wiki" }, size = 50 }.words > 10)
end)

check.test("options that are wrong are told before anything is read", function()
   local function with(more)
      local o = { dir = DIR .. "/no", files = { "nowhere" }, size = 100 }
      for k, v in pairs(more) do o[k] = v end
      return o
   end
   refused(with { sise = 3 }, "usage", "'sise' (meant: size?)")
   refused({ files = { "nowhere" }, size = 100 }, "usage", "dir")
   refused({ dir = DIR }, "usage", "either files or texts")
   refused(with { texts = each {} }, "usage", "either files or texts")
   refused(with { files = {} }, "usage", "list of paths")
   refused(with { format = "xml" }, "usage", "xml")
   refused({ dir = DIR, texts = each {}, size = 100, format = "doc" }, "usage", "for files")
   refused(with { size = 100.5 }, "usage", "size must be a whole number, got 100.5")
   refused({ dir = DIR, files = { "nowhere" } }, "usage", "size must be a whole number, got nil")
   refused(with { lowercase = "no" }, "usage", "lowercase")
   refused({ dir = DIR, texts = { "a" }, size = 100 }, "usage", "function")
   check.equal(fs.stat(DIR .. "/no"), nil)
end)

check.test("bad data and too small a size are told, and leave no files", function()
   local dir = DIR .. "/no"
   refused({ dir = dir, files = { DIR .. "/nowhere" }, size = 100 }, "data", "/nowhere")
   refused({ dir = dir, texts = each { "good", "b\xff" }, size = 100 }, "data", "text 2: text is not UTF-8: byte 1")
   refused({ dir = dir, texts = each { "good", 5 }, size = 100 }, "usage", "text 2 is a number")
   refused({ dir = dir, texts = each {}, size = 100 }, "data", "no words")
   refused({ dir = dir, texts = each { "a b c" }, size = 7 }, "usage", "size of 8 or more")
   refused({ dir = dir, texts = each { "a b c" }, size = 100, min_frequency = 0 }, "usage", "min_frequency")
   check.equal(fs.stat(dir), nil)
end)

fs.remove(DIR)
check.done()
