--- Architectures by the model_type of config.json. A new one adds its file and one line here.

local arch = {}
local units = { require "ftpipe.arch.bert" }

---@return table unit
function arch.find(model_type)
   local known = {}
   for _, unit in ipairs(units) do
      for _, name in ipairs(unit.model_types) do
         if name == model_type then return unit end
         known[#known + 1] = name
      end
   end
   error(("config.json: model_type '%s' is not supported; supported: %s"):format(tostring(model_type),
      table.concat(known, ", ")), 0)
end

return arch
