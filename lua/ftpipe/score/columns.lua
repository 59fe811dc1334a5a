--- Gold and predicted columns of two files with the same rows in the same order.

local data = require "ftpipe.core.data"
local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"

local columns = {}

local function fail(message, hint) failure.raise("data", message, hint) end

local function has(list, wanted)
   for _, name in ipairs(list) do if name == wanted then return true end end
   return false
end

-- The column of labels: as asked for, else the first of these names that there is.
local function column_of(reader, path, wanted, usual)
   local names = reader:columns()
   if wanted or #names == 0 then return wanted or usual[1] end      -- names of JSON come with its rows
   for _, name in ipairs(usual) do if has(names, name) then return name end end
   local plain = usual[#usual]
   local near = sys.nearest(plain, names)
   fail(("%s: no column '%s'; %s"):format(path, plain, near and ("did you mean '%s'?"):format(near)
      or "there: " .. table.concat(names, ", ")))
end

--- The cells of a column of a file (false where a JSON cell is null), and the lines they are on.
---@param path string
---@param wanted string? the column; nil: the first of `usual` that there is
---@param usual string[]
---@param what string? what a cell holds; it must not be empty then
function columns.read(path, wanted, usual, what)
   local reader = failure.try("data", data.open(path, { columns = { wanted or usual[1] } }))
   local column
   local out, lines = {}, {}
   while true do
      column = column or column_of(reader, path, wanted, usual)
      local line, label = reader:next { column }
      if line == nil then break end
      if not line and not wanted and #out == 0 and column ~= usual[#usual] and label:find("no column", 1, true) then
         -- a first row of JSON that does not have this name: the next name, from the beginning
         reader:close()
         return columns.read(path, nil, table.move(usual, 2, #usual, 1, {}), what)
      end
      if not line then fail(label) end
      if what and (not label or label == "") then fail(("%s:%d: the %s is empty"):format(path, line, what)) end
      out[#out + 1], lines[#lines + 1] = label, line
   end
   reader:close()
   if #out == 0 then fail(path .. " has no rows") end
   return out, lines
end

--- Both columns, row by row: the cells and their places ("file:line").
---@param opts table as `ftpipe score` takes them
---@param usual { gold: string[], predictions: string[] } names to look for
---@param what string? as of read
function columns.both(opts, usual, what)
   local gold, lines = columns.read(opts.gold, opts.gold_column, usual.gold, what)
   local said, others = columns.read(opts.predictions, opts.predictions_column, usual.predictions, what)
   if #gold ~= #said then fail(("%s has %d rows, %s has %d"):format(opts.gold, #gold, opts.predictions, #said)) end
   local function places(path, list)
      local out = {}
      for i, line in ipairs(list) do out[i] = ("%s:%d"):format(path, line) end
      return out
   end
   return gold, said, places(opts.gold, lines), places(opts.predictions, others)
end

return columns
