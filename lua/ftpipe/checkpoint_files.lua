--- Which files hold the weights of a published encoder: one file, or parts that an index names; safetensors before pickles, in the
-- order in which runtime/tensor/checkpoint_index.c looks for them.

local json = require "ftpipe.core.json"

local checkpoint_files = {}

--- Bytes that an index may have.
checkpoint_files.INDEX = 32 << 20

--- The parts that an index names, in order; nil where the text is no index.
---@param text string?
---@return string[]|nil
function checkpoint_files.parts(text)
   local index = text and json.decode(text)
   local map = type(index) == "table" and index.weight_map
   if type(map) ~= "table" then return nil end
   local out, seen = {}, {}
   for _, name in pairs(map) do
      -- a part lies beside its index, whatever that says
      if type(name) ~= "string" or name:find "[/\\%z]" or name == "" or name == "." or name == ".." then return nil end
      if not seen[name] then
         seen[name] = true
         out[#out + 1] = name
      end
   end
   table.sort(out)
   return #out > 0 and out or nil
end

--- The files with weights: a whole file, or an index and the parts that it names (the index alone where it cannot be read).
---@param is_there fun(name: string): boolean
---@param read fun(name: string): string? the text of an index
---@return string[] names, boolean whole false: the index cannot be read
function checkpoint_files.weights(is_there, read)
   for _, name in ipairs { "model.safetensors", "pytorch_model.bin" } do
      if is_there(name) then return { name }, true end
      local index = name .. ".index.json"
      if is_there(index) then
         local parts = checkpoint_files.parts(read(index))
         return { index, table.unpack(parts or {}) }, parts ~= nil
      end
   end
   return {}, true
end

return checkpoint_files
