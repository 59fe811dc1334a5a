--- ftpipe doctor: what this program and this machine are, and what may hold them back.

local sys = require "ftpipe.core.sys"
local fs = require "ftpipe.core.fs"

local doctor = {
   summary = "Describe the program and the machine, and measure its speed",
   usage = "doctor [--json]",
   details = [[
Prints the version and its libraries, the processor and the kernels chosen for it, the libraries of
matrix products with their measured speed, threads and memory. Lines that begin with "!" deserve
attention. The exit code is 0 unless no library of matrix products works.]],
   options = {
      { name = "threads", arg = "N", type = "integer", min = 1, max = 1024, help = "threads to measure with",
         default = "one for each processor" },
      { name = "json", help = "as one JSON object: lists of lines by name, and notes" },
   },
}

local kernels = { base = "every processor of this kind", v3 = "AVX2 and FMA", v4 = "AVX-512",
   v4bf16 = "AVX-512 with bf16", v4amx = "AVX-512 with bf16 and matrix instructions (AMX)" }
local shapes = {
   { "nt", 1024, 1536, 384 }, { "nt", 1024, 384, 1536 }, { "nn", 1024, 384, 1536 }, { "tn", 1536, 384, 1024 },
}
local SECONDS = 0.15      -- of measuring each shape

-- ==== Reading the system's tables ====

local function field(text, name) return text and text:match("\n" .. name .. "%s*:%s*([^\n]*)") end

local function number_in(path)
   local text = fs.read(path)
   return text and tonumber(text:match "^%s*(%d+)")
end

local function gib(bytes) return ("%.1f GiB"):format(bytes / 2 ^ 30) end

--- Processors that the system lends to this process, where a control group sets a quota.
local function processor_quota()
   local quota, period = (fs.read "/sys/fs/cgroup/cpu.max" or ""):match "^(%d+) (%d+)"
   return quota and tonumber(quota) / tonumber(period)
end

-- ==== Sections ====

local function program(page)
   local f = require("ftpipe.cli").facts
   page:line("ftpipe", f.version or "?")
   page:line("built with", ("%s, OpenMP %s"):format(f.compiler or "?", f.openmp or "?"))
   page:line("libraries", ("Lua %s, jansson %s, utf8proc %s, %s"):format(f.lua or "?", f.jansson or "?",
      f.utf8proc or "?", f.libcrypto or "?"))
   local patch = tonumber((f.lua or ""):match "^5%.4%.(%d+)")
   if patch and patch < 8 then
      page:note(("Lua 5.4.%d lacks corrections that 5.4.8 has; run only pipeline files that you trust"):format(patch))
   end
   if f.lua_dir then page:note("the program's Lua files come from " .. f.lua_dir) end
end

local function processor(page)
   local info = fs.read "/proc/cpuinfo"
   info = info and "\n" .. info
   page:line("processor", field(info, "model name") or field(info, "Model") or field(info, "CPU part") or "unknown")
   local chosen, all = sys.isa()
   page:line("kernels", ("%s (%s); this processor has: %s"):format(chosen, kernels[chosen] or chosen,
      table.concat(all, ", ")))
   if all[#all] == "base" and field(info, "flags") then
      page:note "the processor has no AVX2: training will be several times slower than on one that has"
   end
end

local function threads(page)
   local n, quota = sys.threads(), processor_quota()
   page:line("threads", n .. (quota and ("; processor time is limited to %.3g processors"):format(quota) or ""))
   if quota and n > quota + 0.01 then
      page:note(("more threads than processors are granted: try --threads %d"):format(math.max(1, math.floor(quota))))
   end
end

local function memory(page)
   local info = fs.read "/proc/meminfo"
   info = info and "\n" .. info
   local total = (field(info, "MemTotal") or ""):match "%d+"
   local free = (field(info, "MemAvailable") or ""):match "%d+"
   local limit = number_in "/sys/fs/cgroup/memory.max"
   page:line("memory", ("%s, %s available%s"):format(total and gib(total * 1024) or "?", free and gib(free * 1024) or "?",
      limit and ("; limited to " .. gib(limit)) or ""))
end

-- What holds a pipeline's Lua back on this kernel.
local function confinement(page)
   local facts, sandbox = require("ftpipe.core.confine").facts(), require "ftpipe.sandbox"
   page:line("sandbox", ("Landlock %s, seccomp %s"):format(facts.landlock and "version " .. facts.landlock or "missing",
      facts.seccomp and "there" or "missing"))
   local missing = sandbox.missing()
   if missing then page:note(missing) end
end

-- The best of several tries, in 10^9 operations a second.
local function speed(shape, precision)
   local best, spent = math.huge, 0
   sys.product_time(shape[1], shape[2], shape[3], shape[4], 1, precision)
   while spent < SECONDS do
      local seconds = sys.product_time(shape[1], shape[2], shape[3], shape[4], 1, precision)
      best, spent = math.min(best, seconds), spent + seconds
   end
   return 2 * shape[2] * shape[3] * shape[4] / best / 1e9
end

local function measure(page)
   local bf16, why = sys.bf16()
   for _, shape in ipairs(shapes) do
      page:line("", ("%s %5d x %4d x %4d  %7.1f GFLOP/s%s"):format(shape[1], shape[2], shape[3], shape[4], speed(shape, "f32"),
         bf16 and (" in f32, %7.1f in bf16"):format(speed(shape, "bf16")) or ""))
   end
   if not bf16 then page:line("", why) end
end

local function products(page)
   for _, name in ipairs { "openblas", "onednn" } do
      local p, message = sys.product(name)
      if p then
         page:line(name, ("%s, kernel %s; its results are right"):format(p.version, p.kernel))
         measure(page)
      else
         page:line(name, "not used: " .. message)
      end
   end
   local p, message = sys.product "auto"
   if p then
      page:line("products by", p.name)
   else
      page:note("no library of matrix products works: " .. message)
   end
   local core = sys.getenv "OPENBLAS_CORETYPE"
   if core and core ~= "" then
      page:note(("OPENBLAS_CORETYPE=%s forces OpenBLAS's kernel; without it OpenBLAS chooses one itself"):format(core))
   end
   return p ~= nil
end

local function printed()
   local page = {}
   function page:line(name, text) sys.out(("%-12s %s\n"):format(name, text)) end
   function page:note(text) sys.out("! " .. text .. "\n") end
   function page.finish() end
   return page
end

-- Lines without a name belong to the one before.
local function gathered()
   local json = require "ftpipe.core.json"
   local page, facts, last = {}, { notes = json.array {} }, nil
   function page:line(name, text)
      last = name ~= "" and name or last
      facts[last] = facts[last] or json.array {}
      table.insert(facts[last], text)
   end
   function page:note(text) table.insert(facts.notes, text) end
   function page.finish() sys.out(json.encode(facts) .. "\n") end
   return page
end

function doctor.run(opts)
   local page = opts.json and gathered() or printed()
   if opts.threads then sys.threads(opts.threads) end
   program(page)
   processor(page)
   threads(page)
   memory(page)
   confinement(page)
   local works = products(page)
   page.finish()
   return works and 0 or 1
end

return doctor
