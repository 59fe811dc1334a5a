-- tests/bench/transfer_table.lua OUT.jsonl - means and standard deviations over seeds, as a table. Folds of a seed are one
-- score: the mean over all its folds.
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"

local cells, order = {}, {}
for line in assert(fs.read(arg[1])):gmatch "[^\n]+" do
   local r = json.decode(line)
   local name = r.cell:gsub(", fold %d+", ", 5 folds")
   if not cells[name] then
      cells[name] = {}
      order[#order + 1] = name
   end
   local seeds = cells[name][r.what] or {}
   cells[name][r.what] = seeds
   local s = seeds[r.seed] or { sum = 0, n = 0, seconds = 0 }
   seeds[r.seed] = s
   s.sum, s.n, s.seconds = s.sum + r.score, s.n + 1, s.seconds + r.seconds
end

local function shown(seeds)
   if not seeds then return "", 0 end
   local list, seconds = {}, 0
   for _, s in pairs(seeds) do
      list[#list + 1] = s.sum / s.n
      seconds = seconds + s.seconds / s.n
   end
   local mean, spread = 0, 0
   for _, x in ipairs(list) do mean = mean + x / #list end
   for _, x in ipairs(list) do spread = spread + (x - mean) ^ 2 end
   local text = #list > 1 and ("%.1f ± %.1f"):format(mean, math.sqrt(spread / (#list - 1))) or ("%.1f"):format(mean)
   return text, seconds / #list
end

sys.out("| | two stages | s | from scratch | s | bag of words |\n|---|---|---|---|---|---|\n")
for _, name in ipairs(order) do
   local two, two_s = shown(cells[name].two)
   local scratch, scratch_s = shown(cells[name].scratch)
   sys.out(("| %s | %s | %.0f | %s | %.0f | %s |\n"):format(name, two, two_s, scratch, scratch_s, (shown(cells[name].words))))
end
