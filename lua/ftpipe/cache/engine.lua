--- What computes here (product library, its kernels, instruction set), without loading it where that is not needed.
--
-- Loading a BLAS costs milliseconds and memory and starts threads, which a run that has nothing to compute shall not pay.
-- What was found last time holds as long as nothing changed that could lead to another choice: this program, the
-- processor, the libraries the dynamic loader knows, and the variables that steer it. Before anything is computed the
-- library is loaded and the memory corrected.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"

local engine = {}
local loaded      -- the fingerprint, once the library is there
local by_name     -- the library was asked for by name, which says nothing about the next run

-- Raised when kernels give other bits than before: artifacts of an older one are not taken for the same.
local REVISION = 3

local variables = { "LD_LIBRARY_PATH", "LD_PRELOAD", "OPENBLAS_CORETYPE", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA",
   "OPENBLAS_NUM_THREADS", "ONEDNN_DEFAULT_FPMATH_MODE" }
local described = { vendor_id = true, ["cpu family"] = true, model = true, ["model name"] = true, stepping = true, flags = true,
   Features = true, ["CPU part"] = true }

local function processor()
   local out = {}
   for line in (fs.read "/proc/cpuinfo" or ""):gmatch "[^\n]*" do
      if line == "" and #out > 0 then break end
      if described[line:match "^(.-)%s*:" or ""] then out[#out + 1] = line end
   end
   return table.concat(out, "\n")
end

local function circumstances()
   local about = { program = fs.status "/proc/self/exe", loader = fs.status "/etc/ld.so.cache", processor = processor(),
      isa = (sys.isa()), variables = {} }
   for _, name in ipairs(variables) do about.variables[name] = sys.getenv(name) end
   return fs.sha256(json.encode(about))
end

--- Load the library; what really computes.
---@return string
function engine.load()
   if not loaded then
      local p = failure.try("system", sys.product())
      loaded = ("%s %s (%s), kernels %s/%d"):format(p.name, p.version, p.kernel, (sys.isa()), REVISION)
   end
   return loaded
end

--- The library was chosen by name and is loaded: nothing is remembered of it.
function engine.chosen()
   by_name = true
   engine.load()
end

--- What computes, as far as can be known without loading it; the second value says whether it was loaded.
---@param dir string the store's
---@return string fingerprint, boolean certain
function engine.current(dir)
   if loaded then return loaded, true end
   local now, known = circumstances(), nil
   for line in (fs.read(dir .. "/engines") or ""):gmatch "[^\n]+" do
      local about, fingerprint = line:match "^(%x+) (.+)$"
      if about == now then known = fingerprint end
   end
   if known then return known, false end
   engine.remember(dir)
   return loaded, true
end

--- Note what was found for next time.
function engine.remember(dir)
   engine.load()
   if by_name then return end
   fs.mkdirs(dir)
   local log = fs.append(dir .. "/engines")
   if not log then return end
   log:write(("%s %s\n"):format(circumstances(), loaded))
   log:close()
end

return engine
