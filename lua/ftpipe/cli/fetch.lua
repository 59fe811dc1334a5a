--- ftpipe fetch: get everything that a pipeline file needs from elsewhere, for a run without a network later.

local sys = require "ftpipe.core.sys"
local plan = require "ftpipe.cli.plan"

local fetch = {
   summary = "Get the data and models that a pipeline file needs from elsewhere",
   usage = "fetch FILE [--set NAME=VALUE]... [--update] [--rate BYTES] [--json]",
   details = [[
Web addresses and models or data sets of a hub that are not here yet are fetched, verified and kept;
`ftpipe run` does the same by itself. An interrupted fetch goes on when the same command is typed again.]],
   options = { plan.evaluation[1], plan.evaluation[2], plan.evaluation[3], plan.evaluation[4], plan.network[1],
      { name = "update", help = "fetch anew what may have changed: addresses without sha256, revisions of a hub" },
      { name = "rate", arg = "BYTES", type = "size", help = "most bytes a second (200K, 5M)" },
      { name = "json", help = "one JSON object for each thing from elsewhere, with `path` or `problem`" },
   },
}

local function size_of(path)
   local kind, size = require("ftpipe.core.fs").stat(path)
   return kind == "directory" and require("ftpipe.cache").size_of(path) or size
end

local function size_text(bytes)
   return bytes < 100e3 and ("%d bytes"):format(bytes) or ("%.1f MB"):format(bytes / 1e6)
end

-- What is known of one thing that comes from elsewhere.
local function facts_of(spec)
   return { name = spec.text, path = spec.path, problem = spec.problem, bytes = spec.size or spec.path and size_of(spec.path),
      licence = spec.licence or require("ftpipe.fetching").licence(spec),
      commit = spec.hub and spec.path and require("ftpipe.hub").commit(spec.hub) or nil }
end

--- A line for each thing that a plan names and that comes from elsewhere.
---@param wanted table[] from ftpipe.fetching
function fetch.lines(wanted)
   local out = {}
   for i, spec in ipairs(wanted) do
      local f = facts_of(spec)
      local parts = { f.path and "here" or f.problem and "not here: " .. f.problem or "to be fetched" }
      if f.bytes then parts[#parts + 1] = size_text(f.bytes) end
      if f.licence then parts[#parts + 1] = "licence " .. f.licence end
      if f.commit then parts[#parts + 1] = "commit " .. f.commit:sub(1, 12) end
      out[i] = ("  %s: %s"):format(f.name, table.concat(parts, ", "))
   end
   return out
end

-- One object for each thing, where something failed too: the failed one tells the problem.
local function tell_as_json(wanted)
   for _, spec in ipairs(wanted or {}) do sys.out(require("ftpipe.core.json").encode(facts_of(spec)) .. "\n") end
end

function fetch.run(opts, positional)
   local progress <close> = require("ftpipe.progress").new { quiet = opts.quiet }
   opts.fetch = { offline = opts.offline, update = opts.update, rate = opts.rate, progress = progress }
   local _ <close> = opts.json and setmetatable({}, { __close = function() tell_as_json(opts.fetch.wanted) end }) or nil
   plan.evaluate("fetch", opts, positional)
   progress:finish()
   if opts.json or opts.quiet then return end
   local lines = fetch.lines(opts.fetch.wanted)
   sys.out(#lines == 0 and "nothing comes from elsewhere\n" or table.concat(lines, "\n") .. "\n")
end

return fetch
