#!/usr/bin/env python3
"""Compare ids, types and offsets with Hugging Face `tokenizers`, on whole texts and on random strings.

   compare_tokenizers.py PROGRAM TOKENIZERS WORK TEXT...

PROGRAM is the built tests/text/real_tokenizer. TOKENIZERS holds a folder for each tokenizer (tokenizer.json, vocab.txt, or
vocab.json and merges.txt). A TEXT has one sentence a line; "random" makes one up: strings of code points that Python's
Unicode and the library's agree on, words of the other texts among them. WORK is for files made on the way.

Each of real_tokenizer's modes is digested on both sides (see there); a line tells how many modes are the same, and the
speeds of "single" on one thread. Exits with 1 if anything differs.
"""
import io
import os
import random
import subprocess
import sys
import time
import unicodedata
from contextlib import redirect_stdout
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers   # noqa: E402
from record_tokenizer import gpt2_tokenizer, print_real, vocab_tokenizer   # noqa: E402

FORMS = [(f, getattr(normalizers, f)().normalize_str) for f in ("NFC", "NFD", "NFKC", "NFKD")]


def told_apart(pattern):
    """Whether the library's regular expressions find a character of `pattern` in a character between two others."""
    split = pre_tokenizers.Split(Regex(pattern), "removed").pre_tokenize_str
    return lambda c: len(split("\x01" + c + "\x01")) > 1


def alike():
    """Code points that are assigned here and that the library takes for what this Python takes them: normal forms, lower case,
    marks, letters, numbers, punctuation, white space. The two know different versions of Unicode, and so does ftpipe."""
    lower, strip = normalizers.Lowercase().normalize_str, normalizers.StripAccents().normalize_str
    bare = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False).normalize_str
    bert = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    classes = [(told_apart(r"\p{%s}" % k), k) for k in "LN"]
    space = told_apart(r"\s")
    out = []
    for cp in range(1, 0x110000):
        c = chr(cp)
        kind = unicodedata.category(c)
        if cp == 10 or kind in ("Cn", "Cs", "Co"):
            continue
        pieces = 2 if c.isspace() and not 0x1C <= cp <= 0x1F else 3 if kind[0] == "P" or (cp < 128 and kind[0] == "S") else 1
        if (all(f(c) == unicodedata.normalize(name, c) for name, f in FORMS) and lower(c) == "".join(x.lower() for x in c)
                and (strip(c) == "") == (kind[0] == "M") and (bare(c) == "") == (kind == "Mn") and len(bert("a" + c + "b")) == pieces and space(c) == (pieces == 2)
                and all(has(c) == (kind[0] == k) for has, k in classes)):
            out.append(cp)
    return out


def random_lines(texts, n=6000):
    draw, cps = random.Random(1), alike()
    words = [w for t in texts for w in Path(t).read_text(encoding="utf-8").split()[:2000]] or ["a"]
    low = [cp for cp in cps if cp < 0x3000]
    marks = [cp for cp in cps if unicodedata.category(chr(cp)) in ("Mn", "Mc", "Cf")]
    spaces = [cp for cp in cps if chr(cp).isspace()]
    lines = []
    for _ in range(n):
        parts = []
        for _ in range(draw.randint(1, 30)):
            kind = draw.random()
            if kind < 0.35:
                parts.append(draw.choice(words))
            elif kind < 0.55:
                parts.append(" " * draw.randint(1, 3))
            elif kind < 0.62:
                parts.append(chr(draw.choice(spaces)))
            elif kind < 0.7:
                parts.append(chr(draw.choice(marks)))
            elif kind < 0.76:
                parts.append(draw.choice(["<s>", "</s>", "<mask>", " <mask> ", "<unk>", "[MASK]", "<|user|>", "<0x41>", "'ll"]))
            else:
                parts.append(chr(draw.choice(low if kind < 0.9 else cps)))
        lines.append("".join(parts).replace("\n", " "))
    return lines


def load(folder):
    if (folder / "tokenizer.json").exists():
        return Tokenizer.from_file(str(folder / "tokenizer.json"))
    if (folder / "vocab.txt").exists():
        return vocab_tokenizer(str(folder / "vocab.txt"), True)
    return gpt2_tokenizer(str(folder))


def speed(tok, text):
    lines = text.read_text(encoding="utf-8").split("\n")
    start = time.process_time()
    tok.encode_batch(lines)
    return text.stat().st_size / 1e6 / (time.process_time() - start)


def compare(program, folder, text):
    tok, out = load(folder), io.StringIO()
    mine = subprocess.run([program, folder, text], capture_output=True, text=True)
    if mine.returncode:
        return print(f"{folder.name} {text.stem}: {mine.stderr}") or False
    with redirect_stdout(out):
        print_real(tok, text)
    tok.no_truncation()
    got, want = mine.stdout.splitlines(), out.getvalue().splitlines()
    differ = [w.split()[0] for g, w in zip(got, want) if g != w]
    fast = mine.stderr.splitlines()[0].split()[1]
    print(f"{folder.name:18} {text.stem:12} {len(want) - len(differ)} of {len(want)} modes the same, {want[0].split()[1]} tokens; "
          f"{fast} MB/s, tokenizers {speed(tok, text):.1f} MB/s{'; differ: ' + ' '.join(differ) if differ else ''}", flush=True)
    return not differ


def main(program, tokenizers, work, *texts):
    files = [Path(t) for t in texts if t != "random"]
    if "random" in texts:
        made = Path(work) / "random.txt"
        made.write_text("\n".join(random_lines(files)) + "\n", encoding="utf-8", newline="\n")
        files.append(made)
    same = True
    for folder in sorted(f for f in Path(tokenizers).iterdir() if f.is_dir()):
        for text in files:
            same &= compare(program, folder, text)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) > 4 else __doc__)
