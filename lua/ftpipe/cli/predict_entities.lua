--- ftpipe predict with a model that finds entities.

local sys = require "ftpipe.core.sys"
local predict = require "ftpipe.predict_entities"

local command = {}

-- The text with its entities marked, then each of them.
local function shown(p)
   local lines, longest = { predict.marked(p) }, 5
   for _, e in ipairs(p.entities) do longest = math.max(longest, utf8.len(e.label) or #e.label) end
   for _, e in ipairs(p.entities) do
      lines[#lines + 1] = ("  %s%s  %.3f  %-9s  %s"):format(e.label, (" "):rep(longest - (utf8.len(e.label) or #e.label)), e.score,
         ("%d-%d"):format(e.start, e.stop), (e.text:gsub("%c", " ")))
   end
   return table.concat(lines, "\n") .. "\n"
end

---@param model ftpipe.model
---@param opts table
---@param positional string[]
function command.run(model, opts, positional)
   local predictor = predict.open(model)
   if opts.input then
      if opts.output then sys.catch_interrupts() end      -- so that no half-written file stays
      local progress <close> = require("ftpipe.progress").new { quiet = opts.quiet }
      local text = opts.text and { opts.text } or nil
      predictor:stream { input = opts.input, output = opts.output, json = opts.json, format = opts.format, as = opts.as,
         delimiter = opts.delimiter, quote = opts.quote, encoding = opts.encoding, text = text,
         batch_rows = opts.batch_rows, progress = progress }
      return progress:finish()
   end
   local texts = table.move(positional, 2, #positional, 1, {})
   for i, p in ipairs((predictor:compute(texts))) do
      sys.out(opts.json and predictor:json(texts[i], p) .. "\n" or shown(p))
   end
end

return command
