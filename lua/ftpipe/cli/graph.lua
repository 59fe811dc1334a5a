--- ftpipe graph: the steps of a pipeline and what flows between them, as a drawing program reads it.

local sys = require "ftpipe.core.sys"
local json = require "ftpipe.core.json"
local plan_of = require "ftpipe.plan"
local plan = require "ftpipe.cli.plan"

local graph = {
   summary = "Print the steps of a pipeline file as a graph",
   usage = "graph FILE [--set NAME=VALUE]... [--format dot|mermaid|text]",
   options = { plan.evaluation[1], plan.evaluation[2], plan.evaluation[3], plan.evaluation[4],
      { name = "format", arg = "NAME", choices = { "text", "dot", "mermaid" }, default = "text",
         help = "text, or the language of Graphviz or Mermaid" },
      { name = "json", help = "steps and edges as JSON" },
   },
}

local function quote(text) return '"' .. text:gsub('[\\"]', "\\%0") .. '"' end

-- Each edge once: from, to, the name of the input.
local function edges(plan_, visit)
   for _, step in ipairs(plan_.steps) do
      local seen = {}
      for _, from in ipairs(plan_of.inputs_of(step)) do
         if not seen[from] then visit(from, step.id) end
         seen[from] = true
      end
   end
end

local writers = {}

function writers.dot(p)
   local out = { ("digraph %s {"):format(quote(p.name)), "  rankdir=LR; node [shape=box];" }
   for _, s in ipairs(p.steps) do
      out[#out + 1] = ("  %s [label=%s];"):format(quote(s.id), quote(s.id == s.kind and s.id or s.id .. " (" .. s.kind .. ")"))
   end
   edges(p, function(a, b) out[#out + 1] = ("  %s -> %s;"):format(quote(a), quote(b)) end)
   out[#out + 1] = "}"
   return out
end

function writers.mermaid(p)
   local out, number = { "flowchart LR" }, {}
   for i, s in ipairs(p.steps) do
      number[s.id] = "s" .. i
      out[#out + 1] = ("  s%d[%s]"):format(i, '"' .. s.id:gsub('"', "#quot;") .. '"')
   end
   edges(p, function(a, b) out[#out + 1] = ("  %s --> %s"):format(number[a], number[b]) end)
   return out
end

function writers.text(p)
   local out, wide = {}, 0
   for _, s in ipairs(p.steps) do wide = math.max(wide, #s.id) end
   for _, s in ipairs(p.steps) do
      local from, seen = {}, {}
      for _, id in ipairs(plan_of.inputs_of(s)) do
         if not seen[id] then from[#from + 1] = id end
         seen[id] = true
      end
      out[#out + 1] = (s.id .. (" "):rep(wide - #s.id) .. (#from > 0 and "  <- " .. table.concat(from, ", ") or "")):gsub(" +$", "")
   end
   return out
end

function graph.run(opts, positional)
   local p = plan.evaluate("graph", opts, positional)
   if opts.json then
      local data = { name = p.name, steps = json.array {}, edges = json.array {} }
      for i, s in ipairs(p.steps) do data.steps[i] = { id = s.id, kind = s.kind, where = s.where } end
      edges(p, function(a, b) data.edges[#data.edges + 1] = json.array { a, b } end)
      sys.out(json.encode(data) .. "\n")
   else
      sys.out(table.concat(writers[opts.format or "text"](p), "\n") .. "\n")
   end
end

return graph
