-- tests/bench/rows.lua - labelled rows read and written, for the scripts beside it.
local data = require "ftpipe.core.data"
local sys = require "ftpipe.core.sys"

local rows = {}

--- The rows of a CSV file: { { product?, text, label }, ... } by the columns given.
function rows.read(path, columns)
   local reader, out = assert(data.open(path, { columns = columns })), {}
   while true do
      local row = table.pack(reader:next(columns))
      if row[1] == nil then return out end
      assert(row[1], row[2])
      out[#out + 1] = { table.unpack(row, 2, row.n) }
   end
end

--- Write text and label (the last two cells of each row) to a file, or to standard output without one.
function rows.write(path, list)
   local writer = assert(data.create(path, "csv", { "text", "label" }))
   for _, row in ipairs(list) do assert(writer:row(row[#row - 1], row[#row])) end
   assert(writer:commit())
end

--- The rows in an order drawn from a seed and a name.
function rows.shuffled(list, seed, name)
   local out = {}
   for k, i in ipairs(sys.shuffle(seed, name, #list)) do out[k] = list[i] end
   return out
end

return rows
