--- ftpipe lua: run a Lua file with ftpipe's modules.
--
-- The script sees the embedded modules (require "ftpipe", "ftpipe.core.fs", ...), Lua files beside itself and below
-- the current directory, `arg`, and a `print` of its own; an undeclared global is an error, as everywhere.

local host = require "ftpipe.core.host"
local fs = require "ftpipe.core.fs"
local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"
local errors = require "ftpipe.cli.errors"

local lua = {
   summary = "Run a Lua file that uses ftpipe's modules",
   usage = "lua FILE [ARGUMENT]...",
   details = [[
`require "ftpipe"` gives the interface of pipeline files, and `require` also finds Lua files beside
FILE and below the current directory. Arguments are in the table `arg`. A whole number that the file
returns is the exit code; an error gives 1 and a traceback.]],
   options = {},
   stop_at_first = true,
}

local function print_out(...)
   local parts = table.pack(...)
   for i = 1, parts.n do parts[i] = tostring(parts[i]) end
   sys.out(table.concat(parts, "\t") .. "\n")
end

local function environment(arg)
   return setmetatable({ arg = arg, print = print_out }, {
      __index = _G,
      __newindex = function(_, name)
         error(("assignment to undeclared variable '%s' (use 'local')"):format(tostring(name)), 2)
      end,
   })
end

local function load_file(path, env)
   local text, message = fs.read(path)
   if not text then return nil, message end
   require("ftpipe.head").remember("@" .. path, text)
   return host.load(text:gsub("^#[^\n]*", ""), "@" .. path, env)
end

-- An entry of package.searchers for Lua files in `dirs`.
local function searcher(dirs, env)
   return function(name)
      local tried = {}
      for _, dir in ipairs(dirs) do
         for _, tail in ipairs { ".lua", "/init.lua" } do
            local path = dir .. name:gsub("%.", "/") .. tail
            if fs.stat(path) == "file" then
               local chunk, message = load_file(path, env)
               if not chunk then error(message, 0) end
               return chunk, path
            end
            tried[#tried + 1] = ("no file '%s'"):format(path)
         end
      end
      return table.concat(tried, "\n\t")
   end
end

-- The part of a traceback that is the script's own.
local function own_frames(traceback)
   local start = traceback:find "\n%s*%[C%]: in function 'xpcall'"
   return start and traceback:sub(1, start - 1) or traceback
end

local function on_error(e)
   if failure.is(e) then
      e.traceback = e.traceback or host.traceback(nil, 2)
      return e
   end
   return { ftpipe = "script", message = type(e) == "string" and e or ("error value: %s"):format(tostring(e)),
      traceback = host.traceback(nil, 2) }
end

function lua.run(opts, positional)
   local path = positional[1]
   if not path then failure.raise("usage", "lua needs a file", "ftpipe " .. lua.usage) end
   require("ftpipe.sandbox").enter "own"
   local arg = table.move(positional, 1, #positional, 0, {})
   local env = environment(arg)
   local chunk, message = load_file(path, env)
   if not chunk then failure.raise("usage", message) end
   package.searchers[#package.searchers + 1] = searcher({ path:match "^(.*/)" or "", "" }, env)
   local ok, result = xpcall(chunk, on_error, table.unpack(arg))
   if ok then return math.tointeger(result) or 0 end
   if result.ftpipe == "script" or opts.debug then sys.err(own_frames(result.traceback):gsub("^\n+", "") .. "\n") end
   result.traceback = nil
   errors.show(result)
   return result.ftpipe == "interrupted" and 130 or 1
end

return lua
