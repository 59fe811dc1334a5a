--- ft.corpus: unlabelled text as full windows of tokens in a file, a share of the documents held out.
--
-- Gives { train, valid, tokenizer, length, apart, facts }; a split is { name, n, tokens }, its tokens mapped from the file. The
-- files are written straight into the store, so that a text is packed once for all steps and runs that read it.

local core = require "ftpipe.core.corpus"
local fs = require "ftpipe.core.fs"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"
local failure = require "ftpipe.failure"
local unlabelled = require "ftpipe.unlabelled"

local step = { kind = "corpus", version = 1, exact = true, streams = true, inputs = { with = "required" } }

step.params = {
   from = { type = "list", required = true, help = "files and folders" },
   format = { type = "string", default = "auto", choices = unlabelled.formats },
   text = { type = "list", default = { "text" }, help = "columns of tables" },
   encoding = { type = "string", choices = unlabelled.encodings,
      help = "of the files; nothing said: UTF-16 where its mark is, else UTF-8" },
   length = { type = "integer", default = 128, min = 3, help = "tokens of a window" },
   apart = { type = "boolean", default = false, help = "each piece of text is a window of its own, cut at `length`" },
   valid = { type = "number", default = 0.01, min = 0, max = 0.5, help = "share of the documents that is held out" },
}

function step.files(params) return unlabelled.files(params.from) end

local CHUNK = 2048     -- texts handed over at a time
local OFTEN = 256      -- pieces of text after which progress is told

-- A packer with a buffer of texts.
local function stream(path, tokenizer, params)
   local self = { texts = {}, n = 0,
      packer = failure.try("system", core.packer(path, tokenizer, params.length, params.apart)) }
   function self.flush()
      failure.try("data", self.packer:add(self.texts, self.n))
      self.n = 0
   end
   function self.put(piece)
      self.n = self.n + 1
      self.texts[self.n] = piece
      if self.n == CHUNK then self.flush() end
   end
   function self.finish()
      self.flush()
      local windows, tokens, documents = failure.try("system", self.packer:finish())
      return { windows = windows, tokens = tokens, documents = documents }
   end
   return self
end

-- A function that is told of each piece's bytes.
local function ticker(ctx, files)
   if not ctx.progress then return function() end end
   local bytes, pieces, all = 0, 0, 0
   for _, path in ipairs(files) do all = all + (select(2, fs.stat(path)) or 0) end
   ctx.progress:stage(ctx.step .. ": tokens of the texts", math.max(1, all >> 10), "kB", 0)
   return function(n)
      bytes, pieces = bytes + n, pieces + 1
      if pieces % OFTEN == 0 then ctx.progress:update { step = math.min(bytes, all) >> 10 } end
   end
end

-- Whether document number n is held out.
local function held_out(ctx, share, n) return sys.random(ctx.seed, "corpus.valid", n, 1 << 24) < share * (1 << 24) end

local function pack(ctx, params, tokenizer, dir)
   local streams = { train = stream(dir .. "/train.i32", tokenizer, params),
      valid = stream(dir .. "/valid.i32", tokenizer, params) }
   local files = unlabelled.files(params.from)
   local n, open = 1, false
   local to = held_out(ctx, params.valid, n) and streams.valid or streams.train
   local tick = ticker(ctx, files)
   for _, path in ipairs(files) do
      unlabelled.each(path, params, function(piece)
         if piece then tick(#piece + 1) end
         if piece or open then to.put(piece) end
         if not piece and open then
            n = n + 1
            to = held_out(ctx, params.valid, n) and streams.valid or streams.train
         end
         open = piece and true
      end)
      if sys.interrupted() > 0 then failure.raise("interrupted", "stopped while packing the corpus") end
   end
   return { train = streams.train.finish(), valid = streams.valid.finish() }
end

local function open(dir, name, about, tokenizer)
   local fact = about.facts[name]
   if fact.windows == 0 then return nil end
   local length = about.apart and 0 or about.length
   local tokens = failure.try("data", core.open(("%s/%s.i32"):format(dir, name), length, tokenizer:vocab_size()))
   return { name = name, n = fact.windows, tokens = tokens }
end

local function artifact_in(dir, about, tokenizer)
   return { train = open(dir, "train", about, tokenizer), valid = open(dir, "valid", about, tokenizer), tokenizer = tokenizer,
      length = about.length, apart = about.apart, facts = about.facts }
end

--- What forecasts want to know of the data.
function step.extent(data) return require("ftpipe.outlook").extent(data) end

--- The files are there; what they are is written beside them.
function step.save(dir, data)
   failure.try("system", fs.write(dir .. "/corpus.json",
      json.encode { facts = data.facts, length = data.length, apart = data.apart }))
   return { type = "files", shared = {} }
end

function step.load(dir, need)
   local about = json.decode(failure.try("data", fs.read(dir .. "/corpus.json")))
   return artifact_in(dir, about, need { "with", "tokenizer" })
end

function step.run(ctx, inputs, params)
   local with, dir = inputs.with, ctx:place()
   if with.dims and params.length > with.dims.positions then
      failure.raise("usage", ("length = %d is more than the encoder's %d positions"):format(params.length, with.dims.positions))
   end
   local facts = pack(ctx, params, with.tokenizer, dir)
   if facts.train.windows == 0 then failure.raise("data", "there is no text to train on") end
   ctx:say(("%s: %d documents, %d windows of up to %d tokens; held out: %d documents, %d windows"):format(ctx.step,
      facts.train.documents, facts.train.windows, params.length, facts.valid.documents, facts.valid.windows))
   return artifact_in(dir, { facts = facts, length = params.length, apart = params.apart }, with.tokenizer)
end

return step
