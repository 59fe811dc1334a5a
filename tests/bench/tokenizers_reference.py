"""MB/s of Hugging Face `tokenizers` on one thread: tokenizers_reference.py FOLDER TEXT; the best of three, without offsets."""
import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
sys.path.insert(0, "tests/record")

from compare_tokenizers import load   # noqa: E402
from pathlib import Path   # noqa: E402

tok = load(Path(sys.argv[1]))
tok.no_padding()
tok.no_truncation()
lines = Path(sys.argv[2]).read_text(encoding="utf-8").split("\n")
best = 1e9
for _ in range(3):
    start = time.perf_counter()
    tok.encode_batch_fast(lines)
    best = min(best, time.perf_counter() - start)
print(f", tokenizers {Path(sys.argv[2]).stat().st_size / 1e6 / best:6.1f} MB/s on 1")
