--- What can be told of a pipeline file from its tokens alone: variables that nobody declares, parameters that nobody reads.
--
-- Scopes are not followed: a name that is declared anywhere in the file counts as declared everywhere. So what is found is
-- wrong for certain, also in a branch that never ran.

local sys = require "ftpipe.core.sys"
local tokens_of = require "ftpipe.tokens_of"

local source = {}

local keywords, globals = {}, {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true until while]])
   :gmatch "%a+" do keywords[word] = true end
for word in ([[assert error ipairs next pairs pcall print rawequal rawget rawlen rawset require select setmetatable getmetatable
   tonumber tostring type string table math utf8 coroutine _VERSION _G]]):gmatch "[%w_]+" do globals[word] = true end

local function is_name(token) return token ~= nil and token:find "^[%a_]" ~= nil and not keywords[token] end

-- Names after `local`, `for` and in parameter lists, wherever they are.
local function declared(list)
   local out = {}
   local function names_from(i)      -- a, b <const>, c
      while is_name(list[i]) do
         out[list[i]] = true
         i = i + 1
         if list[i] == "<" then i = i + 3 end
         if list[i] ~= "," then return i end
         i = i + 1
      end
      return i
   end
   for i, token in ipairs(list) do
      if token == "local" or token == "for" then
         if list[i + 1] == "function" then out[list[i + 2]] = true else names_from(i + 1) end
      elseif token == "function" then
         local k = i + 1
         while list[k] and list[k] ~= "(" do
            if list[k] == ":" then out.self = true end
            k = k + 1
         end
         names_from(k + 1)
      end
   end
   return out
end

local closes = { [")"] = "(", ["]"] = "[", ["}"] = "{" }

-- Whether the token is a key, a field, a label or part of something else that is no variable.
local function is_no_variable(list, i, bracket)
   local before, after = list[i - 1], list[i + 1]
   if before == "." or before == ":" or before == "goto" or before == "::" or after == "::" then return true end
   if before == "<" and after == ">" and (list[i] == "const" or list[i] == "close") then return true end
   return bracket == "{" and after == "=" and (before == "{" or before == "," or before == ";")
end

--- Variables that are used and declared nowhere: { { name, line, near }, ... }, each once.
---@param text string
function source.undefined(text)
   local list, lines = tokens_of.list(text)
   local known, open, out, told = declared(list), {}, {}, {}
   local names = {}
   for name in pairs(known) do names[#names + 1] = name end
   for name in pairs(globals) do names[#names + 1] = name end
   table.sort(names)
   for i, token in ipairs(list) do
      if token == "(" or token == "[" or token == "{" or token == "function" then open[#open + 1] = token
      elseif closes[token] and open[#open] == closes[token] then open[#open] = nil
      elseif token == "end" then      -- what a function holds is no table
         for k = #open, 1, -1 do
            if open[k] == "function" or open[k] == "block" then
               table.remove(open, k)
               break
            end
         end
      elseif token == "then" and list[i - 1] or token == "do" then open[#open + 1] = "block"
      elseif token == "elseif" or token == "else" then
         if open[#open] == "block" then open[#open] = nil end
         if token == "else" then open[#open + 1] = "block" end
      end
      if is_name(token) and not known[token] and not globals[token] and not told[token]
         and not is_no_variable(list, i, open[#open]) then
         told[token] = true
         out[#out + 1] = { name = token, line = lines[i], near = sys.nearest(token, names) }
      end
   end
   return out
end

--- Parameters that are declared and never read, among these names. Nothing where the table of parameters is handed on.
---@param text string
---@param names string[]
function source.unread(text, names)
   local list = tokens_of.list(text)
   local variable
   for i = 1, #list - 5 do
      local called = list[i] == "local" and list[i + 2] == "=" and list[i + 4] == "." and list[i + 5] == "params"
      if called then variable = list[i + 1] end
   end
   if not variable then return {} end
   local read, out = {}, {}
   for i, token in ipairs(list) do
      if token == variable and list[i - 1] ~= "." and list[i - 1] ~= "local" then
         if list[i + 1] == "." then read[list[i + 2]] = true
         elseif list[i + 1] == "[" then
            local key = (list[i + 2] or ""):match '^["\'](.*)["\']$'
            if not key then return {} end
            read[key] = true
         else return {} end
      end
   end
   for _, name in ipairs(names) do if not read[name] then out[#out + 1] = name end end
   return out
end

--- The line on which a parameter is declared, as far as it can be told.
function source.line_of(text, name)
   local list, lines = tokens_of.list(text)
   for i, token in ipairs(list) do
      if token == name and list[i + 1] == "=" and (list[i - 1] == "{" or list[i - 1] == ",") then return lines[i] end
   end
   return 1
end

return source
