--- ftpipe definitions: the interface of pipeline files for editors (LuaCATS), made from the declarations that check it.

local sys = require "ftpipe.core.sys"
local json = require "ftpipe.core.json"

local command = {
   summary = "Print the interface of pipeline files for editors (LuaCATS)",
   usage = "definitions [--settings]",
   details = [[
Editors with the Lua language server then complete steps and their options, and tell misspelt ones.
`ftpipe new` writes both files beside a new pipeline: .ftpipe/ftpipe.lua and .luarc.json.]],
   options = { { name = "settings", help = "print .luarc.json instead, which tells the editor where the definitions are" } },
}

local types = { number = "number", integer = "integer", boolean = "boolean", string = "string", list = "table",
   ["function"] = "function", globs = "string|string[]", head = "table|string" }

local function sorted(t)
   local keys = {}
   for k in pairs(t) do keys[#keys + 1] = k end
   table.sort(keys)
   return keys
end

local function type_of(spec)
   local list = {}
   for i, choice in ipairs(spec.choices or {}) do
      list[i] = type(choice) == "string" and ("%q"):format(choice) or tostring(choice)
   end
   local text = #list > 0 and table.concat(list, "|") or types[spec.type] or "any"
   if spec.default == "auto" and not spec.choices then text = text .. '|"auto"' end
   return text
end

local function note_of(spec)
   local parts = {}
   if spec.help then parts[1] = spec.help end
   local default = type(spec.default) ~= "table" and spec.default
   if default ~= nil and default ~= false or spec.default == false then parts[#parts + 1] = "default " .. tostring(default) end
   if spec.min or spec.max then parts[#parts + 1] = ("%s to %s"):format(spec.min or "-inf", spec.max or "inf") end
   return table.concat(parts, "; ")
end

-- The constructor of a step kind.
local function kind_text(unit, out)
   out[#out + 1] = ("---@class ftpipe.args.%s"):format(unit.kind)
   out[#out + 1] = "---@field name? string of the step; its kind unless said"
   for _, name in ipairs(sorted(unit.inputs)) do
      local how = unit.inputs[name]
      local needed = how == "optional" and "?" or ""
      local what = how == "list" and "table<any, ftpipe.handle>" or "ftpipe.handle"
      if not unit.params[name] then out[#out + 1] = ("---@field %s%s %s"):format(name, needed, what) end
   end
   for _, name in ipairs(sorted(unit.params)) do
      local spec = unit.params[name]
      local also = unit.inputs[name] and "|ftpipe.handle" or ""
      out[#out + 1] = (("---@field %s%s %s%s %s"):format(name, spec.required and "" or "?", type_of(spec), also, note_of(spec))
         :gsub(" +$", ""))
   end
   out[#out + 1] = ""
   out[#out + 1] = ("---@param args ftpipe.args.%s\n---@return ftpipe.handle\nfunction ft.%s(args) end\n"):format(unit.kind,
      unit.kind)
end

local HEAD = [[
---@meta ftpipe
-- The interface of ftpipe's pipeline files; made by `ftpipe definitions`.

---@class ftpipe.handle a step, to be wired into other steps

---@class ftpipe.param
---@field default? any
---@field type? "number"|"integer"|"boolean"|"string"|"list"|"path"|"map"
---@field min? number
---@field max? number
---@field choices? any[]
---@field required? boolean
---@field help? string

---@class ftpipe.pipeline
---@field name string
---@field api? integer
---@field seed? integer
---@field model? ftpipe.handle what `model/` holds
---@field report? ftpipe.handle
---@field outputs? table<string, ftpipe.handle>
---@field weights? "f32"|"f16"|"bf16" how `model/` stores its numbers

---@class ftpipe
---@field nn table layers, functions, optimisers
---@field tensor table
---@field model table
local ft = {}

--- Declare parameters, which the command line sets (--set NAME=VALUE); gives their values.
---@param specs table<string, ftpipe.param|any>
---@return table<string, any>
function ft.params(specs) end

--- The pipeline itself; a file ends with `return ft.pipeline { ... }`.
---@param t ftpipe.pipeline
function ft.pipeline(t) end

--- A step of one's own; call the result with its input steps.
---@param t { name: string, version: integer?, run: fun(ctx: table, ...: any): any }
---@return fun(...: ftpipe.handle): ftpipe.handle
function ft.step(t) end

--- A head of one's own.
---@param t { name: string, build: fun(c: table): table, forward: fun(self: table, h: any, batch: table): any }
function ft.head(t) end
]]

--- The definitions as text.
function command.text()
   local kinds, out = require "ftpipe.step", { HEAD }
   for _, kind in ipairs(sorted(kinds)) do kind_text(kinds[kind], out) end
   out[#out + 1] = "return ft\n"
   return table.concat(out, "\n")
end

--- .luarc.json for a folder whose definitions lie in .ftpipe/.
function command.settings()
   return json.encode { ["runtime.version"] = "Lua 5.4", ["workspace.library"] = json.array { ".ftpipe" },
      ["diagnostics.globals"] = json.array {} } .. "\n"
end

function command.run(opts) sys.out(opts.settings and command.settings() or command.text()) end

return command
