--- ftpipe completions: what a shell needs to complete commands and options, made from the table that parses them.

local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"
local options = require "ftpipe.cli.options"

local command = {
   summary = "Print completions for a shell",
   usage = "completions bash | zsh | fish",
   details = [[
`make install` puts them where the shells look. By hand:
  bash   ftpipe completions bash > ~/.local/share/bash-completion/completions/ftpipe
  zsh    ftpipe completions zsh > DIR/_ftpipe, for a DIR of $fpath
  fish   ftpipe completions fish > ~/.config/fish/completions/ftpipe.fish]],
   options = {},
}

-- Commands with their visible options, in order: { name, summary, options }.
local function table_of()
   local cli = require "ftpipe.cli"
   local out = {}
   for _, row in ipairs(cli.commands()) do
      local list = {}
      for _, group in ipairs { cli.command(row[1]).options, options.common } do
         for _, option in ipairs(group) do if not option.hidden then list[#list + 1] = option end end
      end
      out[#out + 1] = { name = row[1], summary = row[2], options = list }
   end
   return out
end

-- Words that stand first after a command, where they are not file names.
local first_words = { cache = { "du", "gc", "verify" }, completions = { "bash", "fish", "zsh" } }
local takes_pipeline = { run = true, plan = true, why = true, graph = true, fetch = true, check = true, lua = true }

local function words_of(option)
   local out = { "--" .. option.name }
   if option.short then out[2] = "-" .. option.short end
   return out
end

local function all_words(c)
   local out = {}
   for _, option in ipairs(c.options) do table.move(words_of(option), 1, 2, #out + 1, out) end
   return out
end

local function names_of(commands)
   local out = {}
   for i, c in ipairs(commands) do out[i] = c.name end
   return out
end

local function first_of(c)
   if c.name == "help" then return names_of(table_of()) end
   return first_words[c.name]
end

-- Text between single quotes, for each shell's rules.
local function quoted(text, inside) return "'" .. text:gsub("'", inside or "'\\''") .. "'" end

local writers = {}

-- ==== bash ====

function writers.bash(commands)
   local out = {}
   local function line(...) out[#out + 1] = (...):format(select(2, ...)) end
   line "# bash completion of ftpipe; made by `ftpipe completions bash`"
   line "_ftpipe() {"
   line "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= place=0 i word"
   line "    for ((i = 1; i < COMP_CWORD; i++)); do"
   line "        word=${COMP_WORDS[i]}"
   line "        if [[ $word != -* ]]; then if [[ -z $command ]]; then command=$word place=$i; fi; fi"
   line "    done"
   line "    COMPREPLY=()"
   line "    if [[ -z $command ]]; then"
   line("        COMPREPLY=($(compgen -W %s -- \"$cur\")); return",
      quoted(table.concat(names_of(commands), " ") .. " --help --version"))
   line "    fi"
   line "    case $command,$prev in"
   for _, c in ipairs(commands) do
      for _, option in ipairs(c.options) do
         if option.choices then
            line("    %s,--%s) COMPREPLY=($(compgen -W %s -- \"$cur\")); return ;;", c.name, option.name,
               quoted(table.concat(option.choices, " ")))
         end
      end
   end
   line "    *,--out | *,--input | *,--output | *,--gold | *,--predictions) compopt -o default; return ;;"
   line "    esac"
   line "    if [[ $cur == -* ]]; then"
   line "        case $command in"
   for _, c in ipairs(commands) do
      line("        %s) COMPREPLY=($(compgen -W %s -- \"$cur\")) ;;", c.name, quoted(table.concat(all_words(c), " ")))
   end
   line "        esac"
   line "        return"
   line "    fi"
   line "    case $command,$((COMP_CWORD - place)) in"
   for _, c in ipairs(commands) do
      local first = first_of(c)
      if first then
         line("    %s,1) COMPREPLY=($(compgen -W %s -- \"$cur\")); return ;;", c.name, quoted(table.concat(first, " ")))
      end
      if takes_pipeline[c.name] then
         line("    %s,*) COMPREPLY=($(compgen -f -X '!*.lua' -- \"$cur\") $(compgen -d -- \"$cur\"))", c.name)
         line "        compopt -o filenames; return ;;"
      end
   end
   line "    esac"
   line "    compopt -o default"
   line "}"
   line "complete -F _ftpipe ftpipe"
   return out
end

-- ==== zsh ====

local function zsh_text(text) return (text:gsub("[%[%]:\\]", "\\%0"):gsub("'", "'\\''")) end

local function zsh_value(option)
   if not option.arg then return "" end
   local what = option.choices and "(" .. table.concat(option.choices, " ") .. ")"
      or (option.arg == "DIR" and "_files -/") or (option.arg == "FILE" and "_files") or " "
   return (option.optional and "::%s:%s" or ":%s:%s"):format(option.arg:gsub("[^%w]", " "), what)
end

local function zsh_option(option)
   local star = option.repeated and "*" or ""
   return ("'%s--%s%s[%s]%s'"):format(star, option.name, option.arg and (option.optional and "=-" or "=") or "",
      zsh_text(option.help), zsh_value(option))
end

function writers.zsh(commands)
   local out = { "#compdef ftpipe", "# made by `ftpipe completions zsh`", "_ftpipe() {", "    local -a commands", "    commands=(" }
   for _, c in ipairs(commands) do out[#out + 1] = ("        '%s:%s'"):format(c.name, zsh_text(c.summary)) end
   out[#out + 1] = "    )"
   out[#out + 1] = "    if (( CURRENT == 2 )); then _describe command commands; return; fi"
   out[#out + 1] = "    shift words; (( CURRENT-- ))"
   out[#out + 1] = "    case $words[1] in"
   for _, c in ipairs(commands) do
      local parts, first = {}, first_of(c)
      for _, option in ipairs(c.options) do parts[#parts + 1] = zsh_option(option) end
      if first then parts[#parts + 1] = ("'1: :(%s)'"):format(table.concat(first, " ")) end
      parts[#parts + 1] = takes_pipeline[c.name] and "'*:file:_files -g \"*.lua\"'" or "'*:file:_files'"
      out[#out + 1] = ("    %s) _arguments %s ;;"):format(c.name, table.concat(parts, " \\\n        "))
   end
   out[#out + 1] = "    esac"
   out[#out + 1] = "}"
   out[#out + 1] = "_ftpipe \"$@\""
   return out
end

-- ==== fish ====

function writers.fish(commands)
   local out = { "# fish completion of ftpipe; made by `ftpipe completions fish`" }
   local function fish(text) return quoted(text:gsub("\\", "\\\\"), "\\'") end
   for _, c in ipairs(commands) do
      out[#out + 1] = ("complete -c ftpipe -f -n __fish_use_subcommand -a %s -d %s"):format(c.name, fish(c.summary))
   end
   for _, c in ipairs(commands) do
      local here = ("complete -c ftpipe -n '__fish_seen_subcommand_from %s'"):format(c.name)
      for _, option in ipairs(c.options) do
         local value = option.choices and " -x -a " .. fish(table.concat(option.choices, " "))
            or option.arg and not option.optional and " -r" or ""
         out[#out + 1] = ("%s -l %s%s%s -d %s"):format(here, option.name, option.short and " -s " .. option.short or "", value,
            fish(option.help))
      end
      local first = first_of(c)
      if first then out[#out + 1] = ("%s -f -a %s"):format(here, fish(table.concat(first, " "))) end
   end
   return out
end

function command.run(_, positional)
   local shell = positional[1]
   if #positional ~= 1 or not writers[shell] then
      local near = shell and sys.nearest(shell, { "bash", "zsh", "fish" })
      failure.raise("usage", shell and ("there are no completions for '%s'%s"):format(shell,
         near and ("; did you mean '%s'?"):format(near) or "") or "completions needs a shell", "ftpipe " .. command.usage)
   end
   sys.out(table.concat(writers[shell](table_of()), "\n") .. "\n")
end

return command
