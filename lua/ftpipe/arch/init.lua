--- Architectures by the model_type of config.json. A new one adds its file and one line here.
--
-- A unit: model_types, class (how transformers' classes begin), prefix (of the encoder's weights in checkpoints of a task),
-- dimensions, build, forward, weights, ignored, aliases; pool where the encoder has a pooler of its own. What differs in
-- published heads is data: `classifier` (a head with a dense layer instead of the pooler) and `masked_lm` name their weights.

local sys = require "ftpipe.core.sys"

local arch = {}
local units = { require "ftpipe.arch.bert", require "ftpipe.arch.distilbert", require "ftpipe.arch.electra",
   require "ftpipe.arch.roberta" }

---@return table unit
function arch.find(model_type)
   local known = {}
   for _, unit in ipairs(units) do
      for _, name in ipairs(unit.model_types) do
         if name == model_type then return unit end
         known[#known + 1] = name
      end
   end
   local near = sys.nearest(tostring(model_type), known)
   error(("config.json: model_type '%s' is not supported%s; supported: %s"):format(tostring(model_type),
      near and (" (did you mean '%s'?)"):format(near) or "", table.concat(known, ", ")), 0)
end

return arch
