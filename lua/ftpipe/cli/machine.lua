--- Options about the machine that several commands share, and their application.

local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"

local machine = {}

---@type ftpipe.option[]
machine.options = {
   { name = "threads", arg = "N", type = "integer", min = 1, max = 1024, help = "threads to compute with",
      default = "one for each processor" },
   { name = "memory", arg = "SIZE", type = "size", default = "none",
      help = "ceiling on memory, for instance 8G; what would go above it fails" },
   { name = "blas", arg = "NAME", choices = { "auto", "openblas", "onednn" },
      help = "library of matrix products", default = "auto" },
}

--- A command's own options and these.
---@param own ftpipe.option[]
---@return ftpipe.option[]
function machine.with(own)
   local all = table.move(own, 1, #own, 1, {})
   return table.move(machine.options, 1, #machine.options, #all + 1, all)
end

--- What a run notes about the machine.
function machine.facts()
   local cpu = (require("ftpipe.core.fs").read "/proc/cpuinfo" or ""):match "model name%s*:%s*([^\n]*)"
   return { processor = cpu, threads = sys.threads(), isa = (sys.isa()) }
end

--- Make them so.
---@param opts table
function machine.apply(opts)
   if opts.threads then sys.threads(opts.threads) end
   if opts.memory then sys.memory_limit(opts.memory) end
   if opts.blas then
      local product, message = sys.product(opts.blas)
      if not product then failure.raise("usage", message, "`ftpipe doctor` tells what this machine has") end
      if opts.blas ~= "auto" then require("ftpipe.cache.engine").chosen() end
   end
end

return machine
