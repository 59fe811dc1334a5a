--- The lines that one step writes into a log: log.jsonl of a run whose steps follow each other, or a file of the step's own.
--
-- Sizes are counted from where the step began, which a mark beside its checkpoint tells, so that a checkpoint knows where to
-- cut the log whichever file it was.

local fs = require "ftpipe.core.fs"
local failure = require "ftpipe.failure"

---@class ftpipe.step_log
local step_log = {}
step_log.__index = step_log

--- Open a log to add to it. `mark` is the file that tells where the step began; nil: at the start of the log.
---@param path string
---@param mark string|nil
---@return ftpipe.step_log
function step_log.open(path, mark)
   local file = failure.try("system", fs.append(path))
   local begin = 0
   if mark then
      begin = math.tointeger(tonumber(fs.read(mark) or "")) or file:size()
      failure.try("system", fs.write(mark, tostring(begin)))
   end
   return setmetatable({ path = path, file = file, begin = begin }, step_log)
end

--- Let the step's part be `size` bytes long: what it wrote after that is written again.
---@param size integer
function step_log:cut(size)
   self.file:close()
   self.file = failure.try("system", fs.append(self.path, self.begin + size))
end

function step_log:write(bytes) return self.file:write(bytes) end

function step_log:flush() return self.file:flush() end

--- Bytes of the step's part.
function step_log:size() return self.file:size() - self.begin end

function step_log:close() self.file:close() end

step_log.__close = step_log.close

return step_log
