--- Step kinds by name. A kind is one file: { kind, version, inputs, params, run(ctx, inputs, params) }.
--
-- inputs: name -> "required" | "optional" | "list" (a table of steps). params: name -> { type, default, choices,
-- min, max, help }. run gets the artifacts of its inputs and gives one artifact back.

local steps = {}
for _, kind in ipairs { "read", "split", "pretrained", "tokenize", "replace_head", "finetune", "evaluate",
   "vocabulary", "new_encoder", "corpus", "pretrain", "distill", "soft_labels" } do
   steps[kind] = require("ftpipe.step." .. kind)
end

return steps
