--- Errors meant for the user: a table with kind, message and, where there is one, what to do next.
--
-- kind: "usage" (option, parameter or pipeline file is wrong), "data" (an input file is), "numeric" (NaN or infinite),
-- "system" (disk, memory), "lock" (another process has it), "network", "access" (a pipeline wants
-- to read where it may not), "interrupted".

local failure = {}
local meta = { __tostring = function(e) return e.message end }

--- Raise one.
---@param kind string
---@param message string
---@param hint? string
function failure.raise(kind, message, hint)
   error(setmetatable({ ftpipe = kind, message = message, hint = hint }, meta), 0)
end

--- nil, message -> raise; anything else passes through.
function failure.try(kind, value, message, ...)
   if value == nil or value == false then failure.raise(kind, tostring(message)) end
   return value, message, ...
end

function failure.is(e) return type(e) == "table" and e.ftpipe ~= nil end

--- Any error value as one of ours: a text raised by a step becomes "data".
function failure.wrap(e, where)
   if failure.is(e) then
      if where and not e.where then
         e.where = where
         e.message = where .. ": " .. e.message
      end
      return e
   end
   return setmetatable({ ftpipe = "data", message = (where and where .. ": " or "") .. tostring(e) }, meta)
end

return failure
