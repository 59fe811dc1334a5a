-- lua/ftpipe/report.lua - an evaluation as plain text: models, classes, confusion, data, weights, verdict.
--
-- It only lays out figures that are already there, and leaves out a section without figures. The
-- surprise: widths count code points, not bytes, so labels outside ASCII keep columns aligned (wide
-- East Asian characters still take two cells of a terminal and shift their row). Control characters
-- of labels are shown as "?", so that a label can neither break a line nor colour a terminal.

local M = {}

local WIDTH, CLASSES, PAIRS = 90, 20, 10
local SPLITS = { "train", "valid", "test" }
local MODELS = { "head", "two", "one" }
local MODEL_NAMES = { head = "head alone", two = "two stages", one = "one stage" }
local METRIC_NAMES = { accuracy = "accuracy", f1 = "macro F1", mcc = "MCC" }
local NONE = "-"
local COLOURS = { good = "\27[32m", warning = "\27[33m", heading = "\27[1m" }

---@class ftpipe.report_options
---@field width integer?     90 columns
---@field colour boolean?    ANSI colours for headings and the verdict; off
---@field classes integer?   20: with more classes, only the weakest ones and the most confused pairs are listed

---@class ftpipe.weight_names
---@field loaded string[]?  names of the parameters that came from the checkpoint
---@field new string[]?     newly initialised ones
---@field frozen string[]?  ones that were not trained
---@field dropped string[]? tensors of the checkpoint, under its names, that the model has no place for: another task's head

-- ---------------------------------------------------------------- text in cells

local function width_of(text) return utf8.len(text) or #text end

local function printable(text) return (tostring(text):gsub("%c", "?")) end

--- Shorten text to `width` code points, the last of which is an ellipsis.
---@param text string
---@param width integer
---@return string
function M.shorten(text, width)
   if width_of(text) <= width then return text end
   if not utf8.len(text) then return text:sub(1, width - 1) .. "…" end
   return text:sub(1, utf8.offset(text, width) - 1) .. "…"
end

local function pad(text, width, right)
   local space = (" "):rep(width - width_of(text))
   return right and space .. text or text .. space
end

local function number(x, pattern)
   if not x or x ~= x then return NONE end
   local text = pattern:format(x)
   return (text:gsub("^%-(0%.?0*)$", "%1"))
end

local function points(x) return x and number(100 * x, "%.1f") or NONE end

local function count(n) return n and ("%d"):format(n) or NONE end

local function percent(share) return share and number(100 * share, "%.1f %%") or NONE end

-- Lines of a table. The first column is left-aligned, the others right-aligned; where the table is
-- wider than `width`, the first column is shortened, to no fewer than 8.
local function aligned(rows, width)
   local widths = {}
   for _, row in ipairs(rows) do
      for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, width_of(cell)) end
   end
   local rest = 2
   for i = 2, #widths do rest = rest + 2 + widths[i] end
   widths[1] = math.min(widths[1], math.max(8, width - rest))
   local lines = {}
   for _, row in ipairs(rows) do
      local cells = { pad(M.shorten(row[1], widths[1]), widths[1]) }
      for i = 2, #row do cells[i] = pad(row[i], widths[i], true) end
      lines[#lines + 1] = ("  " .. table.concat(cells, "  ")):gsub("%s+$", "")
   end
   return lines
end

-- Break text into lines of at most `width`; all but the first start with `indent`. A percent sign
-- stays with its number.
local function wrapped(text, width, first, indent)
   local lines, line = {}, first
   local empty = true
   for word in text:gsub("(%d) %%", "%1\0%%"):gmatch "[^ \t\n]+" do
      word = word:gsub("\0", " ")
      if not empty and width_of(line) + 1 + width_of(word) > width then
         lines[#lines + 1], line, empty = line, indent, true
      end
      line = line .. (empty and "" or " ") .. word
      empty = false
   end
   lines[#lines + 1] = line
   return lines
end

local function append(page, lines)
   for _, line in ipairs(lines) do page[#page + 1] = line end
end

local function heading(page, text, opts)
   if #page > 0 then page[#page + 1] = "" end
   page[#page + 1] = opts.colour and COLOURS.heading .. text .. "\27[0m" or text
end

-- --------------------------------------------------------------------- models

-- "81.2 (78.1-84.0)", or the score alone; a negative bound is set off by "to".
local function with_interval(scores, metric)
   local value, i = scores and scores[metric], scores and scores.interval and scores.interval[metric]
   if not value or not i then return points(value) end
   local to = i.low < 0 and " to " or "-"
   return ("%s (%s%s%s)"):format(points(value), points(i.low), to, points(i.high))
end

local function model_row(name, splits, metric, columns)
   local test = splits.test or {}
   local row = { name, points((splits.train or {})[metric]), points((splits.valid or {})[metric]) }
   for _, column in ipairs(columns) do
      row[#row + 1] = column == "mcc" and number(test.mcc, "%.3f") or with_interval(test, column)
   end
   row[#row + 1] = number(test.loss, "%.3f")
   return row
end

-- Names of the models: the three of the two-stage comparison first, then any others by name.
local function model_names(models)
   local names, known, others = {}, {}, {}
   for _, name in ipairs(MODELS) do
      known[name] = true
      if models[name] then names[#names + 1] = name end
   end
   for name in pairs(models) do
      if not known[name] then others[#others + 1] = name end
   end
   table.sort(others)
   return table.move(others, 1, #others, #names + 1, names)
end

local function models_section(page, evaluation, opts)
   local metric = evaluation.metric or "accuracy"
   local names = evaluation.metric_names or METRIC_NAMES
   local name, plain = names[metric] or metric, names == METRIC_NAMES and names[metric] ~= nil
   local columns = evaluation.columns or plain and { "accuracy", "f1", "mcc" } or { metric }
   local models, rows = evaluation.models or {}, { { "", "train", "valid" } }
   for _, column in ipairs(columns) do
      table.insert(rows[1], column == "mcc" and "MCC" or "test " .. (names[column] or column))
   end
   table.insert(rows[1], "loss")
   if evaluation.baseline then
      rows[2] = model_row(evaluation.baseline_name or "majority class", evaluation.baseline, metric, columns)
   end
   for _, model in ipairs(model_names(models)) do
      rows[#rows + 1] = model_row(printable(MODEL_NAMES[model] or model), models[model], metric, columns)
   end
   if #rows == 1 then return end
   heading(page, "Models", opts)
   append(page, aligned(rows, opts.width))
   local drawn = evaluation.scored and (" (%d rows drawn)"):format(evaluation.scored.train) or ""
   append(page, wrapped(("train%s and valid: %s; scores in points, with the 95 %% interval of the test score;%s "
      .. "loss: of the test rows."):format(drawn, name, plain and " MCC: Matthews correlation on the test rows;" or ""),
      opts.width, "  ", "  "))
end

-- What the models cost to use, where that was measured.
local function cost_section(page, evaluation, opts)
   if not evaluation.cost then return end
   local rows = { { "", "parameters", "MiB", "rows/s" } }
   for _, model in ipairs(model_names(evaluation.cost)) do
      local c = evaluation.cost[model]
      rows[#rows + 1] = { printable(MODEL_NAMES[model] or model), ("%d"):format(c.parameters), ("%.1f"):format(c.bytes / 2 ^ 20),
         ("%.0f"):format(c.rows_per_second) }
   end
   heading(page, "Cost", opts)
   append(page, aligned(rows, opts.width))
end

-- -------------------------------------------------------------------- classes

local function tuned_scores(evaluation)
   local models = evaluation.models or {}
   local name = evaluation.tuned or (models.two and "two") or (models.one and "one") or "head"
   local splits = models[name] or {}
   if splits.test and splits.test.rows and splits.test.rows > 0 then return splits.test, "test", name end
   if splits.valid and splits.valid.rows and splits.valid.rows > 0 then return splits.valid, "validation", name end
end

-- Numbers of the classes to list: all, or the `most` with the lowest F1 among those that occur.
local function listed_classes(per_class, most)
   local ids = {}
   for k, class in ipairs(per_class) do
      if #per_class <= most or class.support > 0 then ids[#ids + 1] = k end
   end
   if #per_class <= most then return ids, false end
   table.sort(ids, function(a, b)
      if per_class[a].f1 ~= per_class[b].f1 then return per_class[a].f1 < per_class[b].f1 end
      return a < b
   end)
   return table.move(ids, 1, math.min(most, #ids), 1, {}), true
end

local function classes_section(page, scores, where, opts, unit)
   if not scores.per_class then return end
   local ids, weakest = listed_classes(scores.per_class, opts.classes)
   local rows = { { "label", "precision", "recall", "F1", unit or "rows", "predicted" } }
   for _, k in ipairs(ids) do
      local class = scores.per_class[k]
      rows[#rows + 1] = { printable(class.label or k), points(class.precision), points(class.recall),
         points(class.f1), count(class.support), count(class.predicted) }
   end
   heading(page, weakest and ("Classes (%s): the %d of %d with the lowest F1"):format(where, #ids, #scores.per_class)
      or ("Classes (%s)"):format(where), opts)
   append(page, aligned(rows, opts.width))
end

-- ------------------------------------------------------------------ confusion

local function largest(confusion)
   local most = 0
   for _, row in ipairs(confusion) do most = math.max(most, table.unpack(row)) end
   return most
end

-- The whole matrix with gold labels as rows, or nil where it is wider than the page. Columns carry
-- the label where all labels fit, else its number, which then stands before the row's label too.
local function matrix(confusion, labels, width)
   local cell, names, longest = #count(largest(confusion)), {}, 0
   for k = 1, #confusion do
      names[k] = printable(labels[k] or k)
      longest = math.max(longest, width_of(names[k]))
   end
   local by_name = 2 + longest + #confusion * (2 + math.max(cell, longest)) <= width
   if not by_name and 2 + 12 + #confusion * (2 + math.max(cell, #count(#confusion))) > width then return nil end
   local rows = { { by_name and "gold" or "gold \\ predicted" } }
   for k = 1, #confusion do
      rows[1][k + 1] = by_name and names[k] or count(k)
      rows[k + 1] = { by_name and names[k] or pad(count(k), 2, true) .. " " .. names[k] }
      for p = 1, #confusion do rows[k + 1][p + 1] = count(confusion[k][p]) end
   end
   return aligned(rows, width)
end

local function confused_pairs(confusion, labels, width)
   local found = {}
   for g, row in ipairs(confusion) do
      for p, n in ipairs(row) do
         if n > 0 and g ~= p then found[#found + 1] = { n = n, g = g, p = p } end
      end
   end
   table.sort(found, function(a, b)
      if a.n ~= b.n then return a.n > b.n end
      if a.g ~= b.g then return a.g < b.g end
      return a.p < b.p
   end)
   local rows, half = { { "gold", "predicted as", "rows" } }, (width - 14) // 2
   for i = 1, math.min(PAIRS, #found) do
      local f = found[i]
      local gold, predicted = printable(labels[f.g] or f.g), printable(labels[f.p] or f.p)
      rows[#rows + 1] = { M.shorten(gold, half), M.shorten(predicted, half), count(f.n) }
   end
   return #found > 0 and aligned(rows, width) or { "  no row is confused" }
end

local function confusion_section(page, scores, where, opts)
   local confusion, labels = scores.confusion, scores.labels or {}
   if not confusion or #confusion == 0 then return end
   local lines = #confusion <= opts.classes and matrix(confusion, labels, opts.width)
   if lines then
      heading(page, ("Confusion (%s; rows: gold label, columns: predicted)"):format(where), opts)
   else
      heading(page, ("Most confused pairs (%s)"):format(where), opts)
      lines = confused_pairs(confusion, labels, opts.width)
   end
   append(page, lines)
end

-- ----------------------------------------------------------------------- data

local function per_split(value, split)
   if type(value) == "table" then return value[split] end
   return nil
end

local cut_how = { head = "cut at %d tokens", ["head+tail"] = "head and tail, %d tokens", windows = "windows of %d tokens" }

-- Facts of each split, one row each; a row without any figure is left out.
local function split_rows(data)
   local rows = { { "", table.unpack(SPLITS) } }
   local function add(name, cell)
      local row, any = { name }, false
      for i, split in ipairs(SPLITS) do
         row[i + 1] = cell(split)
         any = any or row[i + 1] ~= NONE
      end
      if any then rows[#rows + 1] = row end
   end
   local function length(key, pattern)
      return function(split) return number((per_split(data.lengths, split) or {})[key], pattern) end
   end
   add("rows", function(split) return count(per_split(data.rows, split)) end)
   add("repeated texts", function(split) return count(per_split(data.duplicates, split)) end)
   add("tokens: mean", length("mean", "%.1f"))
   add("tokens: median", length("median", "%.0f"))
   add("tokens: 95th percentile", length("p95", "%.0f"))
   add("tokens: longest", length("max", "%.0f"))
   local windowed = data.long == "windows"
   add(data.max_tokens and (cut_how[data.long] or cut_how.head):format(data.max_tokens) or "cut", function(split)
      if windowed then return percent(per_split(data.windowed, split)) end
      return percent(per_split(data.truncated, split))
   end)
   return rows
end

local function label_rows(data, labels, most)
   local counts, ids = data.counts or {}, {}
   local function of(split, k) return counts[split] and counts[split][k] or 0 end
   local rows = { { "label", table.unpack(SPLITS) } }
   for k = 1, #labels do ids[k] = k end
   table.sort(ids, function(a, b)
      if of("train", a) ~= of("train", b) then return of("train", a) > of("train", b) end
      return a < b
   end)
   for i = 1, math.min(#ids, most) do
      local row = { printable(labels[ids[i]]) }
      for s, split in ipairs(SPLITS) do row[s + 1] = counts[split] and count(of(split, ids[i])) or NONE end
      rows[#rows + 1] = row
   end
   if #ids > most then
      local row = { ("… and %d rarer labels"):format(#ids - most) }
      for s, split in ipairs(SPLITS) do
         local sum = 0
         for i = most + 1, #ids do sum = sum + of(split, ids[i]) end
         row[s + 1] = counts[split] and count(sum) or NONE
      end
      rows[#rows + 1] = row
   end
   return rows
end

local SHARED = {
   { "train_valid", "validation rows also in train" },
   { "train_test", "test rows also in train" },
   { "valid_test", "test rows also in validation" },
}

local function data_section(page, evaluation, opts)
   local data = evaluation.data
   if not data then return end
   local lines = {}
   local facts = split_rows(data)
   if #facts > 1 then append(lines, aligned(facts, opts.width)) end
   if type(data.truncated) == "number" then
      lines[#lines + 1] = ("  %s of all rows cut%s"):format(percent(data.truncated),
         data.max_tokens and (" at %d tokens"):format(data.max_tokens) or "")
   end
   for _, kind in ipairs(SHARED) do
      local n = (data.shared or {})[kind[1]]
      if n then lines[#lines + 1] = ("  %s: %d"):format(kind[2], n) end
   end
   if data.counts and next(data.counts) and evaluation.labels then
      append(lines, aligned(label_rows(data, evaluation.labels, opts.classes), opts.width))
   end
   if #lines == 0 then return end
   heading(page, "Data", opts)
   append(page, lines)
end

-- -------------------------------------------------------------------- weights

local function components(name)
   local parts = {}
   for part in name:gmatch "[^.]+" do parts[#parts + 1] = part end
   return parts
end

-- The group of a name: what stands before its first number, and that number; else its first two parts.
local function group_of(name)
   local parts = components(name)
   for i = 2, #parts do
      if parts[i]:find "^%d+$" then return table.concat(parts, ".", 1, i - 1), math.tointeger(tonumber(parts[i])) end
   end
   return #parts > 1 and table.concat(parts, ".", 1, math.min(2, #parts - 1)) or name
end

-- { 0, 1, 2, 5 } -> "0-2,5"
local function ranges(numbers)
   table.sort(numbers)
   local out, i = {}, 1
   while i <= #numbers do
      local first = i
      while numbers[i + 1] == numbers[i] + 1 do i = i + 1 end
      out[#out + 1] = first == i and count(numbers[i]) or ("%d-%d"):format(numbers[first], numbers[i])
      i = i + 1
   end
   return table.concat(out, ",")
end

--- Group parameter names by prefix, numbered parts as ranges: "encoder.layer.0-5.*", with their count.
--- A group of one is its whole name.
---@param names string[]
---@return { name: string, count: integer }[] in the order in which each group first appears
function M.group_names(names)
   local groups, order = {}, {}
   for _, name in ipairs(names) do
      local prefix, index = group_of(name)
      local key = prefix .. (index and ".#" or "")
      local group = groups[key]
      if not group then
         group = { prefix = prefix, count = 0, numbers = {}, seen = {}, first = name }
         groups[key], order[#order + 1] = group, group
      end
      group.count = group.count + 1
      if index and not group.seen[index] then
         group.seen[index] = true
         group.numbers[#group.numbers + 1] = index
      end
   end
   for i, g in ipairs(order) do
      local name = #g.numbers > 0 and ("%s.%s.*"):format(g.prefix, ranges(g.numbers)) or g.prefix .. ".*"
      order[i] = { name = g.count == 1 and g.first or name, count = g.count }
   end
   return order
end

local function weights_section(page, weights, opts)
   if not weights then return end
   local rows = {}
   for _, kind in ipairs { "loaded", "new", "frozen", "dropped" } do
      local names = weights[kind]
      if names then
         rows[#rows + 1] = { kind, count(#names) }
         for _, group in ipairs(M.group_names(names)) do
            rows[#rows + 1] = { "  " .. printable(group.name), count(group.count) }
         end
      end
   end
   if #rows == 0 then return end
   heading(page, "Weights (tensors)", opts)
   append(page, aligned(rows, opts.width))
end

-- -------------------------------------------------------------------- verdict

local MARKS = { good = "+", note = "-", warning = "!" }

local function verdict_section(page, sentences, opts)
   if not sentences or #sentences == 0 then return end
   heading(page, "Verdict", opts)
   for _, sentence in ipairs(sentences) do
      local lines = wrapped(printable(sentence.text), opts.width, "  " .. (MARKS[sentence.level] or "-") .. " ", "    ")
      local colour = opts.colour and COLOURS[sentence.level]
      for i, line in ipairs(lines) do lines[i] = colour and colour .. line .. "\27[0m" or line end
      append(page, lines)
   end
end

--- The report of an evaluation. `weights` lists parameter names; `sentences` come from ftpipe.verdict.
---@param evaluation ftpipe.evaluation
---@param args { sentences: ftpipe.sentence[]?, weights: ftpipe.weight_names?, title: string? }?
---@param opts ftpipe.report_options?
---@return string text lines end in a line feed
function M.render(evaluation, args, opts)
   args, opts = args or {}, opts or {}
   local how = { width = opts.width or WIDTH, colour = opts.colour or false, classes = opts.classes or CLASSES }
   local page = {}
   if args.title then heading(page, printable(args.title), how) end
   models_section(page, evaluation, how)
   cost_section(page, evaluation, how)
   local scores, split, model = tuned_scores(evaluation)
   if scores then
      local where = ("%s, %s rows"):format(printable(MODEL_NAMES[model] or model), split)
      classes_section(page, scores, where, how, evaluation.class_unit)
      confusion_section(page, scores, where, how)
   end
   data_section(page, evaluation, how)
   weights_section(page, args.weights, how)
   verdict_section(page, args.sentences, how)
   return table.concat(page, "\n") .. "\n"
end

return M
