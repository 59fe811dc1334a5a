-- tests/cli/unlabelled_texts.lua ROWS.csv LINES DOCS - the texts of labelled rows: one a line, and again as <doc> blocks.

local data = require "ftpipe.core.data"
local fs = require "ftpipe.core.fs"

local rows, lines, blocks = arg[1], {}, {}
local reader = assert(data.open(rows, { columns = { "text" } }))
while true do
   local line, text = reader:next { "text" }
   if line == nil then break end
   lines[#lines + 1] = text
   blocks[#blocks + 1] = ('<doc id="%d">\n%s\n</doc>'):format(line, text)
end
assert(fs.write(arg[2], table.concat(lines, "\n") .. "\n"))
assert(fs.write(arg[3], table.concat(blocks, "\n") .. "\n"))
