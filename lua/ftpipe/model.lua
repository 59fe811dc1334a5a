--- A model: an encoder, a pooling, a head, and their parameters; reading and writing of model directories.
--
-- The forward pass has three stages (encoder, pool, head). Where the first ones are frozen, their
-- output is a feature that can be computed once: `frozen_stages` says how many, `features` computes
-- them, and `forward` goes on from there.

local nn = require "ftpipe.nn"
local graph = require "ftpipe.core.graph"
local param = require "ftpipe.core.param"
local store = require "ftpipe.core.store"
local sys = require "ftpipe.core.sys"
local json = require "ftpipe.core.json"
local fs = require "ftpipe.core.fs"
local text = require "ftpipe.core.text"
local arch = require "ftpipe.arch"
local heads = require "ftpipe.head"

---@class ftpipe.model
---@field options { labels: string[], pool: string, task: string?, precision: "bf16"? }
---@field settings table<string, any> what a task settled after training, for instance a threshold; saved with the weights
local model = {}
model.__index = model
model.stages = { "encoder", "pool", "head" }

-- ==== Reading a checkpoint ====

local function read_json(path)
   local bytes, message = fs.read(path)
   if not bytes then error(message, 0) end
   local value, problem = json.decode(bytes)
   if value == nil then error(("%s: %s"):format(path, problem), 0) end
   return value
end

local function stored_shape(shape) return "(" .. table.concat(shape, ",") .. ")" end

local function same_shape(a, b)
   if #a ~= #b then return false end
   for i = 1, #a do if a[i] ~= b[i] then return false end end
   return true
end

-- What heads should read of an encoder without a head, where its ftpipe.json says so.
local function said_pool(dir)
   local path = dir .. "/ftpipe.json"
   local own = fs.stat(path) and read_json(path) or {}
   return own.head == "hidden_states" and own.pool ~= "none" and own.pool or nil
end

--- An encoder directory: configuration, tokeniser and the open checkpoint. Nothing is copied yet.
---@param dir string
function model.open(dir)
   local kind = fs.stat(dir)
   if kind ~= "directory" then
      error(kind and ("%s is not a directory"):format(dir)
         or ("there is no directory %s%s"):format(dir, require("ftpipe.reading.files").did_you_mean(dir)), 0)
   end
   local config = read_json(dir .. "/config.json")
   local unit = arch.find(config.model_type)
   local checkpoint, message = store.open_dir(dir)
   if not checkpoint then error(message, 0) end
   local tokenizer, problem = text.load(dir)
   if not tokenizer then error(problem, 0) end
   local dims = unit.dimensions(config)
   if tokenizer:vocab_size() > dims.vocab then
      error(("%s: the tokeniser has %d tokens, the encoder's table only %d"):format(dir, tokenizer:vocab_size(), dims.vocab), 0)
   end
   return { dir = dir, config = config, unit = unit, dims = dims, checkpoint = checkpoint, tokenizer = tokenizer,
      pool = said_pool(dir) }
end

-- Where the wanted checkpoint tensor is: under its name or an alias, with or without the prefix.
local function locate(source, name)
   local unit, checkpoint = source.unit, source.checkpoint
   local candidates = { name }
   for _, alias in ipairs(unit.aliases(name)) do candidates[#candidates + 1] = alias end
   for _, candidate in ipairs(candidates) do
      for _, prefix in ipairs { unit.prefix, "" } do
         local dtype, shape = checkpoint:info(prefix .. candidate)
         if dtype then return prefix .. candidate, shape end
      end
   end
end

-- Copy the parts (joined along the first axis) into the parameter, or let it have pages of the file; a problem is returned as
-- text.
local function load_parameter(source, p, names, used)
   local shape = p:shape()
   local rows = shape[1] // #names
   local part = { table.unpack(shape) }
   part[1] = rows
   local per_part = rows
   for i = 2, #shape do per_part = per_part * shape[i] end
   local found = {}
   for i, name in ipairs(names) do
      local stored, has = locate(source, name)
      if not stored then return "missing", name end
      if not same_shape(has, part) then
         return "misshapen", ("%s is %s, expected %s"):format(stored, stored_shape(has), stored_shape(part))
      end
      found[i] = stored
   end
   for i, stored in ipairs(found) do
      used[stored] = true
      local pages = #found == 1 and source.checkpoint:private(stored)
      if pages then p:adopt(pages) break end
      local t, message = source.checkpoint:tensor(stored)
      if not t then error(message, 0) end
      local value <close> = p:tensor()
      value:view((i - 1) * per_part + 1, part):copy(t)
   end
   p:loaded(true)
end

-- What heads need to know of how they are published with this encoder.
local function published(unit, pool)
   return { classifier = pool == "pooler" and unit.classifier or nil, masked_lm = unit.masked_lm,
      drops_answers = unit.drops_answers }
end

-- The pooler may be absent (it is then new); everything else of the encoder must be there. Without a checkpoint all is new.
local function load_encoder(self, source)
   if not source.checkpoint then return {} end
   local names = source.unit.weights(source.dims)
   local missing, misshapen, used = {}, {}, {}
   for _, p in ipairs(self.list) do
      local wanted = names[p:name()]
      if wanted then
         local kind, what = load_parameter(source, p, wanted, used)
         if kind == "misshapen" then misshapen[#misshapen + 1] = what
         elseif kind == "missing" and not p:name():find("^encoder%.pool%.") then missing[#missing + 1] = what end
      end
   end
   if #missing + #misshapen > 0 then
      local lines = { ("%s does not fit its config.json:"):format(source.dir) }
      for i, m in ipairs(missing) do
         if i > 10 then lines[#lines + 1] = ("  ... and %d more missing"):format(#missing - 10) break end
         lines[#lines + 1] = "  missing: " .. m
      end
      for _, m in ipairs(misshapen) do lines[#lines + 1] = "  wrong shape: " .. m end
      error(table.concat(lines, "\n"), 0)
   end
   return used
end

-- A head that is part of published checkpoints goes on from theirs, as far as it is there.
local function load_head(self, source, used)
   if not self.head_unit.continues or not source.checkpoint then return end
   for _, p in ipairs(self.list) do
      local name = p:name():find "^head%." and self.head_names[p:name()]
      if name and load_parameter(source, p, { name }, used) == "missing" then
         load_parameter(source, p, { self.head_unit.alias(self.c, name) or name }, used)
      end
   end
   for _, name in ipairs(source.checkpoint:names()) do
      if self.head_unit.repeats(self.c, name) then used[name] = true end
   end
end

local function dropped(source, used)
   local out = {}
   if not source.checkpoint then return out end
   for _, name in ipairs(source.checkpoint:names()) do
      local bare = name:gsub("^" .. source.unit.prefix:gsub("%.", "%%."), "")
      if not used[name] and not source.unit.ignored(bare) then out[#out + 1] = name end
   end
   table.sort(out)
   return out
end

-- ==== Making ====

-- A model whose parameters are all zero.
local function new(source, head_unit, opts)
   local dims = {}           -- its own, because set_dropout changes them
   for k, v in pairs(source.dims) do dims[k] = v end
   local self = setmetatable({ unit = source.unit, config = source.config, dims = dims, head_unit = head_unit,
      tokenizer = source.tokenizer, options = opts, settings = {}, set = param.set(source.shapes and "shapes" or "values") }, model)
   local pooled = head_unit.pools ~= nil
   self.pooling = pooled and opts.pool or "none"
   self.keeps_pooler = source.unit.pool and (self.pooling == "pooler" or opts.keeps_pooler) or false
   self.encoder = source.unit.build(source.config, self.keeps_pooler)
   self.c = published(source.unit, self.pooling)
   for k, v in pairs { hidden = dims.hidden, embedding = dims.embedding, labels = #opts.labels, std = dims.std, vocab = dims.vocab,
      eps = dims.eps, activation = dims.activation, width = opts.width } do self.c[k] = v end
   self.head_names = heads.names(head_unit, self.c)
   self:set_dropout(nil)
   self.head = head_unit.build(self.c)
   local head
   self.list, self.draw_encoder = nn.bind(self.encoder, self.set, "encoder")
   head, self.draw_head = nn.bind(self.head, self.set, "head")
   table.move(head, 1, #head, #self.list + 1, self.list)
   self.by_name = {}
   for _, p in ipairs(self.list) do self.by_name[p:name()] = p end
   return self
end

-- Draw what did not come from a checkpoint.
local function draw(self, seed)
   for _, p in ipairs(self.list) do
      local of_encoder = p:name():find "^encoder%."
      if not p:loaded() then (of_encoder and self.draw_encoder or self.draw_head)(p, seed) end
   end
   local norm = self.head_unit.begin and self.by_name["head.norm.weight"]
   if norm and not norm:loaded() then self.head_unit.begin(self.head, self.by_name["encoder.embed.word.weight"]:tensor()) end
   return self
end

--- The encoder of `source` with a new, randomly initialised head. A masked-LM head goes on from the checkpoint's, and
-- leaves the pooler, which it does not read, as it is.
---@param source table from model.open, model:source or model.blank
---@param opts { head: table|string, labels: string[]?, pool: string?, task: string?, width: integer? } width: of head
---   hidden_states
--- pool: "pooler" (what transformers' classifier reads; new where the checkpoint has none), "cls", "mean", or "auto": what
---   the encoder's ftpipe.json says, the checkpoint's pooler, the head's own dense layer in encoders that are published without
---   pooler, else the mean.
---@param seed integer
---@return ftpipe.model
function model.replace_head(source, opts, seed)
   local unit = heads.find(opts.head)
   local has_pooler = source.unit.pool and source.checkpoint and locate(source, "pooler.dense.weight") ~= nil or false
   local keeps = (unit.continues or unit.temporary) and has_pooler
   local pooling = opts.pool or "pooler"
   if pooling == "auto" then pooling = source.pool or (has_pooler or source.unit.classifier) and "pooler" or "mean" end
   local self = new(source, unit, { labels = opts.labels or {}, pool = pooling, keeps_pooler = keeps,
      width = opts.width, task = opts.task })
   local used = load_encoder(self, source)
   load_head(self, source, used)
   self.dropped = dropped(source, used)
   return draw(self, seed)
end

--- A model of random weights from a configuration alone, without checkpoint or tokeniser: for measuring.
---@param config table as in config.json
function model.random(config, opts, seed)
   local unit = arch.find(config.model_type)
   return draw(new({ unit = unit, config = config, dims = unit.dimensions(config) }, heads.find(opts.head),
      { labels = opts.labels, pool = opts.pool or "pooler" }), seed)
end

--- An encoder that does not exist yet: random weights of this configuration, for this tokeniser.
---@param config table as in config.json
function model.blank(config, tokenizer)
   local unit = arch.find(config.model_type)
   return { config = config, unit = unit, dims = unit.dimensions(config), tokenizer = tokenizer }
end

--- A model that has the shapes of its parameters and no values, for forecasts.
---@param config table as in config.json
---@param opts { head: table|string, labels: string[], pool: string?, task: string? }
function model.outline(config, opts)
   local unit = arch.find(config.model_type)
   return new({ unit = unit, config = config, dims = unit.dimensions(config), shapes = true }, heads.find(opts.head),
      { labels = opts.labels or {}, pool = opts.pool or "pooler", task = opts.task, width = opts.width })
end

--- A model whose weights are still to be set: of a configuration, with a head by name or by its source.
---@param head string|table
---@param opts table as the model had them that it replaces
function model.empty(config, tokenizer, head, opts)
   local unit = arch.find(config.model_type)
   return new({ unit = unit, config = config, dims = unit.dimensions(config), tokenizer = tokenizer },
      type(head) == "table" and heads.from_source(head) or heads.find(head), opts)
end

--- All parameters in their canonical order.
function model:parameters() return self.list end

--- Freeze or unfreeze what a glob matches ("encoder.*", "loaded"); several globs in a list.
function model:freeze(globs)
   for _, glob in ipairs(type(globs) == "table" and globs or { globs }) do self.set:freeze(glob) end
end
function model:unfreeze(globs)
   for _, glob in ipairs(type(globs) == "table" and globs or { globs }) do self.set:unfreeze(glob) end
end

--- Whether a glob matches a name ('*' any characters, '?' one).
function model.glob(glob, name)
   local pattern = glob:gsub("[%^%$%(%)%%%.%+%-]", "%%%0"):gsub("%*", ".*"):gsub("%?", ".")
   return name:find("^" .. pattern .. "$") ~= nil
end

--- A copy with its own weights. All of it is trainable.
function model:copy()
   local twin = new({ unit = self.unit, config = self.config, dims = self.dims, tokenizer = self.tokenizer },
      self.head_unit, self.options, 0)
   for _, p in ipairs(self.list) do
      local q = twin.by_name[p:name()]
      q:tensor():copy(p:tensor())
      q:loaded(p:loaded())
   end
   twin.dropped, twin.data = self.dropped, self.data
   for k, v in pairs(self.settings) do twin.settings[k] = v end
   return twin
end

--- One dropout rate everywhere, or (nil) the rates of the configuration; none in an encoder that stands still, whose
-- features are the same whether they are cached or computed again.
---@param p number?
---@param still boolean? the encoder is frozen
function model:set_dropout(p, still)
   local own, head = self.unit.dimensions(self.config), self.config.classifier_dropout
   if self.unit.head_dropout then head = self.unit.head_dropout(self.config, self.head_unit.name) end
   local encoder = still and 0 or p
   self.dims.dropout, self.dims.attention_dropout = encoder or own.dropout, encoder or own.attention_dropout
   self.c.dropout = p or head ~= json.null and head or own.dropout
end

--- Whether training keeps only what each layer gives and computes the rest of it again on the way back.
---@param on boolean
function model:set_recompute(on) self.dims.recompute = on or nil end

--- Weights by name, as copies (for keeping the best) or shared.
function model:weights(shared)
   local out = {}
   for _, p in ipairs(self.list) do out[p:name()] = shared and p:tensor() or p:tensor():clone() end
   return out
end

--- Overwrite the weights named in `weights`.
function model:set_weights(weights)
   for _, p in ipairs(self.list) do
      local w = weights[p:name()]
      if w then p:tensor():copy(w) end
   end
end

-- ==== Forward ====

--- What its products are computed in from here on, outside training as well; saved with the model.
---@param precision "f32"|"bf16"
function model:compute_in(precision)
   local options = {}      -- its own: other models may share the table
   for k, v in pairs(self.options) do options[k] = v end
   options.precision = precision ~= "f32" and precision or nil
   self.options = options
end

--- Its precision on this machine: float32 where the processor lacks what it was trained in.
---@return "f32"|"bf16"
function model:precision() return self.options.precision and sys.bf16() and self.options.precision or "f32" end

--- Begin a batch that is not trained on.
function model:begin() graph.begin("eval", 0, 0, self:precision()) end

local function reads_first(self) return self.pooling == "pooler" or self.pooling == "cls" end

-- What the last layer is computed for: its hidden states of all tokens, of each row's first, or of batch.places.
local function encode(self, batch)
   local forward = self.unit.forward
   if not reads_first(self) then
      return forward(self.encoder, self.dims, batch, self.head_unit.at_places and batch.places or nil)
   end
   local first <close> = batch.rows:firsts()
   if not first then return nn.row_first(forward(self.encoder, self.dims, batch), batch) end
   return forward(self.encoder, self.dims, batch, first)
end

-- From what `encode` gives to what the head reads.
local function pool(self, x, batch)
   if self.pooling == "pooler" and self.unit.pool then return self.unit.pool(self.encoder, x) end
   return self.pooling == "mean" and nn.row_mean(x, batch) or x
end

-- What the head says; of examples in several windows the mean of theirs.
local function head_of(self, x, batch)
   local logits = self.head_unit.forward(self.head, x, batch, self.c, self.encoder)
   return batch.windows and nn.row_mean(logits, { rows = batch.windows }) or logits
end

--- Logits of a batch.
function model:forward(batch) return head_of(self, pool(self, encode(self, batch), batch), batch) end
model.__call = model.forward

--- Hidden states of the last layer: (T, H), or (M, H) of the tokens at `places` alone.
---@param places userdata? i32 tensor (M), 0-based, ascending
function model:hidden(batch, places) return self.unit.forward(self.encoder, self.dims, batch, places) end

--- How many stages from the front have no trainable parameter (0, 1 or 2).
function model:frozen_stages()
   for _, p in ipairs(self.list) do
      if p:trainable() and p:name():find("^encoder%.") then
         return p:name():find("^encoder%.pool%.") and 1 or 0
      end
   end
   return 2
end

--- Output of the first `done` stages for a batch, one row (or, where the head reads all tokens, one span of rows) each.
function model:features(batch, done)
   if not reads_first(self) then return done >= 2 and pool(self, self:hidden(batch), batch) or self:hidden(batch) end
   local first = encode(self, batch)
   return done >= 2 and pool(self, first, batch) or first
end

--- Whether features are one row per example (else one per token).
function model:features_per_row(done)
   if done >= 2 then return self.pooling ~= "none" end
   return reads_first(self)
end

--- Forward from cached features of `done` stages; with one stage done they are first-token rows or all tokens.
function model:forward_features(batch, done)
   local x = done < 2 and pool(self, batch.features, batch) or batch.features
   if self.head_unit.at_places and batch.places then x = nn.gather(x, batch.places) end
   return head_of(self, x, batch)
end

-- ==== Facts for the user ====

--- { loaded = {names}, new = {names}, frozen = {names}, dropped = {names}, parameters = n, trainable = n }
function model:card()
   local card = { loaded = {}, new = {}, frozen = {}, dropped = self.dropped or {}, parameters = 0, trainable = 0 }
   for _, p in ipairs(self.list) do
      local list = p:loaded() and card.loaded or card.new
      list[#list + 1] = p:name()
      local n = p:tensor():count()
      card.parameters = card.parameters + n
      if p:trainable() then card.trainable = card.trainable + n else card.frozen[#card.frozen + 1] = p:name() end
   end
   return card
end

--- Name of the first parameter whose values are not finite, or nil.
function model:nonfinite(what) return self.set:nonfinite(what or "value") end

-- ==== Model directories ====

local function export_tensors(self)
   local out = {}
   local names = self.unit.weights(self.dims)
   for _, p in ipairs(self.list) do
      local theirs, t = names[p:name()], p:tensor()
      if theirs then
         local part = t:shape()
         part[1] = part[1] // #theirs
         local count = t:count() // #theirs
         for i, name in ipairs(theirs) do out[self.unit.prefix .. name] = t:view((i - 1) * count + 1, part) end
      elseif not self.head_unit.temporary then
         out[self.head_names[p:name()] or p:name()] = t
      end
   end
   return out
end

--- This model as the source of another: its weights as they are now, under their published names.
function model:source()
   local tensors = export_tensors(self)
   local checkpoint = {}
   function checkpoint.info(_, name)
      local t = tensors[name]
      if t then return t:dtype(), t:shape() end
   end
   function checkpoint.tensor(_, name) return tensors[name] end
   function checkpoint.private() end      -- no file: always copied
   function checkpoint.names()
      local names = {}
      for name in pairs(tensors) do names[#names + 1] = name end
      return names
   end
   return { dir = "the model", config = self.config, unit = self.unit, dims = self.dims, tokenizer = self.tokenizer,
      checkpoint = checkpoint }
end

local problem_types = { regression = "regression", multi_label = "multi_label_classification" }

local function export_config(self)
   local config = {}
   for k, v in pairs(self.config) do config[k] = v end
   for _, k in ipairs { "_name_or_path", "transformers_version" } do config[k] = nil end
   local class = self.unit.class
   if type(class) == "table" then class = class[config.model_type] end
   config.architectures = json.array { class .. (self.head_unit.architecture or "Model") }
   config.id2label, config.label2id = nil, nil
   if #self.options.labels > 0 then config.id2label, config.label2id = {}, {} end
   for i, label in ipairs(self.options.labels) do
      config.id2label[tostring(i - 1)] = label
      config.label2id[label] = i - 1
   end
   config.num_labels = nil
   config.problem_type = self.head_unit.name == "classification"
      and (problem_types[self.options.task] or "single_label_classification") or nil
   config.torch_dtype = nil
   return config
end

local DTYPES = { f32 = "float32", f16 = "float16", bf16 = "bfloat16" }

--- Write a Hugging Face directory; `extra` goes into ftpipe.json (columns, label map, lengths).
---@param dir string
---@param extra table?
---@param weights? "f32"|"f16"|"bf16" how the weights are stored; f32 unless said
function model:save(dir, extra, weights)
   local function try(ok, message) if not ok then error(message, 0) end end
   try(fs.mkdirs(dir))
   try(store.write(dir .. "/model.safetensors", export_tensors(self), { format = "pt" }, weights))
   try(self.tokenizer:save(dir))
   local unit = self.head_unit
   local own = { version = 1, head = unit.name, pool = unit.temporary and unit.pool or self.pooling,
      labels = json.array { table.unpack(self.options.labels) },
      task = self.options.task, precision = self.options.precision, settings = next(self.settings) and self.settings or nil }
   if self.head_unit.source then own.head_source = self.head_unit.source end
   for k, v in pairs(extra or {}) do own[k] = v end
   try(fs.write(dir .. "/ftpipe.json", json.encode(own) .. "\n"))
   local config = export_config(self)
   config.dtype = DTYPES[weights or "f32"]
   try(fs.write(dir .. "/config.json", json.encode(config) .. "\n"))
end

-- Label names of a directory that transformers wrote; two labels without names are left out of its config.json.
local function labels_of(source, unit)
   local labels, names = json.array {}, source.config.id2label
   if not unit or unit.labels then return unit and unit.labels or labels end
   local _, shape = source.checkpoint:info(heads.names(unit, published(source.unit, "pooler"))["head.out.weight"])
   for i = 1, shape[1] do labels[i] = type(names) == "table" and names[tostring(i - 1)] or "LABEL_" .. i - 1 end
   return labels
end

-- The head of a directory: what its ftpipe.json says, else the one whose weights are there; nil where none is.
local function find_head(source, own)
   if own.head_source then return heads.from_source(own.head_source) end
   if own.head then return heads.find(own.head) end
   local named = source.config.architectures
   return heads.of_checkpoint(function(name) return source.checkpoint:info(name) end, type(named) == "table" and named[1] or nil,
      published(source.unit, "pooler"))
end

-- What a sequence classifier of transformers is for.
local function task_of(config, labels)
   for task, kind in pairs(problem_types) do if config.problem_type == kind then return task end end
   return labels == 1 and "regression" or nil
end

--- A tuned model: a directory written by save, or by transformers for a task that there is a head for.
---@return ftpipe.model
function model.load(dir)
   local source = model.open(dir)
   local own = fs.stat(dir .. "/ftpipe.json") and read_json(dir .. "/ftpipe.json") or {}
   local unit = find_head(source, own)
   local labels = own.labels or labels_of(source, unit)
   if #labels == 0 then
      error(("%s is an encoder without a tuned head (no classifier); train one with `ftpipe run`"):format(dir), 0)
   end
   local task = own.task or unit.task or unit.name == "classification" and task_of(source.config, #labels) or nil
   local self = new(source, unit, { labels = labels, pool = own.pool or "pooler", task = task, precision = own.precision })
   for k, v in pairs(own.settings or {}) do self.settings[k] = v end
   local used = load_encoder(self, source)
   local missing = {}
   for _, p in ipairs(self.list) do
      if not p:loaded() then
         local name = self.head_names[p:name()] or p:name()
         if p:name():find("^head%.") and source.checkpoint:info(name) then
            local t = assert(source.checkpoint:tensor(name))
            if not same_shape(t:shape(), p:shape()) then
               error(("%s: %s is %s, expected %s"):format(dir, name, stored_shape(t:shape()), stored_shape(p:shape())), 0)
            end
            p:tensor():copy(t)
            p:loaded(true)
            used[name] = true
         else
            missing[#missing + 1] = name
         end
      end
   end
   if #missing > 0 then
      error(("%s is an encoder without a tuned head (missing %s); train one with `ftpipe run`"):format(dir,
         table.concat(missing, ", ")), 0)
   end
   self.own, self.dropped = own, dropped(source, used)
   return self
end

--- Make `loss` of the tape reach the parameters: gradients of sum(loss) * scale.
function model.backward(loss, scale) graph.backward(loss, scale) end

return model
