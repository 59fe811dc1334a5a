--- Sharing rows out at random: by strata of the task, or by groups that must stay together.

local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"

local sharing = {}

-- Rows of equal value in a column that ft.read kept, in order of first occurrence.
local function groups_of(rows, column)
   local values = rows.kept and rows.kept[column]
   if not values then
      local names = {}
      for name in pairs(rows.kept or {}) do names[#names + 1] = name end
      local near = sys.nearest(column, names)
      failure.raise("usage", ("group = '%s': the rows do not have that column%s"):format(column,
         near and ("; did you mean '%s'?"):format(near) or ""),
         ("keep it when reading: ft.read { ..., keep = { \"%s\" } }"):format(column))
   end
   local by_value, units = {}, {}
   for i, value in ipairs(values) do
      if not by_value[value] then
         by_value[value] = {}
         units[#units + 1] = by_value[value]
      end
      table.insert(by_value[value], i)
   end
   return { { key = "group." .. column, units = units } }
end

-- Units in drawn order to the part that is furthest below its share. A part whose share is 0 gets none.
local function deal_groups(units, order, shares, parts, total)
   for _, k in ipairs(order) do
      local best, most = nil, -math.huge
      for _, s in ipairs(shares) do
         local lacking = s[2] * total - #parts[s[1]]
         if s[2] > 0 and lacking > most then best, most = s[1], lacking end
      end
      table.move(units[k], 1, #units[k], #parts[best] + 1, parts[best])
   end
end

-- Units in drawn order, part after part; the last one takes what is left.
local function deal(units, order, shares, parts)
   local all, at = 0, 1
   for _, unit in ipairs(units) do all = all + #unit end
   local due, given = 0, 0
   for i, s in ipairs(shares) do
      due = due + s[2] * all
      while at <= #units and (i == #shares or given < math.floor(due + 0.5)) do
         local unit = units[order[at]]
         table.move(unit, 1, #unit, #parts[s[1]] + 1, parts[s[1]])
         given, at = given + #unit, at + 1
      end
   end
end

--- Row numbers of each part, in order: { name = { numbers } }. shares: { { name, share }, ... }, together 1. Without a group
-- rows are shared out stratum by stratum (labels); with one, rows of equal value in that column stay together.
---@param task table
---@param rows table
---@param shares { [1]: string, [2]: number }[]
---@param seed integer
---@param site string name of this drawing
---@param group string?
function sharing.divide(task, rows, shares, seed, site, group)
   local parts, total = {}, 0
   for _, s in ipairs(shares) do parts[s[1]] = {} end
   for _, stratum in ipairs(group and groups_of(rows, group) or task.units(rows)) do
      for _, unit in ipairs(stratum.units) do total = total + #unit end
      local order = sys.shuffle(seed, site .. stratum.key, #stratum.units)
      if group then deal_groups(stratum.units, order, shares, parts, total) else deal(stratum.units, order, shares, parts) end
   end
   for _, index in pairs(parts) do table.sort(index) end
   return parts
end

return sharing
