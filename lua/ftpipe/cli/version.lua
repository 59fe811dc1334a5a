--- ftpipe version

local version = { summary = "Print the version", usage = "version", options = {} }

function version.run()
   require("ftpipe.core.sys").out(("ftpipe %s\n"):format(require("ftpipe.cli").facts.version))
end

return version
