--- Errors meant for the user: a table with kind, message and, where there is one, what to do next.
--
-- kind: "usage" (option, parameter or pipeline file is wrong), "data" (an input file is), "numeric" (NaN or infinite),
-- "system" (disk, memory), "lock" (another process has it), "network", "access" (a pipeline wants
-- to read where it may not), "interrupted".

local failure = {}
local meta = { __tostring = function(e) return e.message end }

--- Make one, to be raised later.
---@param kind string
---@param message string
---@param hint? string
function failure.new(kind, message, hint) return setmetatable({ ftpipe = kind, message = message, hint = hint }, meta) end

--- Raise one.
---@param kind string
---@param message string
---@param hint? string
function failure.raise(kind, message, hint) error(failure.new(kind, message, hint), 0) end

-- Problems that were told together before, one by one.
local function flatten(list, where, out)
   for _, e in ipairs(list) do
      if e.problems then
         flatten(e.problems, e.where or where, out)
      else
         local message = where and not e.where and where .. ": " .. e.message or e.message
         out[#out + 1] = setmetatable({ ftpipe = e.ftpipe, message = message, hint = e.hint, where = e.where or where }, meta)
      end
   end
   return out
end

--- Raise several as one: nothing for none, the error itself for one, else one that lists all of them.
---@param problems table[] from failure.new, or caught
function failure.raise_all(problems)
   if #problems == 0 then return end
   if #problems == 1 then error(problems[1], 0) end
   local list = flatten(problems, nil, {})
   local lines, kind, hint = { ("%d problems:"):format(#list) }, list[1].ftpipe, nil
   for i, e in ipairs(list) do
      lines[i + 1] = "  " .. e.message:gsub("\n", "\n  ")
      if e.ftpipe ~= kind then kind = "data" end
      if not hint or e.hint == hint then hint = e.hint end
   end
   local all = failure.new(kind, table.concat(lines, "\n"), hint)
   all.problems = list
   error(all, 0)
end

--- f(item) for each item of a list; what is wrong with several is raised as one.
function failure.each(list, f)
   local problems = {}
   for _, item in ipairs(list) do
      local ok, e = pcall(f, item)
      if not ok and not failure.is(e) then error(e, 0) end
      if not ok then problems[#problems + 1] = e end
   end
   failure.raise_all(problems)
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
         for _, each in ipairs(e.problems or {}) do each.message, each.where = where .. ": " .. each.message, where end
      end
      return e
   end
   return setmetatable({ ftpipe = "data", message = (where and where .. ": " or "") .. tostring(e), where = where }, meta)
end

return failure
