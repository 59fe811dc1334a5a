--- Models and data sets of a hub: "hf:OWNER/NAME[@REVISION][/PATH]", with the variables and the cache of the Python client.
--
-- HUB/models--OWNER--NAME/ holds blobs/<etag>, snapshots/<commit>/<file> (links to blobs) and refs/<revision>. What is there
-- is used where it is; a revision means what it meant when it was fetched, until it is fetched again.

local net = require "ftpipe.core.net"
local fs = require "ftpipe.core.fs"
local sys = require "ftpipe.core.sys"
local json = require "ftpipe.core.json"
local cache = require "ftpipe.cache"
local checkpoint_files = require "ftpipe.checkpoint_files"
local failure = require "ftpipe.failure"
local patterns = require "ftpipe.reading.files"

local hub = {}

local function variable(name)
   local value = sys.getenv(name)
   return value and value ~= "" and value or nil
end

local function home() return variable "HF_HOME"
   or (variable "XDG_CACHE_HOME" or (variable "HOME" or ".") .. "/.cache") .. "/huggingface" end

--- The folder of the cache.
function hub.directory() return variable "HF_HUB_CACHE" or variable "HUGGINGFACE_HUB_CACHE" or home() .. "/hub" end

--- Where to ask.
function hub.endpoint() return (variable "HF_ENDPOINT" or "https://huggingface.co"):gsub("/+$", "") .. "" end

--- Whether the hub may not be asked.
function hub.offline()
   local value = (variable "HF_HUB_OFFLINE" or ""):upper()
   return value == "1" or value == "ON" or value == "YES" or value == "TRUE"
end

--- The token, or nil; never shown and sent to the endpoint's host alone.
function hub.token()
   local own = variable "HF_TOKEN" or variable "HUGGING_FACE_HUB_TOKEN"
   local text = own or fs.read(variable "HF_TOKEN_PATH" or home() .. "/token", 4096)
   text = text and text:match "^%s*(%S+)%s*$"
   return text
end

--- { type, id, revision, path, text } of a name; nil where the text is none.
---@param text string
---@param type string? "models" or "datasets", where the name does not say
function hub.parse(text, type)
   local rest = text:match "^hf:(.*)$"
   if not rest then return nil end
   local said = rest:match "^(datasets)/" or rest:match "^(models)/"
   if said then rest = rest:sub(#said + 2) end
   local id, tail = rest:match "^([%w%-_.]+/[%w%-_.]+)(.*)$"
   local revision, path
   if id then
      revision = tail:match "^@([%w%-_.]+)"
      path = (revision and tail:sub(#revision + 2) or tail):match "^/(.+)$"
      if not path and #tail > (revision and #revision + 1 or 0) and tail ~= "/" then id = nil end
   end
   if not id or id:find("..", 1, true) or (path and ("/" .. path .. "/"):find("/../", 1, true)) then
      failure.raise("usage", ("%s: a name on the hub is hf:OWNER/NAME, hf:OWNER/NAME@REVISION or hf:OWNER/NAME/PATH"):format(text))
   end
   return { type = said or type or "models", id = id, revision = revision or "main", path = path, text = text }
end

--- The folder of a repository in the cache.
function hub.repository(spec) return ("%s/%s--%s"):format(hub.directory(), spec.type, (spec.id:gsub("/", "--"))) end

--- Folders that hold a repository's files: its own, and where its blobs lie if they are a link to another disk. A link to a
-- folder above it is not followed.
---@param repository string
---@return string[]
function hub.folders(repository)
   local own, blobs = fs.real(repository), fs.real(repository .. "/blobs")
   if not own or not blobs or (own .. "/"):sub(1, #blobs + 1) == blobs .. "/" then return { repository } end
   if (blobs .. "/"):sub(1, #own + 1) == own .. "/" then return { repository } end
   return { repository, blobs }
end

--- Where unfinished files are: on the disk of the blobs that they become.
---@param repository string
function hub.partial(repository)
   local folders = hub.folders(repository)
   return folders[#folders] .. "/.partial"
end

local resolved = {}      -- what revisions mean for the rest of this process, whatever another one fetches meanwhile

local function name_of(spec) return ("%s/%s@%s"):format(spec.type, spec.id, spec.revision) end

--- The commit that a revision stands for here, or nil. The same one as long as this process lives, unless it fetches anew.
function hub.commit(spec)
   if #spec.revision == 40 and spec.revision:find "^%x+$" then return spec.revision end
   local known = resolved[name_of(spec)]
   if known then return known end
   local text = fs.read(("%s/refs/%s"):format(hub.repository(spec), spec.revision), 256)
   local commit = text and text:match "^%s*(%x+)%s*$"
   resolved[name_of(spec)] = commit
   return commit
end

--- What revisions mean, as words for another process ...
---@return string[]
function hub.resolved()
   local out = {}
   for name, commit in pairs(resolved) do out[#out + 1] = name .. "=" .. commit end
   table.sort(out)
   return out
end

--- ... and such a word taken over.
---@param word string
function hub.resolve(word)
   local name, commit = word:match "^(.+)=(%x+)$"
   if name then resolved[name] = commit end
end

-- ==== What the hub said of a commit ====

local function note_path(spec, commit)
   return ("%s/downloads/hub/%s/%s.json"):format(cache.directory(), (spec.type .. "/" .. spec.id):gsub("/", "--"), commit)
end

--- Note what a repository holds, so that it can be told later whether all that is needed is here.
---@param spec table from hub.parse
---@param listing { commit: string, licence: string?, gated: boolean, files: string[] }
function hub.note_listing(spec, listing)
   local path = note_path(spec, listing.commit)
   failure.try("system", fs.mkdirs(path:match "^(.*)/"))
   failure.try("system", fs.write(path, json.encode { licence = listing.licence, gated = listing.gated,
      files = json.array(listing.files) }))
end

--- { licence, gated, files } of what a name means here, or nil: another program may have fetched it.
---@param spec table from hub.parse
function hub.noted(spec)
   local commit = hub.commit(spec)
   local text = commit and fs.read(note_path(spec, commit))
   local note = text and json.decode(text)
   return type(note) == "table" and note or nil
end

-- ==== Which files are needed ====

local beside = { "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "vocab.json",
   "merges.txt", "added_tokens.json", "ftpipe.json" }
local splits = { train = true, valid = true, validation = true, dev = true, test = true }
local tables = { csv = true, tsv = true, jsonl = true, json = true, txt = true, conll = true }

local function set_of(names)
   local out = {}
   for _, name in ipairs(names) do out[name] = true end
   return out
end

--- The files that are needed of those that there are.
---@param spec table from hub.parse
---@param names string[]
---@param read fun(name: string): string? the text of an index of weights
---@return string[] names, boolean whole false: an index of weights cannot be read
function hub.needed(spec, names, read)
   local there, out = set_of(names), {}
   if spec.path then
      if there[spec.path] then return { spec.path }, true end
      local is_pattern = spec.path:find "[*?]" ~= nil
      for _, name in ipairs(names) do
         local below = name:sub(1, #spec.path + 1) == spec.path .. "/"
         if below or is_pattern and patterns.fits(spec.path, name) then out[#out + 1] = name end
      end
      return out, true
   end
   if spec.type == "models" then
      local weights, whole = checkpoint_files.weights(function(name) return there[name] end, read)
      if not there["config.json"] or #weights == 0 then return {}, true end
      for _, name in ipairs(beside) do if there[name] then out[#out + 1] = name end end
      return table.move(weights, 1, #weights, #out + 1, out), whole
   end
   for _, name in ipairs(names) do
      local split, ending = name:match "^([%w_%-]+)%.(%w+)$"
      if split and splits[split] and tables[ending] then out[#out + 1] = name end
   end
   return out, true
end

local function names_below(dir, prefix, out)
   for _, name in ipairs(fs.list(dir) or {}) do
      if fs.stat(dir .. "/" .. name) == "directory" then names_below(dir .. "/" .. name, prefix .. name .. "/", out)
      else out[#out + 1] = prefix .. name end
   end
   return out
end

--- The file or folder of a name as far as the cache has all of it, or nil.
---@param spec table from hub.parse
function hub.find(spec)
   local commit = hub.commit(spec)
   local dir = commit and ("%s/snapshots/%s"):format(hub.repository(spec), commit)
   if not dir or fs.stat(dir) ~= "directory" then return nil end
   local note = hub.noted(spec) or {}
   local names = type(note.files) == "table" and note.files or names_below(dir, "", {})
   local needed, whole = hub.needed(spec, names, function(name) return fs.read(dir .. "/" .. name, checkpoint_files.INDEX) end)
   if #needed == 0 or not whole then return nil end
   for _, name in ipairs(needed) do      -- a link may outlive its blob, an index have come before its parts
      if not fs.stat(dir .. "/" .. name) then return nil end
   end
   return spec.path and dir .. "/" .. spec.path or dir
end

-- ==== Addresses ====

--- The address of what a repository holds at a revision.
function hub.listing_url(spec) return ("%s/api/%s/%s/revision/%s"):format(hub.endpoint(), spec.type, spec.id, spec.revision) end

--- The address of a file of a commit.
function hub.file_url(spec, commit, name)
   local quoted = name:gsub("[^%w%-_.~/]", function(c) return ("%%%02X"):format(c:byte()) end)
   return ("%s/%s%s/resolve/%s/%s"):format(hub.endpoint(), spec.type == "datasets" and "datasets/" or "", spec.id, commit, quoted)
end

--- The name of a file's blob from the heads of the answer: the entity tag, without quotes and mark.
function hub.etag(state)
   local tag = (state.linked_etag or state.etag or ""):gsub("^W/", ""):gsub('"', "")
   return tag:find "^[%w%-]+$" and #tag <= 128 and tag or nil
end

--- Make a file of a snapshot a link to its blob.
function hub.link(spec, commit, name, etag)
   local dir = ("%s/snapshots/%s"):format(hub.repository(spec), commit)
   local path = dir .. "/" .. name
   failure.try("system", fs.mkdirs(path:match "^(.*)/"))
   local _, depth = name:gsub("/", "")
   failure.try("system", fs.symlink(("../"):rep(depth + 2) .. "blobs/" .. etag, path))
end

--- Note what a revision stands for.
function hub.note(spec, commit)
   if spec.revision == commit then return end
   resolved[name_of(spec)] = commit
   local path = ("%s/refs/%s"):format(hub.repository(spec), spec.revision)
   failure.try("system", fs.mkdirs(path:match "^(.*)/"))
   failure.try("system", fs.write(path, commit))
end

--- A listing as it was answered, or an error that names the repository.
function hub.read_listing(spec, text)
   local listing, message = net.listing(text)
   if not listing then failure.raise("network", ("%s: %s"):format(spec.text, message)) end
   return listing
end

return hub
