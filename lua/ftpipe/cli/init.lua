--- The command line: finds the command, reads its options, turns errors into messages and exit codes.
--
-- A command is a file beside this one, { summary, usage, details?, options, run = function(opts, positional) }, whose
-- run gives the exit code (nil: 0). Commands load their modules inside run, so that `ftpipe help` needs none of them.

local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"
local options = require "ftpipe.cli.options"
local errors = require "ftpipe.cli.errors"

local cli = {}

local names = { "run", "new", "plan", "why", "graph", "runs", "show", "compare", "cache", "check", "fetch", "predict",
   "score", "lua", "doctor", "bench", "completions", "definitions", "help", "version" }

--- A command by name, or nil where there is none.
---@param name string
---@return table|nil
function cli.command(name)
   for _, known in ipairs { "evaluate", table.unpack(names) } do
      if known == name then
         local module = "ftpipe.cli." .. name
         local found, command = pcall(require, module)
         if found then return command end
         if not tostring(command):find(("module '%s' not found"):format(module), 1, true) then error(command, 0) end
      end
   end
end

--- Name and summary of all commands.
---@return { [1]: string, [2]: string }[]
function cli.commands()
   local rows = {}
   for _, name in ipairs(names) do
      local command = cli.command(name)
      if command then rows[#rows + 1] = { name, command.summary } end
   end
   return rows
end

--- Raise "usage" for a word that is no command.
---@param word string
function cli.unknown(word)
   local known = {}
   for i, row in ipairs(cli.commands()) do known[i] = row[1] end
   local near = sys.nearest(word, known)
   local hint = near and ("did you mean `ftpipe %s`?"):format(near) or "`ftpipe help` lists the commands"
   if word:find "%.lua$" then hint = ("to run a pipeline file: ftpipe run %s"):format(word) end
   failure.raise("usage", ("there is no command '%s'"):format(word), hint)
end

-- "name=value" lines about the program, from runtime/cli.
local function read_facts(text)
   local facts = {}
   for name, value in text:gmatch "([%w_]+)=([^\n]*)\n" do facts[name] = value end
   return facts
end

-- The word that names the command, what comes before it, and what comes after.
local function split(args)
   local before = {}
   for i, word in ipairs(args) do
      if not word:find "^%-." then return word, before, table.move(args, i + 1, #args, 1, {}) end
      before[#before + 1] = word
   end
   return nil, before, {}
end

local version_option = { name = "version", help = "the version" }

-- FTPIPE_ISA chooses among the kernels of several instruction sets, for tests.
local function check_instruction_set()
   local wanted = sys.getenv "FTPIPE_ISA"
   if not wanted or wanted == "" then return end
   local used, all = sys.isa()
   if used ~= wanted then
      require("ftpipe.failure").raise("usage", ("FTPIPE_ISA=%s is none of what this processor has kernels for: %s"):format(wanted,
         table.concat(all, ", ")))
   end
end

local function dispatch(args, state)
   check_instruction_set()
   local word, before, after = split(args)
   local global = options.parse({ version_option }, before)
   state.debug = global.debug
   if global.version then word = "version" end
   if global.help then
      after = { word }
      word = "help"
   end
   if not word then
      sys.err(require("ftpipe.cli.help").overview())
      return 2
   end
   local command = cli.command(word)
   if not command then cli.unknown(word) end
   for _, w in ipairs(after) do
      if w == "--" then break end
      state.debug = state.debug or w == "--debug"      -- also where reading the options fails
   end
   local opts, positional = options.parse(command.options, after, word, command.stop_at_first)
   opts.quiet, opts.debug = opts.quiet or global.quiet, opts.debug or global.debug
   state.debug = opts.debug
   if opts.help then
      sys.out(options.help(command))
      return 0
   end
   return command.run(opts, positional) or 0
end

--- Entry point. The first argument holds facts about the program, the others are the user's.
---@param args string[]
---@return integer exit code
function cli.main(args)
   cli.facts = read_facts(args[1] or "")
   if cli.facts.lua_dir then errors.own_sources(cli.facts.lua_dir) end
   cli.arguments = table.move(args, 2, #args, 1, {})
   local state = {}
   local ok, result = xpcall(dispatch, errors.capture, cli.arguments, state)
   if ok then return result end
   if type(result) ~= "table" then result = errors.capture(result) end      -- where memory ran out no handler is called
   errors.show(result, state.debug)
   return errors.code(result)
end

--- The command line as it was typed, quoted for a shell.
---@return string
function cli.typed()
   local words = { "ftpipe" }
   for _, word in ipairs(cli.arguments) do
      words[#words + 1] = word:find "^[%w%-_./=,:+@%%]+$" and word or "'" .. word:gsub("'", "'\\''") .. "'"
   end
   return table.concat(words, " ")
end

return cli
