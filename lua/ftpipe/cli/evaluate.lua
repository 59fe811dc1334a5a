--- ftpipe evaluate: what a process does that was started to evaluate a pipeline file (ftpipe.sandbox.child); not for people.

return { summary = "Evaluate a pipeline file for another ftpipe", usage = "evaluate", options = {}, hidden = true,
   run = function() require("ftpipe.sandbox.child").serve() end }
