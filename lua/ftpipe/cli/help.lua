--- ftpipe help: the overview, one command, or the parameters of a pipeline file.

local sys = require "ftpipe.core.sys"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local failure = require "ftpipe.failure"
local options = require "ftpipe.cli.options"

local help = {
   summary = "Explain a command, or the parameters of a pipeline file",
   usage = "help [COMMAND | FILE]",
   options = {},
}

--- What `ftpipe help` prints.
---@return string
function help.overview()
   local cli = require "ftpipe.cli"
   return table.concat {
      "ftpipe fine-tunes BERT-family encoders on CPUs, as a pipeline file in Lua describes.\n\n",
      "Usage: ftpipe [--lua DIR] COMMAND [options] ...\n\n",
      options.columns(cli.commands()), "\n",
      "`ftpipe help COMMAND` explains one of them, `ftpipe help FILE` the parameters of a pipeline file.\n",
      "--lua DIR (or FTPIPE_LUA=DIR) takes the program's own Lua files from DIR.\n\n",
      "Data goes to standard output, messages to standard error.\n",
      "Exit codes: 0 done, 1 a step failed, 2 usage or bad input, 3 locked by another process, or a\n",
      "pipeline wants to read where it may not, 4 the network failed, 130 interrupted (the same command goes on).\n",
   }
end

local function value_text(value)
   if value == nil then return nil end
   if type(value) ~= "table" then return tostring(value) end
   local parts = {}
   for i, item in ipairs(value) do parts[i] = type(item) == "table" and json.encode(item) or tostring(item) end
   return table.concat(parts, ",")
end

local function limits(p)
   if p.choices then
      local names = {}
      for i, choice in ipairs(p.choices) do names[i] = tostring(choice) end
      return "one of " .. table.concat(names, ", ")
   end
   if p.min and p.max then return ("%s to %s"):format(p.min, p.max) end
   return p.min and ("at least %s"):format(p.min) or p.max and ("at most %s"):format(p.max) or nil
end

local function parameter_row(p)
   local notes = { limits(p) }
   if p.required then notes[#notes + 1] = "required" end
   local default = value_text(p.default)
   if default and default ~= "" then notes[#notes + 1] = "default " .. default end
   local text = p.help or ""
   if #notes > 0 then text = ("%s%s(%s)"):format(text, text ~= "" and " " or "", table.concat(notes, "; ")) end
   return { ("%s (%s)"):format(p.name, p.type), text }
end

--- Parameters of a pipeline file as text.
---@param file string
function help.parameters(file)
   local found = require("ftpipe.sandbox.child").parameters(file)
   local out = { ("%s%s\n\n"):format(file, found.summary and found.summary ~= "" and ": " .. found.summary or "") }
   if #found.params == 0 then
      out[2] = "It declares no parameters.\n"
   else
      local rows = {}
      for i, p in ipairs(found.params) do rows[i] = parameter_row(p) end
      out[2] = "Parameters, set by --set NAME=VALUE:\n" .. options.columns(rows)
   end
   return table.concat(out) .. ("\nTo run it: ftpipe run %s [--set NAME=VALUE]...\n"):format(file)
end

function help.run(_, positional)
   if #positional > 1 then
      failure.raise("usage", "help takes one command or file", "ftpipe " .. help.usage)
   end
   local word = positional[1]
   if not word then
      sys.out(help.overview())
      return
   end
   local cli = require "ftpipe.cli"
   local command = cli.command(word)
   if command then
      sys.out(options.help(command))
   elseif word:find "%.lua$" or fs.stat(word) == "file" then
      sys.out(help.parameters(word))
   else
      cli.unknown(word)
   end
end

return help
