--- ft.extract: an archive, or one member of it, as the `from` (or train, valid, test) of ft.read. Gives { path }.

local source = require "ftpipe.source"
local failure = require "ftpipe.failure"
local unpacking = require "ftpipe.unpacking"

local step = { kind = "extract", version = 1, exact = true, seedless = true, stored = false, fetches = true,
   inputs = { from = "optional" }, sources = { "from" } }

step.params = {
   from = { type = "string", help = "archive: file or web address; or an ft.download" },
   member = { type = "string", help = "a file or folder in it; nothing said: all" },
   max_bytes = { type = "integer", min = 1, help = "of what comes out of it; 64 GiB if nothing is said" },
   max_entries = { type = "integer", min = 1, help = "a million if nothing is said" },
   max_depth = { type = "integer", min = 1, help = "folders in folders; 32 if nothing is said" },
   encoding = { type = "string", help = "of names that are not UTF-8: CP437, ISO-8859-1, ..." },
}

function step.outside(params) return { from = params.from and source.archive(params.from) } end

function step.files(params) return params.from and { source.archive(params.from) } or {} end

function step.run(_, inputs, params)
   local archive = inputs.from and inputs.from.path or params.from and source.archive(params.from)
   if not archive then failure.raise("usage", "extract: from is missing: an archive, or an ft.download") end
   return { path = unpacking.member(archive, params.member, { bytes = params.max_bytes, entries = params.max_entries,
      depth = params.max_depth, encoding = params.encoding }) }
end

return step
