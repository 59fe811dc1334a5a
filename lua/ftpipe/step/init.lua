--- Step kinds by name. A kind is one file: { kind, version, inputs, params, run(ctx, inputs, params) }.
--
-- inputs: name -> "required" | "optional" | "list" (a table of steps). params: name -> { type, default, choices,
-- min, max, help }. run gets the artifacts of its inputs and gives one artifact back. A change of what a kind gives for the
-- same input needs another version, because results are kept under it (tests/lua/test_step_versions.lua has a record of each).
--
-- Also: files(params) names the files it reads, which the parameters in `sources` ({ "from" } unless said otherwise) lead to;
-- fetches: it needs the network, and so runs before foreign Lua is loaded, when that is given up; exact: its result has the
-- same bits on every machine; seedless: nothing in it is random; trains: it makes checkpoints; streams: of the texts that it
-- reads it holds little in memory; stored = false: its result is not kept but computed again, because that is cheap; save and
-- load: a form of its own for what is kept, see ftpipe.artifact; leave(dir, artifact, id) writes files into a run's directory,
-- also where the step was not run, and tells whether it did; early: it only handles rows and runs before anything expensive, so
-- that all that is wrong with the data is told together; extent(artifact): what forecasts want to know of it. outside(params):
-- values that stand for some in what identifies the step (false: none), where an address does not.

local steps = {}
for _, kind in ipairs { "read", "split", "pretrained", "tokenize", "replace_head", "finetune", "evaluate",
   "download", "extract", "vocabulary", "new_encoder", "corpus", "pretrain", "distill", "soft_labels", "shrink",
   "sample", "filter", "map", "concat", "dedupe", "folds", "predict" } do
   steps[kind] = require("ftpipe.step." .. kind)
end

return steps
