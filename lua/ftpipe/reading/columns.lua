--- Sentences in columns, as in CoNLL files: a word and its tag on every line, sentences apart by blank lines.
--
-- Columns are separated by tabs where the first line has one, else by blanks; any number of them, the word in the first and
-- the tag in the last unless said otherwise. "-DOCSTART-" lines and lines that begin with "#" and have another number of
-- columns (comments) are skipped. A sentence with one bad line is refused as a whole: half of it would teach nonsense.

local data = require "ftpipe.core.data"
local failure = require "ftpipe.failure"

local columns = {}

---@class ftpipe.column_sentence
---@field words string[]
---@field tags string[]
---@field line integer of its first word
---@field raw string[]? its lines

local function split_tabs(raw)
   local cells = {}
   for cell in (raw .. "\t"):gmatch "([^\t]*)\t" do cells[#cells + 1] = cell end
   return cells
end

local function split_blanks(raw)
   local cells = {}
   for cell in raw:gmatch "[^ \t]+" do cells[#cells + 1] = cell end
   return cells
end

-- Number of a column from a parameter: nil or a name, which columns do not have, mean the usual one.
local function number(name, usual) return math.tointeger(tonumber(name)) or usual end

local reading = {}
reading.__index = reading

function reading:flush()
   local s = self.sentence
   self.sentence = nil
   if not s then return end
   if s.problem then self.bad(s.problem_line, s.problem, table.concat(s.raw, " | "))
   elseif #s.words > 0 then self.visit(s) end
end

function reading:cells_of(raw, line)
   if not self.split then
      self.split = raw:find("\t", 1, true) and split_tabs or split_blanks
   end
   local cells = self.split(raw)
   if not self.n then
      if raw:find "^#" then return nil, true end      -- a comment before the first word
      self.n = #cells
      if self.tagged and self.n < 2 then
         failure.raise("data", ("%s:%d: there is one column, where a word and its tag are wanted"):format(self.path, line),
            "a line is: word, tab or blank, tag")
      end
   end
   if #cells ~= self.n then
      if raw:find "^#" then return nil, true end
      return nil, false, ("%d column%s, where the lines before have %d"):format(#cells, #cells == 1 and "" or "s", self.n)
   end
   return cells
end

function reading:add(raw, line)
   local cells, comment, problem = self:cells_of(raw, line)
   if comment then return end
   local s = self.sentence
   if not s then
      s = { words = {}, tags = {}, raw = {}, line = line }
      self.sentence = s
   end
   s.raw[#s.raw + 1] = raw
   local word = cells and cells[self.word]
   local tag = cells and (self.tag and cells[self.tag] or not self.tag and cells[#cells])
   if cells and (not word or word == "") then problem = "the word is empty" end
   if self.tagged and cells and (not tag or tag == "") then problem = "the tag is empty" end
   if problem and not s.problem then
      s.problem, s.problem_line = ("%s:%d: %s"):format(self.path, line, problem), line
   end
   s.words[#s.words + 1], s.tags[#s.tags + 1] = word or "", tag or ""
end

--- Visit every sentence of a file ("-": standard input).
---@param path string
---@param opts { word: string?, tag: string?, tagged: boolean?, encoding: string? } numbers of the columns; tagged =
-- false: there may be no tags
---@param visit fun(sentence: ftpipe.column_sentence)
---@param bad fun(line: integer, message: string, raw: string) told of sentences that are refused
function columns.each(path, opts, visit, bad)
   local reader = failure.try("data", data.open(path, { format = "lines", encoding = opts.encoding }))
   local self = setmetatable({ path = path == "-" and "standard input" or path, visit = visit, bad = bad,
      word = number(opts.word, 1), tag = number(opts.tag), tagged = opts.tagged ~= false }, reading)
   local text = { "text" }
   while true do
      local line, raw, at, bytes = reader:next(text)
      if line == nil then break end
      if not line then
         self.sentence = self.sentence or { words = {}, tags = {}, raw = {}, line = at }
         local s = self.sentence
         s.problem, s.problem_line = s.problem or raw, s.problem_line or at
         s.raw[#s.raw + 1] = bytes or ""
      elseif not raw:find "[^ \t]" or raw:find "^%-DOCSTART%-" then
         self:flush()
      else
         self:add(raw, line)
      end
   end
   self:flush()
   reader:close()
end

return columns
