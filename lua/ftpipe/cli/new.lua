--- ftpipe new: a commented pipeline file to start from.

local fs = require "ftpipe.core.fs"
local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"
local host = require "ftpipe.core.host"

local templates = {
   sentiment = "classify rows in two stages: product reviews as positive or negative",
   multilabel = "any number of labels for each text",
   qa = "answer questions from paragraphs",
   ner = "find names of persons, places and the like",
   similarity = "a number for a text or a pair of texts",
   attention = "a head and a loss of one's own",
   own_loop = "a training loop of one's own",
   pretrain = "an encoder from scratch on unlabelled text",
   adapt = "adapt an encoder to one's own unlabelled text, then fine-tune it",
   distill = "a small encoder from a large one",
}

local names = {}
for name in pairs(templates) do names[#names + 1] = name end
table.sort(names)

local function listing()
   local lines = { "Pipelines to start from:" }
   for _, name in ipairs(names) do lines[#lines + 1] = ("  %-10s %s"):format(name, templates[name]) end
   return table.concat(lines, "\n")
end

local new = {
   summary = "Write a commented pipeline file to start from",
   usage = "new NAME [DIR]",
   details = listing() .. "\n\nThe file is DIR/NAME.lua (DIR: the current folder); a file that is there already is left alone.\n"
      .. "Editors get .luarc.json and .ftpipe/ftpipe.lua beside it.",
   options = {},
}

-- What an editor needs to complete pipeline files; settings that are there already stay.
local function editor_files(dir)
   local definitions = require "ftpipe.cli.definitions"
   failure.try("system", fs.mkdirs(dir .. "/.ftpipe"))
   failure.try("system", fs.write(dir .. "/.ftpipe/ftpipe.lua", definitions.text()))
   if not fs.stat(dir .. "/.luarc.json") then failure.try("system", fs.write(dir .. "/.luarc.json", definitions.settings())) end
end

function new.run(_, positional)
   local name, dir = positional[1], positional[2] or "."
   if not name then failure.raise("usage", "new needs a name", listing()) end
   if positional[3] then failure.raise("usage", ("new takes a name and a folder, not '%s'"):format(positional[3])) end
   if not templates[name] then
      local near = sys.nearest(name, names)
      failure.raise("usage", ("there is no pipeline '%s'%s"):format(name, near and ("; did you mean '%s'?"):format(near) or ""),
         listing())
   end
   local path = ("%s/%s.lua"):format((dir:gsub("(.)/$", "%1")), name)
   if fs.stat(path) then failure.raise("usage", ("%s exists already"):format(path), "choose another folder") end
   failure.try("system", fs.mkdirs(dir))
   local text = failure.try("system", host.pipeline(name))
   failure.try("system", fs.write(path, text))
   editor_files(dir)
   local shown = path:gsub("^%./", "")
   sys.out(shown .. "\n")
   sys.err(("to try it: ftpipe run %s --set ...; its parameters: ftpipe help %s\n"):format(shown, shown))
end

return new
