--- Options of the commands: parsing and help, from one table.
--
-- An option is { name, arg, help, default, type, min, max, choices, repeated, short }. Without `arg` it is a flag.
-- Types: "integer", "number", "size" (bytes: 800M, 8G) and "assignment" (name=value); else the text as given. The value
-- is found under the name with "_" for "-"; a repeated option gives a list.

local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"

local options = {}

---@class ftpipe.option
---@field name string
---@field arg string?
---@field help string
---@field default string? for the help only
---@field type string?
---@field min number?
---@field max number?
---@field choices string[]?
---@field repeated boolean?
---@field hidden boolean? not in the help
---@field optional boolean? its value may be left out (then true); one that is given follows "="
---@field short string? one letter

--- Options that every command takes.
---@type ftpipe.option[]
options.common = {
   { name = "quiet", short = "q", help = "no progress and no report: only errors and what was asked for" },
   { name = "debug", help = "with an error, show where in the program it came from" },
   { name = "help", short = "h", help = "this text" },
}

-- ==== Values ====

local converters = {}

function converters.integer(text) return math.tointeger(tonumber(text)) end

function converters.number(text)
   local x = tonumber(text)
   return x and x == x and x or nil
end

local powers = { [""] = 0, K = 10, M = 20, G = 30, T = 40 }

--- "8G" -> 8589934592; K, M, G and T are powers of 1024, with or without "B" or "iB"
---@param text string
---@return integer|nil bytes
function options.size(text)
   local digits, unit = text:match "^(%d+%.?%d*)%s*([KMGT]?)[iI]?[bB]?$"
   if not digits then digits, unit = text:upper():match "^(%d+%.?%d*)%s*([KMGT]?)I?B?$" end
   local bytes = digits and tonumber(digits) * (1 << powers[unit])
   if not bytes or bytes < 1 or bytes >= 2 ^ 62 then return nil end
   return math.floor(bytes)
end
converters.size = options.size

function converters.assignment(text)
   local name, value = text:match "^([^=]+)=(.*)$"
   return name and { name = name, value = value }
end

local expected = { integer = "a whole number", number = "a number", size = "a size such as 800M or 8G",
   assignment = "name=value" }

local function fail(message, command)
   local hint = command and ("`ftpipe %s --help` lists the options"):format(command) or "see `ftpipe help`"
   failure.raise("usage", message, hint)
end

local function value_of(option, text, command)
   local value = text
   if option.type then
      value = converters[option.type](text)
      if value == nil then fail(("--%s %s: expected %s"):format(option.name, text, expected[option.type]), command) end
   end
   if option.min and value < option.min then
      fail(("--%s %s: must be at least %s"):format(option.name, text, option.min), command)
   end
   if option.max and value > option.max then
      fail(("--%s %s: must be at most %s"):format(option.name, text, option.max), command)
   end
   if option.choices then
      for _, choice in ipairs(option.choices) do if choice == text then return value end end
      local near = sys.nearest(text, option.choices)
      fail(("--%s %s: choose %s%s"):format(option.name, text, table.concat(option.choices, ", "),
         near and (" (did you mean '%s'?)"):format(near) or ""), command)
   end
   return value
end

-- ==== Parsing ====

local function index(list)
   local by_word, words = {}, {}
   for _, group in ipairs { list, options.common } do
      for _, option in ipairs(group) do
         by_word["--" .. option.name] = option
         words[#words + 1] = "--" .. option.name
         if option.short then by_word["-" .. option.short] = option end
      end
   end
   return by_word, words
end

local function store(out, option, value)
   local key = option.name:gsub("-", "_")
   if option.repeated then
      out[key] = out[key] or {}
      table.insert(out[key], value)
   else
      out[key] = value
   end
end

--- Split a command's arguments into options and the rest. After "--" (or, with `stop`, from the first word on that
--- is no option) everything is the rest. Raises "usage".
---@param list ftpipe.option[]
---@param args string[]
---@param command? string for the hint
---@param stop? boolean
---@return table opts, string[] positional
function options.parse(list, args, command, stop)
   local by_word, words = index(list)
   local out, rest = {}, {}
   local i = 1
   while i <= #args do
      local word = args[i]
      i = i + 1
      if word == "--" or (stop and (word == "-" or not word:find "^%-")) then
         if word ~= "--" then rest[#rest + 1] = word end
         table.move(args, i, #args, #rest + 1, rest)
         break
      elseif word == "-" or not word:find "^%-" then
         rest[#rest + 1] = word
      else
         local name, given = word:match "^(%-%-[^=]+)=(.*)$"
         local option = by_word[name or word]
         if not option then
            local near = sys.nearest(name or word, words)
            fail(("unknown option %s%s"):format(name or word, near and ("; did you mean %s?"):format(near) or ""), command)
         end
         if not option.arg then
            if given then fail(("%s takes no value"):format(name), command) end
            store(out, option, true)
         else
            if not given and option.optional then
               given = true
            elseif not given then
               given = args[i]
               if not given then fail(("%s needs a value: %s"):format(word, option.arg), command) end
               i = i + 1
            end
            store(out, option, given == true or value_of(option, given, command))
         end
      end
   end
   return out, rest
end

-- ==== Help ====

--- Text in lines of at most `width` bytes, each begun with `indent`.
---@return string[]
function options.wrap(text, width, indent)
   local lines, line = {}, nil
   for word in text:gmatch "%S+" do
      if line and #indent + #line + 1 + #word > width then
         lines[#lines + 1] = indent .. line
         line = nil
      end
      line = line and line .. " " .. word or word
   end
   if line then lines[#lines + 1] = indent .. line end
   return lines
end

--- Two columns: names on the left, wrapped text on the right.
---@param rows { [1]: string, [2]: string }[]
---@param width? integer
function options.columns(rows, width)
   local left = 0
   for _, row in ipairs(rows) do if #row[1] <= 28 then left = math.max(left, #row[1]) end end
   local indent = (" "):rep(left + 4)
   local out = {}
   for _, row in ipairs(rows) do
      local lines = options.wrap(row[2], width or 96, indent)
      local head = "  " .. row[1]
      if #head + 2 <= #indent then
         lines[1] = head .. (" "):rep(#indent - #head) .. (lines[1] or ""):sub(#indent + 1)
         lines[1] = lines[1]:gsub(" +$", "")
      else
         table.insert(lines, 1, head)
      end
      table.move(lines, 1, #lines, #out + 1, out)
   end
   return table.concat(out, "\n") .. "\n"
end

local function visible(list)
   local out = {}
   for _, option in ipairs(list) do if not option.hidden then out[#out + 1] = option end end
   return out
end

local function option_rows(list)
   local rows = {}
   for _, option in ipairs(visible(list)) do
      local name = (option.short and "-" .. option.short .. ", " or "") .. "--" .. option.name
      local help = option.help
      if option.choices then help = help .. ": " .. table.concat(option.choices, ", ") end
      if option.default then help = ("%s (%s)"):format(help, option.default) end
      rows[#rows + 1] = { option.arg and name .. " " .. option.arg or name, help }
   end
   return rows
end

--- The help of one command.
---@param command table
function options.help(command)
   local out = { "Usage: ftpipe " .. command.usage, "", command.summary .. "." }
   if command.details then
      out[#out + 1] = ""
      out[#out + 1] = command.details
   end
   out[#out + 1] = ""
   if #command.options > 0 then
      out[#out + 1] = "Options:"
      out[#out + 1] = options.columns(option_rows(command.options))
   end
   out[#out + 1] = "Every command:"
   out[#out + 1] = options.columns(option_rows(options.common))
   return table.concat(out, "\n")
end

return options
