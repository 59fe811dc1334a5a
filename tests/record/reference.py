# tests/record/reference.py - what the recording scripts share: batches, optimiser traces, files.
#
# Everything runs in float64 on one thread, so a second recording on the same machine is the same to the byte.
# The model stays in evaluation mode while it trains: that is how "dropout 0" is done here.
import hashlib
import json
import math
import struct

import torch
from safetensors.torch import save_file

torch.set_num_threads(1)


def pad(rows, pad_id=0):
    """rows: list of (ids, types) -> ids, mask, types, each (B, longest) int64."""
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.full((len(rows), longest), pad_id, dtype=torch.long)
    mask = torch.zeros_like(ids)
    types = torch.zeros_like(ids)
    for r, (row_ids, row_types) in enumerate(rows):
        n = len(row_ids)
        ids[r, :n] = torch.tensor(row_ids)
        types[r, :n] = torch.tensor(row_types)
        mask[r, :n] = 1
    return ids, mask, types


def encoder_output(encoder, rows):
    """Run a BertModel -> (real tokens' last hidden state (T, H), pooled (B, H) or None)."""
    ids, mask, types = pad(rows)
    out = encoder(input_ids=ids, attention_mask=mask, token_type_ids=types)
    pooled = getattr(out, "pooler_output", None)
    return out.last_hidden_state[mask.bool()], pooled


def logits_of(model, rows):
    ids, mask, types = pad(rows)
    return model(input_ids=ids, attention_mask=mask, token_type_ids=types).logits


def linear_schedule(peak, total):
    """peak * min(k / (0.1 total), (total - k + 1) / (0.9 total)) for update k = 1..total."""
    warmup, fall = max(1.0, 0.1 * total), 0.9 * total
    return [peak * min((k + 1) / warmup, (total - k) / fall) for k in range(total)]


def takes_decay(name):
    """Weight decay is for every parameter except biases and LayerNorm gains."""
    return not name.endswith("bias") and "LayerNorm" not in name


def adamw(named_parameters, lr, weight_decay, betas=(0.9, 0.999), eps=1e-8):
    named_parameters = list(named_parameters)
    return torch.optim.AdamW(
        [
            {"params": [p for n, p in named_parameters if takes_decay(n)], "weight_decay": weight_decay},
            {"params": [p for n, p in named_parameters if not takes_decay(n)], "weight_decay": 0.0},
        ],
        lr=lr,
        betas=betas,
        eps=eps,
        foreach=False,
    )


def train(parameters, optimiser, loss_of, batches, rates, clip=None):
    """One update per batch. Returns losses (before each update) and gradient norms (before clipping)."""
    parameters = list(parameters)
    losses, norms = [], []
    for batch, rate in zip(batches, rates, strict=True):
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = loss_of(batch)
        optimiser.zero_grad()
        loss.backward()
        bound = math.inf if clip is None else clip
        norms.append(float(torch.nn.utils.clip_grad_norm_(parameters, bound, foreach=False)))
        losses.append(float(loss.detach()))
        optimiser.step()
    return losses, norms


def ids_digest(ids):
    """SHA-256 over the ids as little-endian int32."""
    return hashlib.sha256(struct.pack(f"<{len(ids)}i", *ids)).hexdigest()


def f32(tensor):
    return tensor.detach().to(torch.float32).contiguous().clone()


def i32(values):
    return torch.tensor(values, dtype=torch.int32)


def write_tensors(path, tensors):
    save_file(tensors, str(path), metadata={"format": "pt"})
    path.chmod(0o644)


def write_json(path, value):
    """Indented, but a list of numbers (or of lists of numbers) stays on one line."""
    path.write_text(_layout(value, 0) + "\n", encoding="utf-8")


def _layout(value, depth):
    inner = "  " * (depth + 1)
    if isinstance(value, dict) and value:
        body = ",\n".join(f"{inner}{json.dumps(k)}: {_layout(v, depth + 1)}" for k, v in value.items())
        return "{\n" + body + "\n" + "  " * depth + "}"
    if isinstance(value, list) and any(isinstance(v, (dict, list, str)) for v in value):
        body = ",\n".join(inner + _layout(v, depth + 1) for v in value)
        return "[\n" + body + "\n" + "  " * depth + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
