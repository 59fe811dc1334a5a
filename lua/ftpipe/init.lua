--- require "ftpipe": the interface of pipeline files and of scripts run by `ftpipe lua`.

local pipeline = require "ftpipe.pipeline"

local ft = pipeline.interface()
ft.tensor = require "ftpipe.core.tensor"
ft.model = require "ftpipe.model"
ft.gradcheck = require("ftpipe.gradcheck").check
ft.score = require("ftpipe.scoring").score

return ft
