--- Tags of words: what "B-PER" says, and which tags may follow which.
--
-- A tag is "O", or a prefix (B, I, E or L: the last word, S or U: a single one), a dash and a type; a tag without prefix is a
-- type in files where no tag has any (IO). Entities are { first word, last word, type }, words counted from 1.
-- What may surprise: which of the schemes a sequence follows need not be known to read it. A chunk begins where one tag says
-- so or where the type changes, so IOB1, BIO, BIOES, BILOU and IO are read by one rule, which is that of conlleval
-- (Tjong Kim Sang & De Meulder 2003) and of seqeval's default mode.

local tags = {}

tags.OUTSIDE = "O"

local prefixes = { B = "B", I = "I", E = "E", L = "E", S = "S", U = "S", O = "O" }

--- Prefix ("O", "B", "I", "E" or "S") and type of a tag. A tag without prefix counts as I of its own name.
---@param tag string
---@return string prefix, string type
function tags.parse(tag)
   if tag == "O" then return "O", "" end
   local prefix, kind = tag:match "^([BIELSU])%-(.*)$"
   if prefix then return prefixes[prefix], kind ~= "" and kind or "_" end
   if #tag == 1 and prefixes[tag] then return prefixes[tag], "_" end
   return "I", tag
end

--- Whether a tag has a prefix (or is O).
function tags.has_prefix(tag)
   return tag == "O" or tag:find "^[BIELSU]%-" ~= nil or (#tag == 1 and prefixes[tag] ~= nil)
end

local function ends(before, now, kind_before, kind)
   if before == "O" then return false end
   return before == "E" or before == "S" or now == "B" or now == "S" or now == "O" or kind_before ~= kind
end

local function begins(before, now, kind_before, kind)
   if now == "O" then return false end
   return now == "B" or now == "S" or before == "E" or before == "S" or before == "O" or kind_before ~= kind
end

--- Entities of a sequence of tags, broken ones too: seqeval's default mode.
---@param list string[]
---@return ftpipe.entity[] entities { first, last, type }
function tags.entities(list)
   local out, before, kind_before, first = {}, "O", "", 1
   for i = 1, #list + 1 do
      local now, kind = "O", ""
      if list[i] then now, kind = tags.parse(list[i]) end
      if ends(before, now, kind_before, kind) then out[#out + 1] = { first, i - 1, kind_before } end
      if begins(before, now, kind_before, kind) then first = i end
      before, kind_before = now, kind
   end
   return out
end

-- ==== Strict schemes ====

-- Which pairs of prefixes begin an entity, go on with it, and end it: "BI=" is B before I of the same type, "II~" of another
-- type, "OI*" of any; "." is any prefix. As in seqeval's strict mode.
local schemes = {
   IOB1 = { prefixes = "IOB", first = "OI* II~ BI* IB= BB=", inside = "BI= II=", stop = "II~ IO* IB* BO* BI~ BB=" },
   IOB2 = { prefixes = "IOB", first = ".B*", inside = "BI= II=", stop = "IO* II~ IB* BO* BI~ BB*" },
   IOE1 = { prefixes = "IOE", first = "OI* II~ EI* EE=", inside = "II= IE=", stop = "II~ IO* IE~ EI= EE=" },
   IOE2 = { prefixes = "IOE", first = "OI* OE* EI* EE* II~ IE~", inside = "IE= II=", stop = "E.*" },
   IOBES = { prefixes = "IOBES", first = ".B* .S*", inside = "BI= BE= II= IE=", stop = "S.* E.*" },
}
schemes.BILOU = schemes.IOBES

tags.schemes = { "IOB1", "IOB2", "IOE1", "IOE2", "IOBES", "BILOU" }

local function matches(patterns, before, now, same)
   for a, b, kind in patterns:gmatch "(.)(.)(.)" do
      if (a == "." or a == before) and (b == "." or b == now) and (kind == "*" or (kind == "=") == same) then return true end
   end
   return false
end

for _, scheme in pairs(schemes) do
   for _, name in ipairs { "first", "inside", "stop" } do scheme[name] = scheme[name]:gsub(" ", "") end
end

--- Entities of a sequence of tags that follow a scheme to the letter; what breaks it is none.
---@param list string[]
---@param name string one of tags.schemes
---@return ftpipe.entity[]
function tags.strict(list, name)
   local scheme, prefix, kind = schemes[name], { [0] = "O" }, { [0] = "_" }
   for i, tag in ipairs(list) do
      prefix[i], kind[i] = tags.parse(tag)
      if kind[i] == "" then kind[i] = "_" end
      if not scheme.prefixes:find(prefix[i], 1, true) then
         error(("the tag '%s' does not belong to the scheme %s"):format(tag, name), 0)
      end
   end
   prefix[#list + 1], kind[#list + 1] = "O", "_"
   local function is(what, i) return matches(scheme[what], prefix[i - 1], prefix[i], kind[i - 1] == kind[i]) end
   local out, i = {}, 1
   while i <= #list do
      local first = i
      i = i + 1
      if is("first", first) then
         while i <= #list and is("inside", i) do i = i + 1 end
         if is("stop", i) then out[#out + 1] = { first, i - 1, kind[first] } end
      end
   end
   return out
end

--- The scheme that rows of tags seem to follow strictly: IOBES where E or S occur, IOE2 where E occurs without B or S, IOB2
-- where B does; nil where no tag tells.
---@param rows string[][]
function tags.scheme_of(rows)
   local seen = {}
   for _, row in ipairs(rows) do
      for _, tag in ipairs(row) do seen[(tags.parse(tag))] = true end
   end
   if seen.S or (seen.E and seen.B) then return "IOBES" end
   return seen.E and "IOE2" or seen.B and "IOB2" or nil
end

--- BIO tags of n words with these entities.
---@param entities ftpipe.entity[]
---@param n integer
---@return string[]
function tags.of(entities, n)
   local out = {}
   for i = 1, n do out[i] = tags.OUTSIDE end
   for _, e in ipairs(entities) do
      for i = e[1], e[2] do out[i] = (i == e[1] and "B-" or "I-") .. e[3] end
   end
   return out
end

--- BIO labels of types: "O", then B and I of each.
---@param types string[]
function tags.labels(types)
   local out = { tags.OUTSIDE }
   for _, kind in ipairs(types) do
      out[#out + 1] = "B-" .. kind
      out[#out + 1] = "I-" .. kind
   end
   return out
end

--- How the tags of some labels mark an entity, whatever their scheme: a function of first word, last word and type to marks as
-- ftpipe.core.tagging.gold takes them; nil for a type that the labels do not have. And the number of "O".
---@param labels string[]
---@return fun(first: integer, last: integer, kind: string): integer[]?, integer?
function tags.marker(labels)
   local by_type, outside = {}, nil
   for i, label in ipairs(labels) do
      local prefix, kind = tags.parse(label)
      if prefix == "O" then outside = i
      else
         by_type[kind] = by_type[kind] or {}
         by_type[kind][prefix] = i
      end
   end
   return function(first, last, kind)
      local own = by_type[kind]
      if not own then return nil end
      if first == last then
         local one = own.S or own.B or own.E or own.I
         return { first, last, one, one }
      end
      local inside = own.I or own.B or own.E
      local marks = { first, last, own.B or inside, inside }
      if own.E then table.move({ last, last, own.E, own.E }, 1, 4, 5, marks) end
      return marks
   end, outside
end

-- ==== What may follow what ====

local KINDS = { O = 0, B = 1, I = 2, E = 3, S = 4 }

-- What the labels have of each type, and the types in order.
local function survey(labels)
   local has, types = {}, {}
   for _, label in ipairs(labels) do
      local prefix, kind = tags.parse(label)
      if prefix ~= "O" then
         if not has[kind] then
            has[kind] = {}
            types[#types + 1] = kind
         end
         has[kind][prefix] = true
      end
   end
   return has, types
end

--- Rules for ftpipe.core.tagging.decode, from the labels of a model, and its types in the order of their numbers (from 1).
-- With B, an I must stand behind B or I of its type; with E, what was begun must be ended; without B (IO), an I may stand
-- anywhere.
---@param labels string[]
---@return table rules, string[] types
function tags.rules(labels)
   local has, types = survey(labels)
   local number, parts = {}, {}
   for i, kind in ipairs(types) do number[kind] = i end
   for i, label in ipairs(labels) do
      local prefix, kind = tags.parse(label)
      parts[i] = { prefix = prefix, kind = kind, open = prefix == "B" or prefix == "I",
         goes_on = (prefix == "I" or prefix == "E") and has[kind].B ~= nil,
         must_go_on = (prefix == "B" or prefix == "I") and has[kind].E ~= nil }
   end
   local function may_follow(a, b)
      local same = a.open and a.kind == b.kind
      if b.goes_on then return same end
      return not a.must_go_on or (same and (b.prefix == "I" or b.prefix == "E"))
   end
   local rules = { kind = {}, type = {}, start = {}, stop = {}, follow = {} }
   for i, a in ipairs(parts) do
      rules.kind[i] = string.char(KINDS[a.prefix])
      rules.type[i] = ("=i4"):pack(number[a.kind] or 0)
      rules.start[i] = a.goes_on and "\0" or "\1"
      rules.stop[i] = a.must_go_on and "\0" or "\1"
      for _, b in ipairs(parts) do rules.follow[#rules.follow + 1] = may_follow(a, b) and "\1" or "\0" end
   end
   for key, list in pairs(rules) do rules[key] = table.concat(list) end
   return rules, types
end

return tags
