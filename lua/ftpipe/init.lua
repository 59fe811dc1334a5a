--- require "ftpipe": the interface of pipeline files and of scripts run by `ftpipe lua`.

local pipeline = require "ftpipe.pipeline"
local sys = require "ftpipe.core.sys"

local ft = pipeline.interface()
ft.tensor = require "ftpipe.core.tensor"
ft.model = require "ftpipe.model"
ft.gradcheck = require("ftpipe.gradcheck").check
ft.score = require("ftpipe.scoring").score

-- A misspelt name is told at once, with the nearest there is.
return setmetatable(ft, { __index = function(_, key)
   local names = {}
   for name in pairs(ft) do names[#names + 1] = name end
   local near = type(key) == "string" and sys.nearest(key, names)
   error(("ft.%s does not exist%s"):format(tostring(key), near and ("; did you mean ft.%s?"):format(near) or ""), 2)
end })
