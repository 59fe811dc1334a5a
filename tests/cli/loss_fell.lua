-- tests/cli/loss_fell.lua METRICS.json BY - whether the held-out loss is that much lower than before training.

local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"

local m = json.decode(assert(fs.read(arg[1])))
local fell = m.history[1].valid_loss - m.loss
if fell ~= fell or fell < tonumber(arg[2]) then error(("the loss fell by %g only"):format(fell), 0) end
