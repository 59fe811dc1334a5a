--- What `auto` means: hyperparameters by size of the encoder and number of training rows.
--
-- Sources: above 10,000 rows and base size the GLUE recipe; small encoders the grid of Turc et al. 2019
-- (arXiv 1908.08962); base size with little data Zhang et al. 2021 (2006.05987) and Tomihari & Sato 2024
-- (2405.16747). "Base" begins at 60 million parameters.

local defaults = {}

local BASE = 60e6

local function column(rows) return rows <= 1000 and 1 or rows <= 10000 and 2 or 3 end

-- { learning rate, epochs, batch } for up to 1k, 1k to 10k, and more rows
local tune = {
   small = { { 1e-4, 10, 16 }, { 1e-4, 5, 16 }, { 5e-5, 3, 32 } },
   base = { { 1e-5, 10, 16 }, { 2e-5, 5, 16 }, { 2e-5, 3, 32 } },
}
-- the same for entities: more, smaller steps, because only some words carry one
local tune_entities = {
   small = { { 2e-4, 20, 8 }, { 1e-4, 10, 16 }, { 1e-4, 5, 32 } },
   base = { { 3e-5, 15, 8 }, { 3e-5, 8, 16 }, { 3e-5, 4, 32 } },
}
local head = { { 1e-3, 20, 32 }, { 1e-3, 10, 32 }, { 1e-3, 3, 32 } }

--- Values of `auto` for a training step.
---@param parameters integer of the encoder
---@param rows integer of the training split
---@param frozen boolean whether the encoder is frozen (stage one)
---@param task string?
function defaults.finetune(parameters, rows, frozen, task)
   local grid = task == "named_entities" and tune_entities or tune
   local row = (frozen and head or grid[parameters >= BASE and "base" or "small"])[column(rows)]
   return { lr = row[1], epochs = row[2], batch = row[3] }
end

return defaults
