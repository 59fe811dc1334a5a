--- Getting what a plan names and is not here: web addresses and repositories of a hub, several at once, with progress.

local net = require "ftpipe.core.net"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"
local cache = require "ftpipe.cache"
local checkpoint_files = require "ftpipe.checkpoint_files"
local failure = require "ftpipe.failure"
local hub = require "ftpipe.hub"
local remote = require "ftpipe.remote"
local source = require "ftpipe.source"

local fetching = {}

local KB, MB = 1000, 1000000
local OFFLINE = "fetch it where there is a network (`ftpipe fetch FILE`), or leave --offline out"

--- Whether nothing may be asked of the network.
---@param opts { offline: boolean? }
function fetching.offline(opts) return opts.offline or (sys.getenv "FTPIPE_OFFLINE" or "") ~= "" end

--- What a plan names that comes from elsewhere: { { text, step, remote or hub, path } }, path nil where it is not here.
---@param plan ftpipe.plan
function fetching.wanted(plan)
   local out, seen = {}, {}
   for _, step in ipairs(plan.steps) do
      for _, text in ipairs(source.texts(step)) do
         local base = source.base(text)
         local spec = { text = base, step = step, type = source.hub_type(step) }
         spec.remote, spec.hub = remote.parse(base), hub.parse(base, spec.type)
         spec.mirrors = step.unit.addresses and step.unit.addresses(step.params) or { base }
         spec.most = step.params.max_bytes
         if (spec.remote or spec.hub) and not seen[base .. spec.type] then
            seen[base .. spec.type] = true
            spec.path = spec.remote and remote.find(spec.remote) or spec.hub and hub.find(spec.hub)
            out[#out + 1] = spec
         end
      end
   end
   return out
end

-- ==== Running a set of downloads ====

local function fail(item, state)
   item.problem = state.error
   failure.raise(state.disk and "system" or "network", ("%s: %s"):format(item.text, state.error),
      not state.disk and "the same command goes on where it stopped" or nil)
end

-- How far all are together, once anything came. Sizes that were told beforehand count until the answer tells; where one is not
-- known, the sum is not. Gives whether the stage has begun.
local function show(progress, set, items, begun)
   local size, total, before = 0, 0, 0
   for _, item in ipairs(items) do
      local s = set:state(item.number)
      local whole = s.total or item.size
      size, total = size + (s.size or 0), total and whole and total + whole
      before = before + (s.size or 0) - (s.fetched or 0)
   end
   if not begun and size == before then return false end
   if not begun then progress:stage("fetching", nil, "kB", before // KB) end
   progress:expect(total and total // KB)
   progress:update { step = size // KB }
   return true
end

-- Let them run to their end; the first that fails ends all.
local function await(set, items, opts)
   local begun = false
   repeat
      local running = failure.try("network", set:step(100))
      if sys.interrupted() > 0 then
         failure.raise("interrupted", "stopped while fetching", "type the same command again to go on")
      end
      for _, item in ipairs(items) do
         local state = set:state(item.number)
         if state.done and state.error then fail(item, state) end
         if state.note and state.note ~= item.note and opts.progress and not state.done then
            opts.progress:line(("%s: trying again: %s"):format(item.text, state.note))
            item.note = state.note
         end
      end
      if opts.show and opts.progress then begun = show(opts.progress, set, items, begun) end
   until running == 0
end

local function new_set(opts)
   return failure.try("network", net.downloads { rate = opts.rate, parallel = 4 })
end

local function add(set, item, what)
   item.number = failure.try("network", set:add(what))
end

-- ==== Addresses ====

local function add_address(set, spec, opts)
   local url, note = spec.remote.url, remote.known(spec.remote.url)
   if opts.update and not spec.remote.sha256 then note = nil end
   spec.expected = spec.remote.sha256 or note and note.sha256
   local urls = { url }
   for i = 2, #spec.mirrors do urls[i] = remote.parse(spec.mirrors[i]).url end
   add(set, spec, { urls = urls, most = spec.most, sha256 = spec.expected,
      partial = remote.directory() .. "/partial", store = remote.store() })
end

local function settle_address(set, spec)
   local state = set:state(spec.number)
   if not spec.remote.sha256 then remote.note(spec.remote.url, state.sha256, state.size) end
   spec.path, spec.size, spec.sha256 = state.path, state.size, state.sha256
end

-- ==== Repositories ====

local function ask(opts, requests)
   local set <close> = new_set(opts)
   for _, item in ipairs(requests) do add(set, item, item.what) end
   await(set, requests, { progress = opts.progress })
   local out = {}
   for i, item in ipairs(requests) do out[i] = set:state(item.number) end
   return out
end

-- The same headers for all requests to the hub.
local function asked(what, url)
   what.urls, what.token, what.token_url = { url }, hub.token(), hub.endpoint()
   return what
end

--- What a repository holds: { commit, licence, gated, files }.
function fetching.listing(spec, opts)
   if hub.offline() or fetching.offline(opts) then
      failure.raise("network", ("%s is not here, and the network may not be asked"):format(spec.text), OFFLINE)
   end
   local what = asked({ take = "text", most = 32 * MB }, hub.listing_url(spec.hub))
   local answers = ask(opts, { { text = spec.text, what = what } })
   return hub.read_listing(spec.hub, answers[1].text or "")
end

--- The licence that the hub stated when it was fetched, or nil.
function fetching.licence(spec)
   local note = spec.hub and hub.noted(spec.hub)
   return note and note.licence or nil
end

-- The text of a file of a repository, into memory.
local function text_of(spec, listing, name, opts)
   local what = asked({ take = "text", most = checkpoint_files.INDEX }, hub.file_url(spec.hub, listing.commit, name))
   return ask(opts, { { text = spec.text .. " " .. name, what = what } })[1].text
end

-- The files that are needed; an index of weights tells which parts are.
local function needed(spec, listing, opts)
   local names, whole = hub.needed(spec.hub, listing.files, function(name) return text_of(spec, listing, name, opts) end)
   if #names == 0 then
      failure.raise("data", ("%s: there is %s in it"):format(spec.text, spec.hub.path and "no " .. spec.hub.path
         or spec.hub.type == "models" and "no config.json with model.safetensors or pytorch_model.bin"
         or "no train.csv (or .tsv, .jsonl, .json, .txt)"))
   end
   if not whole then failure.raise("data", ("%s: %s is no index of weights"):format(spec.text, names[#names])) end
   return names
end

--- What came from where, for a run to note: { name, step, commit or sha256, licence } of each.
---@param wanted table[] from fetching.ensure
function fetching.origins(wanted)
   local out = json.array {}
   for i, spec in ipairs(wanted) do
      local note = spec.remote and not spec.remote.sha256 and remote.known(spec.remote.url)
      out[i] = { name = spec.text, step = spec.step.id, commit = spec.hub and hub.commit(spec.hub),
         sha256 = spec.remote and (spec.remote.sha256 or note and note.sha256) or nil,
         licence = spec.licence or fetching.licence(spec) }
   end
   return out
end

-- Names, entity tags and sizes of the files that are needed.
local function heads(spec, listing, opts)
   local names, requests = needed(spec, listing, opts), {}
   for i, name in ipairs(names) do
      requests[i] = { text = spec.text .. " " .. name, name = name,
         what = asked({ take = "head" }, hub.file_url(spec.hub, listing.commit, name)) }
   end
   local answers, out = ask(opts, requests), {}
   for i, name in ipairs(names) do
      local etag = hub.etag(answers[i])
      if not etag then failure.raise("network", ("%s: the hub names no version of %s"):format(spec.text, name)) end
      out[i] = { name = name, etag = etag, size = answers[i].linked_size or answers[i].length, text = spec.text .. " " .. name }
   end
   return out
end

local function fetch_repository(spec, opts)
   local listing = fetching.listing(spec, opts)
   local repository, missing = hub.repository(spec.hub), {}
   local files = heads(spec, listing, opts)
   for _, file in ipairs(files) do
      file.blob = ("%s/blobs/%s"):format(repository, file.etag)
      if not fs.stat(file.blob) then missing[#missing + 1] = file end
   end
   failure.try("system", fs.mkdirs(repository .. "/blobs"))
   local set <close> = new_set(opts)
   for _, file in ipairs(missing) do
      add(set, file, asked({ path = file.blob, partial = hub.partial(repository),
         sha256 = #file.etag == 64 and file.etag or nil, git_blob = #file.etag == 40 and file.etag or nil },
         hub.file_url(spec.hub, listing.commit, file.name)))
   end
   await(set, missing, { progress = opts.progress, show = true })
   for _, file in ipairs(files) do hub.link(spec.hub, listing.commit, file.name, file.etag) end
   hub.note(spec.hub, listing.commit)
   hub.note_listing(spec.hub, listing)
   spec.path, spec.licence = hub.find(spec.hub), listing.licence
end

-- ==== All ====

-- Fetch files behind addresses, all at once. What came before one failed is noted like all else.
local function fetch_addresses(addresses, opts)
   cache.open():begin()      -- nobody shall clean meanwhile
   sys.catch_interrupts()
   local set <close> = new_set(opts)
   for _, spec in ipairs(addresses) do add_address(set, spec, opts) end
   local ok, e = pcall(await, set, addresses, { progress = opts.progress, show = true })
   for _, spec in ipairs(addresses) do
      local state = set:state(spec.number)
      if state.done and not state.error then settle_address(set, spec) end
   end
   if not ok then error(e, 0) end
end

-- A failure of one thing is noted with it.
local function try(spec, f, ...)
   local ok, e = pcall(f, ...)
   if ok then return end
   spec.problem = spec.problem or tostring(e)
   error(e, 0)
end

--- Fetch what a plan names and is not here. opts: offline, progress, rate (bytes a second), update (also what is here, where
-- its digest or commit is not part of its name); gets `wanted`, what the plan names, where something fails too: with `problem`
-- where it is not here because of that.
---@param plan ftpipe.plan
---@return table[] what it names, with where it is
function fetching.ensure(plan, opts)
   local wanted, addresses = fetching.wanted(plan), {}
   opts.wanted = wanted
   local offline = fetching.offline(opts)
   for _, spec in ipairs(wanted) do
      local missing = not spec.path or opts.update
      if missing and offline then
         try(spec, failure.raise, "network", ("%s is not here, and --offline was given"):format(spec.text), OFFLINE)
      end
      if missing and spec.remote then addresses[#addresses + 1] = spec end
   end
   if #addresses > 0 then fetch_addresses(addresses, opts) end
   for _, spec in ipairs(wanted) do
      if spec.hub and (not spec.path or opts.update) then try(spec, fetch_repository, spec, opts) end
   end
   source.forget()
   if opts.progress then opts.progress:finish() end
   return wanted
end

--- Sizes and licences of what is not here, as far as the servers tell: sets spec.size and spec.licence.
---@param wanted table[] from fetching.wanted
function fetching.ask_sizes(wanted, opts)
   if fetching.offline(opts) then return end
   for _, spec in ipairs(wanted) do
      if not spec.path and not (spec.hub and hub.offline()) then
         local quick = { rate = nil, progress = nil }
         local ok, failed = pcall(function()
            if spec.hub then
               local listing = fetching.listing(spec, quick)
               spec.licence, spec.size = listing.licence, 0
               for _, file in ipairs(heads(spec, listing, quick)) do spec.size = spec.size + (file.size or 0) end
            else
               local answer = ask(quick, { { text = spec.text, what = { take = "head", urls = { spec.remote.url } } } })[1]
               spec.size = answer.linked_size or answer.length
            end
         end)
         if not ok then spec.problem = tostring(failed) end
      end
   end
end

return fetching
