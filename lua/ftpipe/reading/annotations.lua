--- One annotated text or sentence, out of an object of JSON as annotation tools and libraries write it.
--
--   tokens and tags      { tokens = [..], tags | ner_tags | labels = [..] }
--   text and spans       { text, entities | spans | label | labels = [[begin, end, label], ...] or
--                          [{ start | start_offset, end | end_offset, label, text? }, ...] }: also doccano's and Prodigy's
--   Label Studio         { data = { text }, annotations = [{ result = [{ value = { start, end, text, labels } }] }] }, and its
--                        JSON-MIN, which is text and spans
--
-- Left out (nil): what Prodigy's users rejected or ignored, what Label Studio's cancelled or left without annotation. Of
-- several annotations of a task the one marked as ground truth counts, else the first.
-- What may surprise: Label Studio counts UTF-16 units, the others code points; where a span tells its own text, that
-- decides.

local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"

local annotations = {}

---@class ftpipe.annotated
---@field text string?
---@field spans { [1]: integer, [2]: integer, [3]: string, [4]: string? }[]? begin, end, label, the span's own text
---@field tokens string[]?
---@field tags string[]?
---@field unit "characters"|"units" what begin and end count

-- What is wrong with an object, caught where it can be named.
local function bad(message) error({ bad = message }, 0) end
annotations.bad = bad

local function present(value) return value ~= nil and value ~= json.null end
local function is_list(value) return type(value) == "table" and (#value > 0 or next(value) == nil) end

local function first_of(object, names)
   for _, name in ipairs(names) do
      if present(object[name]) then return object[name], name end
   end
end

local function keys_of(object)
   local keys = {}
   for key in pairs(object) do keys[#keys + 1] = tostring(key) end
   table.sort(keys)
   return keys
end

local function missing(object, what, wanted)
   local keys = keys_of(object)
   local near = sys.nearest(wanted, keys)
   bad(("there is no %s%s"):format(what, near and ("; did you mean its '%s'?"):format(near)
      or #keys > 0 and "; there: " .. table.concat(keys, ", ") or ""))
end

-- ==== Spans ====

local function label_of(object)
   local label = first_of(object, { "label", "labels", "type", "tag", "entity_group", "class" })
   if type(label) == "table" then
      if #label ~= 1 then bad(("a span has %d labels; one is wanted"):format(#label)) end
      label = label[1]
   end
   if type(label) ~= "string" or label == "" then bad "a span has no label" end
   return label
end

local function whole(value, what)
   if math.type(value) ~= "integer" and type(value) == "number" and value == math.floor(value) then
      value = math.tointeger(value)
   end
   if math.type(value) ~= "integer" or value < 0 then bad(("a span's %s must be a whole number from 0 on"):format(what)) end
   return value
end

local function span_of(value)
   if type(value) ~= "table" then bad "a span must be [begin, end, label] or an object" end
   if #value > 0 then
      if #value < 3 or type(value[3]) ~= "string" then bad "a span must be [begin, end, label]" end
      return { whole(value[1], "begin"), whole(value[2], "end"), value[3] }
   end
   local quoted = value.text
   return { whole(first_of(value, { "start", "start_offset", "begin", "startOffset" }), "start"),
      whole(first_of(value, { "end", "end_offset", "stop", "endOffset" }), "end"), label_of(value),
      type(quoted) == "string" and quoted or nil }
end

local function spans_of(list)
   if not is_list(list) then bad "its spans must be a list" end
   local out = {}
   for i, value in ipairs(list) do out[i] = span_of(value) end
   return out
end

-- ==== Tokens and tags ====

local TAGS = { "tags", "ner_tags", "labels", "label", "ner" }

local function strings(list, what)
   if not is_list(list) then bad(what .. " must be a list") end
   local out = {}
   for i, value in ipairs(list) do
      if math.type(value) == "integer" then value = tostring(value) end
      if type(value) ~= "string" or value == "" then bad(("%s: number %d is no text"):format(what, i)) end
      out[i] = value
   end
   return out
end

local function tokens_and_tags(object, opts)
   local tokens = strings(object.tokens, "tokens")
   local tags, name = first_of(object, opts.label ~= "label" and { opts.label } or TAGS)
   if not tags then
      if opts.answers == false then return { tokens = tokens } end
      missing(object, "list of tags", "tags")
   end
   tags = strings(tags, name)
   if #tags ~= #tokens then bad(("%d tokens but %d %s"):format(#tokens, #tags, name)) end
   return { tokens = tokens, tags = tags }
end

-- ==== Objects ====

local function text_of(object, key)
   local text = object[key]
   if not present(text) then missing(object, "text", key) end
   if type(text) ~= "string" then bad(("its %s must be a string"):format(key)) end
   return text
end

local function usable(annotation)
   return type(annotation) == "table" and annotation.was_cancelled ~= true and is_list(annotation.result)
end

-- The annotation of a task that counts.
local function chosen(list)
   local first
   for _, annotation in ipairs(list) do
      if usable(annotation) then
         if annotation.ground_truth == true then return annotation end
         first = first or annotation
      end
   end
   return first
end

local function label_studio(object, opts)
   local task = object.data
   local text = text_of(task, opts.text)
   if opts.answers == false then return { text = text, spans = {}, unit = "units" } end
   local annotation = chosen(is_list(object.annotations) and object.annotations or {})
   if not annotation then return nil end
   local spans = {}
   for _, region in ipairs(annotation.result) do
      local value = type(region) == "table" and region.value
      if type(value) == "table" and (region.type == "labels" or is_list(value.labels)) then
         spans[#spans + 1] = span_of { start = value.start, ["end"] = value["end"], labels = value.labels, text = value.text }
      end
   end
   return { text = text, spans = spans, unit = "units" }
end

--- What an object annotates, or nil where it is to be left out. Problems are errors { bad = message }.
---@param object any
---@param opts { text: string, label: string, format: string?, answers: boolean?, predicted: boolean? } names of fields;
---   answers = false: what is annotated is not looked at; predicted: what `ftpipe predict` added counts
---@return ftpipe.annotated?
function annotations.of(object, opts)
   if type(object) ~= "table" or #object > 0 then bad "expected an object" end
   if type(object.data) == "table" and (opts.format == "labelstudio" or present(object.annotations)
      or present(object.predictions)) then
      return label_studio(object, opts)
   end
   if object.answer == "reject" or object.answer == "ignore" then return nil end
   if is_list(object.tokens) and #object.tokens > 0 and type(object.tokens[1]) ~= "table" then
      return tokens_and_tags(object, opts)
   end
   local text = text_of(object, opts.text)
   local unit = opts.format == "labelstudio" and "units" or "characters"
   if opts.answers == false then return { text = text, spans = {}, unit = unit } end
   local list = opts.predicted and first_of(object, { "predicted_entities" })
      or first_of(object, opts.label ~= "label" and { opts.label } or { "entities", "spans", "label", "labels" })
   if not list then
      if opts.format == "prodigy" or opts.format == "labelstudio" then list = {}      -- written where there is none
      else missing(object, "list of spans", "entities") end
   end
   return { text = text, spans = spans_of(list), unit = unit }
end

return annotations
