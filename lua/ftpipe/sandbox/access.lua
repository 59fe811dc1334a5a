--- Which files a pipeline may have read: those below the folder of its file, the store, what comes with ftpipe, and what the
-- command line names (values of --set, --allow). Paths are resolved beneath these: neither ".." nor a link leads out.
--
-- What somebody types is a grant for just that path. A folder of the hub's cache is one too, with the folder beside
-- it that its links lead to.

local confine = require "ftpipe.core.confine"
local fs = require "ftpipe.core.fs"
local cache = require "ftpipe.cache"
local failure = require "ftpipe.failure"
local files = require "ftpipe.reading.files"
local hub = require "ftpipe.hub"
local sandbox = require "ftpipe.sandbox"
local source = require "ftpipe.source"

local access = {}

---@class ftpipe.grants
---@field project string folder of the pipeline file, "." for the current one
---@field given string[] paths as they were typed
---@field cache string

--- The grants of a command.
---@param file string the pipeline file
---@param opts { set: { name: string, value: string }[]?, allow: string[]? }
---@return ftpipe.grants
function access.grants(file, opts)
   local given = {}
   local function add(text)
      local path = source.base(text)      -- of a member: its archive
      if path:find "^file:/" then path = source.path(path) end
      if path ~= "" then given[#given + 1] = (path:gsub("(.)/+$", "%1")) end
   end
   for _, path in ipairs(opts.allow or {}) do add(path) end
   for _, s in ipairs(opts.set or {}) do
      add(s.value)
      if s.value:find(",", 1, true) then
         for part in s.value:gmatch "[^,]+" do add(part) end
      end
   end
   return { project = file:match "^(.+)/[^/]*$" or file:find "^/" and "/" or ".", given = given, cache = cache.directory() }
end

local function absolute(path)
   if not path:find "^/" then path = fs.cwd() .. "/" .. path end
   return (path:gsub("/%./", "/"):gsub("/%.$", ""):gsub("//+", "/"))
end

-- What of a path lies below another; "" for itself, nil where it does not.
local function below(root, path)
   if path == root then return "" end
   local prefix = root == "/" and "/" or root .. "/"
   return path:sub(1, #prefix) == prefix and path:sub(#prefix + 1) or nil
end

-- The repository of a folder of the hub's cache, models--OWNER--NAME/snapshots/REVISION; nil for another folder.
local function repository_of(path) return (fs.real(path) or ""):match "^(.*/%w+%-%-[^/]+)/snapshots/[^/]+$" end

-- Whether a file of a repository lies where its links may lead to; and where it lies.
local function in_repository(repository, path)
   local real = fs.real(path)
   if not real then return false end
   for _, folder in ipairs(hub.folders(repository)) do
      if below(fs.real(folder) or folder, real) then return true, real end
   end
   return false, real
end

local function in_hub_cache(root, path)
   local repository = repository_of(root)
   return repository ~= nil and (in_repository(repository, path))
end

-- Whether a path may be read, or nil and why not.
local function look(grants, path)
   local reason = "it is outside the folder of the pipeline file"
   for _, root in ipairs(grants.given) do
      local rest = below(root, path)
      if rest == "" then return true end
      if rest and (confine.check(root, rest) or in_hub_cache(root, path)) then return true end
      if rest then reason = ("a link or \"..\" leads out of %s"):format(root) end
   end
   local full = absolute(path)
   for _, root in ipairs { grants.project, grants.cache } do
      local rest = below(absolute(root), full)
      if rest and fs.stat(root) == "directory" then
         if confine.check(root, rest) then return true end
         reason = ("a link or \"..\" leads out of %s"):format(root == "." and "the folder of the pipeline file" or root)
      end
   end
   for _, root in ipairs(grants.given) do      -- a pattern that was typed: its files
      if root:find "[*?]" then
         for _, file in ipairs(files.expand(root)) do if file == path then return true end end
      end
   end
   return nil, reason
end

local function refuse(step, path, reason)
   failure.raise("access", ("%s: step '%s' may not read %s: %s"):format(step.where, step.id, path, reason),
      ("to allow it: --allow %s"):format(path))
end

local function is_plain(name) return not name:find "^%a[%w+.-]+:" end

-- Paths that a step's parameters name, as far as they are plain paths; and where other names (builtin:...) lead.
local function sources_of(step)
   local plain, trusted, repositories = {}, {}, {}
   for _, name in ipairs(step.unit.sources or { "from" }) do
      local value = step.params[name]
      for _, text in ipairs(type(value) == "table" and value or { value }) do
         if type(text) == "string" and is_plain(text) then
            plain[#plain + 1] = text:match "^(.-)!/" or text
         elseif type(text) == "string" and text:find "^file:" then
            plain[#plain + 1] = source.path((source.base(text)))
         elseif type(text) == "string" then      -- ftpipe chose where that lies: what comes with it, and what was fetched
            local ok, path = pcall(source.path, text, source.hub_type(step))
            local on_hub = hub.parse(source.base(text), source.hub_type(step))
            if on_hub then repositories[#repositories + 1] = { text = text, dir = hub.repository(on_hub) } end
            if ok then trusted[#trusted + 1] = path:match "^([^*?]*)/[^/]*[*?]" or path end
         end
      end
   end
   return plain, trusted, repositories
end

-- All paths of files and folders that the steps of a plan read: visit(path, step, trusted, repositories), trusted where ftpipe
-- itself chose the place.
local function each(plan, visit)
   for _, step in ipairs(plan.steps) do
      if step.unit.files then
         local plain, trusted, repositories = sources_of(step)
         for _, path in ipairs(plain) do visit(path, step, false) end
         for _, path in ipairs(step.unit.files(step.params)) do
            local known = false
            for _, root in ipairs(trusted) do known = known or below(root, path) ~= nil end
            visit(path, step, known, repositories)
         end
      end
   end
end

-- Snapshots of a repository are links to its blobs.
local function add_repository(out, repository)
   for _, folder in ipairs(hub.folders(repository)) do out[#out + 1] = { folder, "r" } end
end

-- Where ftpipe itself chose the place of what a step names; the store, which is granted anyway, is left out.
local function add_chosen(out, step)
   for _, text in ipairs(source.texts(step)) do
      local base = source.base(text)
      local name = hub.parse(base, source.hub_type(step))
      if name then add_repository(out, hub.repository(name)) end
      if base:find "^builtin:" then
         local ok, path = pcall(source.path, base)
         if ok then out[#out + 1] = { path, "r" } end
      end
   end
end

--- Files and folders that hold all that the steps of a plan may read, for a process that gives up the rest: what access.check
-- grants. A link in one of them, whenever it was made, leads no further than these.
---@param plan ftpipe.plan
---@param file string the pipeline file
---@param opts table of the command
---@return { [1]: string, [2]: string }[] path and right (ftpipe.core.confine), "r" to read or "l" to list folders alone
function access.places(plan, file, opts)
   local grants = access.grants(file, opts)
   local out = { { grants.project, "r" } }
   for _, path in ipairs(grants.given) do
      if fs.stat(path) then
         out[#out + 1] = { path, "r" }
         local repository = repository_of(path)
         if repository then add_repository(out, repository) end
      elseif path:find "[*?]" then
         out[#out + 1] = { path:match "^([^*?]*)/" or path:find "^/" and "/" or ".", "l" }
         for _, found in ipairs(files.expand(path)) do out[#out + 1] = { found, "r" } end
      end
   end
   for _, step in ipairs(plan.steps) do
      if step.unit.files then add_chosen(out, step) end
   end
   return out
end

-- A file of the hub's cache whose link leads elsewhere: those who filled the cache did not make it so.
local function check_link(grants, path, step, repositories)
   for _, repository in ipairs(repositories or {}) do
      if below(repository.dir, path) then
         local inside, real = in_repository(repository.dir, path)
         if inside or not real or look(grants, real) then return end
         failure.raise("access", ("%s: step '%s' may not read %s of %s: in the hub's cache it is a link to %s"):format(step.where,
            step.id, path:match "[^/]*$", repository.text, real), ("to allow it: --allow %s"):format(real))
      end
   end
end

--- Raise "access" where a step of the plan would read what it may not.
---@param plan ftpipe.plan
---@param file string the pipeline file
---@param opts table of the command
function access.check(plan, file, opts)
   if not sandbox.on "access" then return end
   local grants, known = access.grants(file, opts), {}
   each(plan, function(path, step, trusted, repositories)
      if known[path] then return end
      if trusted then return check_link(grants, path, step, repositories) end
      local ok, reason = look(grants, path)
      if not ok then refuse(step, path, reason) end
      known[path] = true
   end)
end

return access
