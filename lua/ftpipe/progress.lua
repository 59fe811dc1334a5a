--- Progress of a long command: on a terminal one line that is drawn anew, elsewhere a plain line now and then.
--
-- Where messages go to a file or a pipe, a line comes at most every ten seconds and at the end of each epoch and
-- stage, so that a log stays readable. A progress object is to-be-closed (`local bar <close> = progress.new {}`): an
-- error then leaves no half-drawn line behind.

local sys = require "ftpipe.core.sys"
local report = require "ftpipe.report"

local progress = {}
local methods = {}
local meta = { __index = methods }

local REDRAW, LINE = 0.1, 10      -- seconds between two drawings, and between two plain lines
local BAR, LEAST_BAR = 24, 6      -- cells of the bar; below the second it is left out
local UPDATES = "updates"         -- what is counted where nothing is said
local SMOOTH = 0.9                -- of the running mean of loss and speed

---@class ftpipe.progress
---@field stage fun(self, name: string, total?: integer, unit?: string, start?: integer)
---@field expect fun(self, total: integer?)
---@field update fun(self, state: ftpipe.progress_state)
---@field line fun(self, text: string)
---@field finish fun(self)

---@class ftpipe.progress_state
---@field step integer
---@field loss number?
---@field lr number?
---@field tokens_per_second number?
---@field epoch integer?
---@field epochs integer?

-- ==== How figures look ====

--- 42 -> "42 s", 201 -> "3:21", 3801 -> "1:03:21"
---@param seconds number
function progress.duration(seconds)
   local s = math.floor(seconds + 0.5)
   if s < 60 then return ("%d s"):format(s) end
   if s < 3600 then return ("%d:%02d"):format(s // 60, s % 60) end
   return ("%d:%02d:%02d"):format(s // 3600, s // 60 % 60, s % 60)
end

--- 950 -> "950", 12345 -> "12.3k", 2500000 -> "2.5M"
---@param x number
function progress.rate(x)
   if x < 9999.5 then return ("%.0f"):format(x) end
   if x < 999950 then return ("%.1fk"):format(x / 1e3) end
   return ("%.1fM"):format(x / 1e6)
end

local function mean(old, new)
   if not new then return old end
   if not old or old ~= old then return new end
   return SMOOTH * old + (1 - SMOOTH) * new
end

-- Seconds until the end, from the speed since the first update that was seen (a resumed stage does not begin at 1).
local function time_left(self, now)
   local done = self.at.step - self.start
   if not self.total or done <= 0 or now <= self.began then return nil end
   return (now - self.began) / done * (self.total - self.at.step)
end

-- What there is to tell, in order, with what may be left out first where space is short (0: never).
local function fields(self, now)
   local at, out = self.at, {}
   local function add(drop, text) out[#out + 1] = { text = text, drop = drop } end
   local of = self.total and ("%d/%d"):format(at.step, self.total) or tostring(at.step)
   add(0, self.total and self.unit == UPDATES and of or ("%s %s"):format(of, self.unit))
   if at.epoch and at.epochs and at.epochs > 1 then add(3, ("epoch %d/%d"):format(at.epoch, at.epochs)) end
   if self.loss then add(5, ("loss %.4f"):format(self.loss)) end
   if at.lr then add(1, ("lr %.2e"):format(at.lr)) end
   if self.speed then add(2, progress.rate(self.speed) .. " tokens/s") end
   local left = time_left(self, now)
   if left and at.step < self.total then add(4, progress.duration(left) .. " left") end
   return out
end

local function join(parts, separator)
   local texts = {}
   for i, field in ipairs(parts) do texts[i] = field.text end
   return table.concat(texts, separator)
end

-- ==== The bar ====

local function drop_one(parts)
   local least
   for i, field in ipairs(parts) do
      if field.drop > 0 and (not least or field.drop < parts[least].drop) then least = i end
   end
   if least then table.remove(parts, least) end
   return least ~= nil
end

local function bar_of(self, cells)
   if not self.total or self.total == 0 or cells < LEAST_BAR then return "" end
   local full = math.floor((cells - 2) * math.min(1, self.at.step / self.total))
   local bar = ("="):rep(full) .. (" "):rep(cells - 2 - full)
   return self.colour and ("[\27[32m%s\27[0m]  "):format(bar) or ("[%s]  "):format(bar)
end

local function draw(self, now)
   local room = self.width - 1      -- the last column would wrap on some terminals
   local parts = fields(self, now)
   local text = join(parts, "  ")
   local name = self.name
   while utf8.len(name) + 2 + #text > room and drop_one(parts) do text = join(parts, "  ") end
   local free = room - (utf8.len(name) or #name) - 4 - #text
   local line = name .. "  " .. bar_of(self, math.min(BAR, free)) .. text
   if free < LEAST_BAR then line = report.shorten(line, room) end
   self.write("\r" .. line .. "\27[K")
   self.drawn = now
end

local function clear(self)
   if self.mode == "bar" and self.drawn then self.write("\r\27[K") end
   self.drawn = nil
end

-- ==== Plain lines ====

local function print_state(self, now)
   self.write(("%s: %s\n"):format(self.name, join(fields(self, now), ", ")))
   self.printed, self.printed_step = now, self.at.step
end

-- The line that stays when a stage is over, or was left before its end.
local function end_stage(self)
   local at, now = self.at, self.now()
   clear(self)
   if self.mode ~= "none" and at then
      local whole = not self.total or at.step >= self.total
      local done = at.step - self.start
      local unit = done == 1 and self.unit:gsub("s$", "") or self.unit
      local parts = { whole and ("%s: %d %s in %s"):format(self.name, done, unit, progress.duration(now - self.began))
         or ("%s: %d of %d %s"):format(self.name, at.step, self.total, self.unit) }
      if self.loss then parts[2] = ("loss %.4f"):format(self.loss) end
      self.write(table.concat(parts, ", ") .. "\n")
   end
   self.name, self.at = nil, nil
end

-- ==== Methods ====

--- Begin a stage; ends the one before. Without a total only the count is shown; unit is what is counted ("updates"),
--- start how many of them there are already (default: one less than the first update tells).
function methods:stage(name, total, unit, start)
   if self.name then end_stage(self) end
   self.name, self.total, self.unit = name:gsub("%c", "?"), total, unit or UPDATES
   if not utf8.len(self.name) then self.name = self.name:gsub("[\x80-\xff]", "?") end
   self.loss, self.speed, self.start, self.printed_step = nil, nil, start, nil
   self.began = self.now()
   self.printed = self.began
end

--- How much there is turned out, or turned out to be something else.
---@param total integer?
function methods:expect(total) self.total = total end

--- Tell where the stage is.
function methods:update(state)
   if self.mode == "none" or not self.name then return end
   local now = self.now()
   if self.mode == "lines" and self.at and state.epoch ~= self.at.epoch and self.printed_step ~= self.at.step then
      print_state(self, now)
   end
   self.start = self.start or state.step - 1
   self.at = state
   self.loss, self.speed = mean(self.loss, state.loss), mean(self.speed, state.tokens_per_second)
   if self.mode == "lines" then
      if now - self.printed >= LINE then print_state(self, now) end
   elseif not self.drawn or now - self.drawn >= REDRAW or state.step == self.total then
      draw(self, now)
   end
end

--- A message of its own, above the bar.
function methods:line(text)
   if self.mode == "none" then return end
   if self.mode == "bar" and self.at and self.at.step == self.total then end_stage(self) end
   clear(self)
   self.write(text .. "\n")
   if self.mode == "bar" and self.at then draw(self, self.now()) end
end

--- End the stage and leave the cursor on an empty line. May be called twice.
function methods:finish()
   if self.name then end_stage(self) end
end

meta.__close = methods.finish

local function set(name) return (sys.getenv(name) or "") ~= "" end

local function terminal_width()
   if sys.getenv "TERM" == "dumb" then return nil end
   return sys.terminal()
end

--- opts: quiet; width (columns of the terminal; false: none; nil: ask); colour; now and write, for tests.
---@param opts? table
---@return ftpipe.progress
function progress.new(opts)
   opts = opts or {}
   local width = opts.width
   if width == nil then width = terminal_width() end
   local colour = opts.colour
   if colour == nil then colour = not set "NO_COLOR" end
   return setmetatable({ mode = opts.quiet and "none" or width and "bar" or "lines", width = width or nil,
      colour = colour, now = opts.now or sys.now, write = opts.write or sys.err }, meta)
end

return progress
