--- A file of lines that appears whole or not at all, or standard output.
--
-- Lines go to PATH.part-PID, which commit renames; a file that is closed without commit leaves nothing.

local fs = require "ftpipe.core.fs"
local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"

local line_file = {}
line_file.__index = line_file
line_file.__close = function(self) self:abandon() end

--- "cannot write PATH: what the system said"
function line_file.cannot_write(path, message)
   return ("cannot write %s: %s"):format(path, message:match ": ([^:]+)$" or message)
end

--- Open one; nil is standard output. Raises "usage" where the path cannot be.
---@param path string?
function line_file.open(path)
   if path and fs.stat(path) == "directory" then
      failure.raise("usage", line_file.cannot_write(path, "it is a directory"))
   end
   local self = setmetatable({ path = path }, line_file)
   if path then
      local message
      self.part = ("%s.part-%d"):format(path, sys.pid())
      self.file, message = fs.append(self.part, 0)
      if not self.file then failure.raise("usage", line_file.cannot_write(path, message)) end
   end
   return self
end

--- Add text -> true, or nil, message.
---@param text string
function line_file:write(text)
   if not self.file then
      sys.out(text)
      return true
   end
   local ok, problem = self.file:write(text)
   return ok, problem and line_file.cannot_write(self.path, problem)
end

--- Put the file in its place -> true, or nil, message.
function line_file:commit()
   if not self.file then return true end
   local ok, problem = self.file:flush()
   if ok then ok, problem = fs.rename(self.part, self.path) end
   if not ok then return nil, line_file.cannot_write(self.path, problem) end
   self.file:close()
   self.file = nil
   return true
end

--- Leave nothing, unless it was committed.
function line_file:abandon()
   if not self.file then return end
   self.file:close()
   self.file = nil
   fs.remove(self.part)
end

return line_file
