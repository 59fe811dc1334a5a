--- ftpipe cache: the store of what steps left.

local sys = require "ftpipe.core.sys"
local json = require "ftpipe.core.json"
local failure = require "ftpipe.failure"

local command = {
   summary = "Look after the stored results of steps: size, cleaning, checking",
   usage = "cache du | gc | verify [options]",
   details = [[
du tells how much there is, gc removes what was not used for a while (nothing that an unfinished
run would go on with), verify reads everything and removes what is damaged. What was fetched from
web addresses and unpacked is part of the store; the hub's cache is not. The store is
$FTPIPE_CACHE, else ftpipe below $XDG_CACHE_HOME or ~/.cache.]],
   options = {
      { name = "days", arg = "N", type = "number", min = 0, default = "30", help = "gc: remove what was not used for so long" },
      { name = "keep", arg = "SIZE", type = "size", help = "gc: also remove the least recently used until this is left" },
      { name = "json", help = "as one JSON object" },
   },
}

local function size(bytes)
   for _, unit in ipairs { "B", "KiB", "MiB", "GiB" } do
      if bytes < 1024 or unit == "GiB" then return (unit == "B" and "%d %s" or "%.1f %s"):format(bytes, unit) end
      bytes = bytes / 1024
   end
end

local actions = {}

function actions.du(care, store, opts)
   local all = care.usage(store)
   if opts.json then return sys.out(json.encode(all) .. "\n") end
   local rows, kinds = { { "kind", "entries", "size" } }, {}
   for kind in pairs(all.kinds) do kinds[#kinds + 1] = kind end
   table.sort(kinds, function(a, b) return all.kinds[a].bytes > all.kinds[b].bytes end)
   for _, kind in ipairs(kinds) do
      rows[#rows + 1] = { kind, tostring(all.kinds[kind].entries), size(all.kinds[kind].bytes) }
   end
   rows[#rows + 1] = { "all", tostring(all.entries), size(all.bytes) }
   sys.out(all.dir .. "\n" .. require("ftpipe.cli.runs").columns(rows))
end

function actions.gc(care, store, opts)
   local done = care.clean(store, { days = opts.days or 30, keep = opts.keep, now = sys.date() })
   if opts.json then return sys.out(json.encode(done) .. "\n") end
   sys.out(("removed %d entries, %s; left: %s\n"):format(done.entries, size(done.bytes), size(done.left)))
end

function actions.verify(care, store, opts)
   local n, damaged = care.verify(store)
   if opts.json then
      sys.out(json.encode { entries = n, damaged = json.array(damaged) } .. "\n")
   else
      for _, key in ipairs(damaged) do sys.out(("damaged, removed: %s\n"):format(key)) end
      sys.out(("%d entries, %d damaged\n"):format(n, #damaged))
   end
   return #damaged > 0 and 1 or 0
end

function command.run(opts, positional)
   local name = positional[1]
   if #positional ~= 1 or not actions[name] then
      local near = name and sys.nearest(name, { "du", "gc", "verify" })
      failure.raise("usage", name and ("cache has no action '%s'%s"):format(name, near and ("; did you mean '%s'?"):format(near)
         or "") or "cache needs an action", "ftpipe " .. command.usage)
   end
   return actions[name](require "ftpipe.cache.care", require("ftpipe.cache").open(), opts)
end

return command
