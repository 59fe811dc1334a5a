--- Places in texts, as other programs count them: code points, UTF-16 units, or bytes.

local json = require "ftpipe.core.json"

local places = {}

--- Byte (from 1) on which code point `n` (from 0) of s begins, #s + 1 for the place behind the last one, or nil.
---@param s string
---@param n integer
function places.of_character(s, n) return utf8.offset(s, n + 1) end

--- The same for UTF-16 unit `n`; `inside`: it is the second half of a pair.
---@param s string
---@param n integer
---@return integer? byte, boolean? inside
function places.of_unit(s, n)
   local units, at = 0, 1
   while units < n and at <= #s do
      local width = s:byte(at) >= 0xF0 and 2 or 1
      if units + width > n then return at, true end
      units = units + width
      at = utf8.offset(s, 2, at)
   end
   return units == n and at or nil
end

--- Code points before byte `at` (from 1) of s.
function places.characters(s, at) return utf8.len(s, 1, at - 1) or 0 end

--- UTF-16 units before byte `at` of s.
function places.units(s, at)
   local n = 0
   for _, c in utf8.codes(s:sub(1, at - 1)) do n = n + (c > 0xFFFF and 2 or 1) end
   return n
end

--- Whether `piece` stands at byte `at` of s.
function places.is_at(s, piece, at) return at ~= nil and s:sub(at, at + #piece - 1) == piece end

--- Bytes at which `piece` occurs in s, at most `most` of them.
---@return integer[]
function places.all(s, piece, most)
   local out, at = {}, 1
   while #out < most do
      local first = s:find(piece, at, true)
      if not first then break end
      out[#out + 1], at = first, first + 1
   end
   return out
end

--- Where else a piece occurs, for messages: in code points. `name` is what s is called.
function places.told(s, piece, name)
   local found, there = places.all(s, piece, 4), {}
   for i, first in ipairs(found) do there[i] = tostring(places.characters(s, first)) end
   return #there == 0 and "it does not occur in the " .. name or #there > 3 and "it occurs in several places"
      or "it occurs at " .. table.concat(there, ", ")
end

--- A text in quotes, shortened for messages.
function places.shown(s)
   local n = utf8.len(s)
   if not n or n <= 60 then return json.encode(s) end
   return json.encode(s:sub(1, utf8.offset(s, 58) - 1)) .. "..."
end

return places
