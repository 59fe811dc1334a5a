-- tests/lua/test_reading_files.lua - dialects and encodings of tables, nested fields, folders of texts, patterns.

local check = require "tests.lua.check"
local fs = require "ftpipe.core.fs"
local files = require "ftpipe.reading.files"
local sys = require "ftpipe.core.sys"
local tasks = require "ftpipe.task"
local read_step = require "ftpipe.step.read"

check.suite "reading_files"

local base = assert(sys.getenv "TMPDIR")
local made = 0

local function folder(content)
   made = made + 1
   local dir = ("%s/%d"):format(base, made)
   for name, text in pairs(content) do
      local path = dir .. "/" .. name
      assert(fs.mkdirs(path:match "^(.*)/"))
      assert(fs.write(path, text))
   end
   return dir
end

local function matches(text, pattern)
   if not tostring(text):find(pattern) then error(("%q does not match %q"):format(tostring(text), pattern), 2) end
end

local function params(more)
   local out = { text = { "text" }, label = "label", format = "auto", header = "auto", quote = "auto", bad = "error" }
   for k, v in pairs(more or {}) do out[k] = v end
   return out
end

local function shown(path, more, task)
   local rows = files.read(tasks.find(task or "classification"), path, params(more), function(_, message) error(message, 0) end)
   local out = {}
   for i, text in ipairs(rows.texts) do
      out[i] = ("%s=%s@%s:%d"):format(text, rows.labels[i], (rows.files and rows.files[i] or rows.file):match "[^/]*$",
         rows.lines[i])
   end
   return table.concat(out, " ")
end

local function wide(text) return "\xff\xfe" .. text:gsub(".", "%0\0") end

check.test("delimiters, quotes and encodings", function()
   local dir = folder { ["a.csv"] = "text;label\ngood;pos\n'no; not';neg\n", ["b.csv"] = "text|label\na\xe9|pos\n",
      ["c.csv"] = wide "text,label\ngood,pos\n",
      ["d.csv"] = "\xef\xbb\xbftext,label\ngood,pos\n", ["e.csv"] = "text\tlabel\nx\ty\n" }
   check.equal(shown(dir .. "/a.csv", { delimiter = ";", quote = "'" }), "good=pos@a.csv:2 no; not=neg@a.csv:3")
   check.equal(shown(dir .. "/b.csv", { delimiter = "|", encoding = "latin-1" }), "a\xc3\xa9=pos@b.csv:2")
   check.equal(shown(dir .. "/c.csv"), "good=pos@c.csv:2")
   check.equal(shown(dir .. "/d.csv"), "good=pos@d.csv:2")
   check.equal(shown(dir .. "/e.csv", { delimiter = "tab" }), "x=y@e.csv:2")
end)

check.test("a header that was cut at the wrong sign tells the right one", function()
   local dir = folder { ["a.csv"] = "text;label\ngood;pos\n" }
   local ok, e = pcall(shown, dir .. "/a.csv")
   check.equal(ok, false)
   matches(e.message, 'a.csv:1: there is no column "text"')
   matches(e.hint, 'say delimiter = ";"')
end)

check.test("nested fields of JSON Lines and arrays", function()
   local dir = folder { ["a.jsonl"] = '{"review":{"body":"good"},"tags":["pos","x"]}\n',
      ["b.json"] = '[{"review":{"body":"bad"},"tags":["neg"]}]' }
   local how = { text = { "review.body" }, label = "tags.1" }
   check.equal(shown(dir .. "/a.jsonl", how), "good=pos@a.jsonl:1")
   check.equal(shown(dir .. "/b.json", how), "bad=neg@b.json:1")
   local ok, e = pcall(shown, dir .. "/a.jsonl", { text = { "review.bdy" }, label = "tags.1" })
   check.equal(ok, false)
   matches(e.message, 'a.jsonl:1: there is no column "review.bdy" %(did you mean "review.body"%?%)')
end)

check.test("folders name the labels of their texts", function()
   local dir = folder { ["pos/b.txt"] = "fine\n", ["pos/a.txt"] = "good,\nreally\n", ["neg/c.txt"] = "bad", ["neg/skip.md"] = "?",
      ["unsup/d.txt"] = "?" }
   check.equal(shown(dir), "bad=neg@c.txt:1 good,\nreally=pos@a.txt:1 fine=pos@b.txt:1 ?=unsup@d.txt:1")
   check.equal(shown(dir, { map = { { "pos", "1" }, { "neg", "0" } } }), "bad=0@c.txt:1 good,\nreally=1@a.txt:1 fine=1@b.txt:1")
   check.equal(#read_step.files(params { from = dir }), 4)
   local ok, e = pcall(shown, dir, nil, "regression")
   check.equal(ok, false)
   matches(tostring(e), "neg/c.txt:1: the label 'neg' is no number")
   ok, e = pcall(shown, dir, nil, "named_entities")
   check.equal(ok, false)
   matches(e.message, "is read for the tasks classification and regression")
end)

check.test("an empty text and a text in another encoding are told with their file", function()
   local dir = folder { ["pos/a.txt"] = " \n", ["neg/b.txt"] = "x\nh\xe9" }
   local ok, e = pcall(shown, dir, { map = { { "pos", "pos" } } })
   check.equal(ok, false)
   matches(tostring(e), "pos/a.txt:1: the text is empty")
   ok, e = pcall(shown, dir, { map = { { "neg", "neg" } } })
   check.equal(ok, false)
   matches(tostring(e), "neg/b.txt:2: not text in its encoding: byte 0xE9")
   check.equal(shown(dir, { map = { { "neg", "neg" } }, encoding = "latin-1" }), "x\nh\xc3\xa9=neg@b.txt:1")
end)

check.test("train and test may be folders of texts", function()
   local dir = folder { ["train/pos/a.txt"] = "good", ["train/neg/b.txt"] = "bad", ["test/pos/c.txt"] = "fine" }
   local out = read_step.run({ say = function() end, out = base }, {}, params { from = dir, task = "classification" })
   check.equal(#out.splits.train.texts, 2)
   check.equal(out.splits.test.texts[1], "fine")
end)

check.test("a pattern is its files in sorted order", function()
   local dir = folder { ["b/x.csv"] = "text,label\n2,pos\n", ["a/x.csv"] = "text,label\n1,neg\n",
      ["a/y.csv"] = "text,label\n3,pos\n",
      ["a/.z.csv"] = "text,label\n4,pos\n", ["a/x.tsv"] = "-" }
   check.equal(shown(dir .. "/*/*.csv"), "1=neg@x.csv:2 3=pos@y.csv:2 2=pos@x.csv:2")
   check.equal(shown(dir .. "/a/?.csv"), "1=neg@x.csv:2 3=pos@y.csv:2")
   check.equal(#read_step.files(params { from = dir .. "/*/*.csv" }), 3)
   check.equal(files.count(tasks.find "classification", dir .. "/*/*.csv", params()), 3)
   local ok, e = pcall(shown, dir .. "/a/*.cvs")
   check.equal(ok, false)
   matches(e.message, "no file matches .*/a/%*%.cvs; ")
end)

check.done()
