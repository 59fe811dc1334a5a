--- Measures training and evaluation of a published shape or of a model's configuration, with random weights, by the loop that
-- ft.finetune itself runs.
--
-- Figures are tokens per second over whole updates (batch, forward, backward, clipping, AdamW, log line), useful FLOP/s by
-- the formulas below, and the rate of matrix products on the shape's own products in the same run, best of all libraries.
-- FLOPs of a forward pass per token and layer: 8 h^2 + 4 h inner + 4 S h, S = sum(len^2) / sum(len); training is three times that.
-- Pre-training adds (2 h^2 + 2 h V) for the 15 % of tokens that are masked.

local fs = require "ftpipe.core.fs"
local graph = require "ftpipe.core.graph"
local json = require "ftpipe.core.json"
local sys = require "ftpipe.core.sys"
local text = require "ftpipe.core.text"
local arch = require "ftpipe.arch"
local failure = require "ftpipe.failure"
local finetune = require "ftpipe.step.finetune"
local pretrain = require "ftpipe.step.pretrain"
local model = require "ftpipe.model"
local scoring = require "ftpipe.scoring"
local training = require "ftpipe.training"

local benchmark = {}

local MASKED = 0.15      -- share of the tokens that pre-training guesses
local VOCABULARY = 30522 -- BERT's

--- hidden, layers, heads, inner of each shape; the vocabulary is BERT's.
benchmark.shapes = {
   ["minilm-l6"] = { 384, 6, 12, 1536 }, ["distil"] = { 768, 6, 12, 3072 }, ["bert-base"] = { 768, 12, 12, 3072 },
   ["mini"] = { 256, 4, 4, 1024 },
}

-- config.json of a published shape, or of the model in a directory; only the configuration of that is read.
local function configuration(shape, dir)
   if dir then
      local config = json.decode(failure.try("usage", fs.read(dir .. "/config.json")))
      return type(config) == "table" and config or failure.raise("data", dir .. "/config.json holds no object")
   end
   local d = benchmark.shapes[shape]
   return { model_type = "bert", vocab_size = VOCABULARY, hidden_size = d[1], num_hidden_layers = d[2], num_attention_heads = d[3],
      intermediate_size = d[4], max_position_embeddings = 512, type_vocab_size = 2, hidden_act = "gelu",
      hidden_dropout_prob = 0.1, attention_probs_dropout_prob = 0.1 }
end

-- ==== Lengths ====

-- SST-2's phrases: log-normal, about 13.3 tokens with [CLS] and [SEP], at most 66.
local function sst2_length(n)
   local u, v = sys.random(1, "bench.u", n, 1 << 30) + 1, sys.random(1, "bench.v", n, 1 << 30)
   local normal = math.sqrt(-2 * math.log(u / (1 << 30))) * math.cos(2 * math.pi * v / (1 << 30))
   return math.max(3, math.min(66, math.floor(math.exp(2.38 + 0.67 * normal)) + 2))
end

--- n lengths of at most `most` tokens: a number, "sst2", or a file with one length a line (repeated as needed).
function benchmark.lengths(what, n, most)
   local out = {}
   local fixed = math.tointeger(tonumber(what))
   local list
   if not fixed and what ~= "sst2" then
      list = {}
      for word in failure.try("usage", fs.read(what)):gmatch "%S+" do
         list[#list + 1] = math.tointeger(tonumber(word))
            or failure.raise("usage", ("%s: '%s' is not a length"):format(what, word))
      end
      if #list == 0 then failure.raise("usage", what .. " holds no lengths") end
   end
   for i = 1, n do out[i] = fixed or list and list[(i - 1) % #list + 1] or sst2_length(i) end
   for _, length in ipairs(out) do
      if length < 2 or length > most then
         failure.raise("usage", ("length %d: 2 to %d are possible"):format(length, most))
      end
   end
   return out
end

-- ==== Words ====

local WORDS = 16384 -- different ones, here and there in the vocabulary
local GOLDEN = (5 ^ 0.5 - 1) / 2

--- Ids from `first` to below `vocab` for n tokens of a text, behind `at` of its others. The r-th most frequent word is as frequent
-- as 1 / r says (Zipf's law), as in natural text: how often a word comes first decides how much memory an update touches anew.
function benchmark.ids(n, first, vocab, at)
   local words, out = math.min(WORDS, vocab - first), {}
   local apart = (vocab - first) // words
   for k = 1, n do
      local rank = math.floor((words + 1) ^ (((at or 0) + k) * GOLDEN % 1))
      out[k] = first + (rank - 1) * 7919 % words * apart
   end
   return out
end

local function split_of(lengths, vocab)
   local first = math.min(1000, vocab // 2)      -- behind special tokens
   local tokens, labels, at = text.tokens(), {}, 0
   for i, n in ipairs(lengths) do
      tokens:add(benchmark.ids(n, first, vocab, at))
      labels[i], at = i % 2 + 1, at + n
   end
   return { name = "train", n = #lengths, tokens = tokens, labels = labels }
end

-- ==== FLOPs ====

local function effective_length(lengths)
   local sum, squares = 0, 0
   for _, n in ipairs(lengths) do sum, squares = sum + n, squares + n * n end
   return squares / sum, sum
end

--- FLOPs of a forward pass for one token.
---@param d table sizes, as an architecture's dimensions gives them
---@param task? "classification"|"mlm"
function benchmark.flops(d, lengths, task)
   local h, e = d.hidden, d.embedding
   local guess = task == "mlm" and MASKED * (2 * h * e + 2 * e * d.vocab) or 0
   local projection = e ~= h and 2 * e * h or 0
   return d.layers * (8 * h * h + 4 * h * d.inner + 4 * effective_length(lengths) * h) + projection + guess
end

-- The products of one training step on M tokens: { form, M, N, K }.
local function products(d, M)
   local h, inner = d.hidden, d.inner
   local out = {}
   for _, p in ipairs { { 3 * h, h }, { h, h }, { inner, h }, { h, inner } } do
      local N, K = p[1], p[2]
      out[#out + 1] = { "nt", M, N, K }
      out[#out + 1] = { "nn", M, K, N }
      out[#out + 1] = { "tn", N, K, M }
   end
   return out
end

local function best_time(p, precision)
   local flops = 2 * p[2] * p[3] * p[4]
   local repeats, best = math.max(1, math.min(2000, math.floor(4e9 / flops))), math.huge
   for _ = 1, 5 do best = math.min(best, sys.product_time(p[1], p[2], p[3], p[4], repeats, precision) / repeats) end
   return best, flops
end

--- FLOP/s of the step's own products (FLOP-weighted harmonic mean), for each the best of all libraries.
function benchmark.product_rate(d, M, precision)
   local used = sys.product().name
   local best, flops = {}, {}
   for _, name in ipairs { "openblas", "onednn" } do
      if sys.product(name) and (precision == "f32" or sys.bf16()) then
         for i, p in ipairs(products(d, M)) do
            local t, f = best_time(p, precision)
            best[i], flops[i] = math.min(best[i] or math.huge, t), f
         end
      end
   end
   sys.product(used)
   local time, work = 0, 0
   for i = 1, #best do time, work = time + best[i], work + flops[i] end
   return work / time
end

-- ==== Measuring ====

local function median(list)
   table.sort(list)
   return list[(#list + 1) // 2]
end

local function profile_table()
   local out = graph.profile()
   graph.profile(false)
   table.sort(out, function(a, b) return a.forward_s + a.backward_s > b.forward_s + b.backward_s end)
   return out
end

-- A context as the runner makes it, with a log that is written and thrown away. Measured are updates behind `warm`, without
-- the last one, at whose end the epoch's weights are kept. `rates` gets their tokens and seconds, and the profile if asked for.
local function context_for(rates, warm, last, profiled)
   local log = fs.append "/dev/null"
   local ctx = training.context { step = "bench", seed = 1, log = log }
   function ctx:own(m)
      m.attach = function(_, optimiser) self:attach(m, optimiser) end
      return m
   end
   function ctx.say() end
   function ctx.settled() end
   function ctx.card() end
   function ctx.on_update(entry, update, seconds)
      if entry.step > warm and entry.step < last then rates[#rates + 1] = { tokens = update.tokens, seconds = seconds } end
      if profiled and entry.step == warm then graph.profile(true) end
      if profiled and entry.step == last - 1 then rates.profile = profile_table() end
   end
   return ctx
end

local function rate_of(list)
   local tokens, seconds = 0, 0
   for _, r in ipairs(list) do tokens, seconds = tokens + r.tokens, seconds + r.seconds end
   return tokens / seconds
end

-- A tokeniser of as many invented words, for what asks one which tokens are special.
local function words(vocab)
   local dir = ("%s/ftpipe-bench-%d"):format(sys.getenv "TMPDIR" or "/tmp", sys.pid())
   local list = { "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]" }
   for k = #list + 1, vocab do list[k] = "w" .. k end
   failure.try("system", fs.mkdirs(dir))
   failure.try("system", fs.write(dir .. "/vocab.txt", table.concat(list, "\n") .. "\n"))
   local tokenizer = failure.try("system", text.load(dir))
   fs.remove(dir)
   return tokenizer
end

-- The training loop of a task over the split; gives the model.
local function train(opts, config, ctx, split)
   local unit = opts.task == "mlm" and pretrain or finetune
   local params = {}
   for key, spec in pairs(unit.params) do params[key] = spec.default end
   params.precision, params.lr, params.epochs, params.batch, params.patience = opts.precision, 1e-5, 1, opts.batch, 0
   local head = opts.task == "mlm" and "masked_lm" or "classification"
   local m = model.random(config, { head = head, labels = { "a", "b" } }, 1)
   unit.run(ctx, { model = m, data = { train = split, tokenizer = opts.task == "mlm" and words(m.dims.vocab) or nil } }, params)
   return m
end

-- Seconds of a pass over the split without training, up to the logits; of pre-training hidden states, which is nearly all of it.
local function evaluation_time(m, split)
   local forward = m.head_unit.name == "masked_lm" and m.hidden or m.forward
   local start = sys.now()
   for _, index in ipairs(scoring.batches(split.tokens, training.TOKENS)) do
      m:begin()
      forward(m, split.tokens:batch(index))
   end
   graph.begin "eval"
   return sys.now() - start
end

--- opts: task, shape or model (a directory), lengths, batch, updates, warm, profile. Returns a table of figures.
function benchmark.run(opts)
   local shape, batch, warm = opts.model or opts.shape, opts.batch, opts.warm
   local all = opts.updates + warm + 1
   local config = configuration(opts.shape, opts.model)
   local d = arch.find(config.model_type).dimensions(config)
   local lengths = benchmark.lengths(opts.lengths, batch * all, math.min(d.positions, 512))
   local split = split_of(lengths, d.vocab)
   local rates = {}
   local m = train(opts, config, context_for(rates, warm, all, opts.profile), split)
   evaluation_time(m, split)
   local passes = {}
   if opts.profile then graph.profile(true) end
   for k = 1, 3 do passes[k] = evaluation_time(m, split) end
   local eval_profile = opts.profile and profile_table()
   local memory = sys.memory()      -- before the products' own measurement, which loads every library
   local _, total = effective_length(lengths)
   local per_token = benchmark.flops(d, lengths, opts.task)
   local speed, eval = rate_of(rates), total / median(passes)
   local tokens = math.min(training.TOKENS, math.floor(total / all))
   local products_s = benchmark.product_rate(d, tokens, opts.precision)
   return { shape = shape, lengths = opts.lengths, batch = batch, updates = #rates, threads = sys.threads(),
      precision = opts.precision, task = opts.task,
      products_by = sys.product().name, kernels = (sys.isa()), train_tok_s = speed, eval_tok_s = eval,
      train_flop_s = 3 * per_token * speed, product_flop_s = products_s,
      train_share = 3 * per_token * speed / products_s, eval_share = benchmark.flops(d, lengths) * eval / products_s,
      peak_bytes = memory.peak, resident_bytes = memory.resident, profile = rates.profile, eval_profile = eval_profile }
end

return benchmark
