--- Lua source text cut into its tokens, without comments and spacing: equal tokens, equal program.

local tokens_of = {}

-- The end of a long bracket [==[ ... ]==] that begins at `at`, or nil.
local function long_bracket(text, at)
   local level = text:match("^%[(=*)%[", at)
   if not level then return nil end
   local _, stop = text:find("]" .. level .. "]", at + #level + 2, true)
   return stop or #text
end

-- The end of a quoted string.
local function quoted(text, at)
   local quote, i = text:sub(at, at), at + 1
   while i <= #text do
      local c = text:sub(i, i)
      if c == quote then return i end
      i = i + (c == "\\" and 2 or 1)
   end
   return #text
end

-- The end of a comment that begins at `at`.
local function comment(text, at)
   local stop = long_bracket(text, at + 2)
   if stop then return stop end
   return (text:find("\n", at, true) or #text + 1) - 1
end

local longest = { "...", "<<", ">>", "//", "==", "~=", "<=", ">=", "::", ".." }

local function operator(text, at)
   for _, op in ipairs(longest) do
      if text:sub(at, at + #op - 1) == op then return at + #op - 1 end
   end
   return at
end

--- All tokens in order, and the line on which each begins.
---@param text string
---@return string[], integer[]
function tokens_of.list(text)
   local out, lines, at, line, counted = {}, {}, 1, 1, 1
   while true do
      at = text:find("%S", at)
      if not at then return out, lines end
      local stop, _
      if text:sub(at, at + 1) == "--" then
         at = comment(text, at) + 1
      else
         local c = text:sub(at, at)
         if c:find "[%a_]" then _, stop = text:find("^[%w_]+", at)
         elseif c:find "%d" or text:find("^%.%d", at) then
            _, stop = text:find("^0[xX][%x.]+[pP][+-]?%d+", at)
            if not stop then _, stop = text:find("^[%d.]+[eE][+-]?%d+", at) end
            if not stop then _, stop = text:find("^[%w.]+", at) end
         elseif c == '"' or c == "'" then stop = quoted(text, at)
         else stop = long_bracket(text, at) or operator(text, at) end
         for _ in text:sub(counted, at - 1):gmatch "\n" do line = line + 1 end
         counted = at
         out[#out + 1], lines[#lines + 1] = text:sub(at, stop), line
         at = stop + 1
      end
   end
end

--- The tokens as one text.
---@param text string
function tokens_of.text(text) return table.concat(tokens_of.list(text), " ") end

--- Names of the modules that a list of tokens requires by a literal name, in order.
---@param list string[]
---@return string[]
function tokens_of.required(list)
   local out = {}
   for i, token in ipairs(list) do
      if token == "require" then
         local name = list[i + 1] == "(" and list[i + 2] or list[i + 1]
         name = name and (name:match '^"(.*)"$' or name:match "^'(.*)'$" or name:match "^%[%[(.*)%]%]$")
         if name then out[#out + 1] = name end
      end
   end
   return out
end

return tokens_of
