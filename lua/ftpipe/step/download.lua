--- ft.download: a file behind web addresses, as the `from` (or train, valid, test) of ft.read or the `from` of ft.extract.
--
-- Gives { path }. It is fetched before anything runs (ftpipe.fetching); its content counts, not its addresses.

local source = require "ftpipe.source"
local failure = require "ftpipe.failure"

local step = { kind = "download", version = 1, exact = true, seedless = true, stored = false, inputs = {}, sources = { "url" } }

step.params = {
   url = { required = true, help = "web address, or a list of mirrors that are tried in order" },
   sha256 = { type = "string", help = "64 hex digits that the file must have; nothing said: what came first" },
   max_bytes = { type = "integer", min = 1, help = "a larger file is refused" },
}

--- The addresses, the first with the digest that is wanted.
---@param params table
---@return string[]
function step.addresses(params)
   local list, out = type(params.url) == "table" and params.url or { params.url }, {}
   for i, url in ipairs(list) do
      if type(url) ~= "string" or not url:lower():find "^https?://" then
         failure.raise("usage", ("download: %s is no web address"):format(tostring(url)))
      end
      out[i] = params.sha256 and not url:find("#", 1, true) and url .. "#sha256=" .. params.sha256 or url
   end
   return out
end

-- What it is, not where it comes from, identifies the step.
function step.outside(params) return { url = source.archive(step.addresses(params)[1]), sha256 = false, max_bytes = false } end

function step.files(params) return { source.archive(step.addresses(params)[1]) } end

function step.run(_, _, params) return { path = source.archive(step.addresses(params)[1]) } end

return step
