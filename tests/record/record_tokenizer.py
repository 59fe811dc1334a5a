#!/usr/bin/env python3
"""Record what Hugging Face `tokenizers` does, for the tests and tables of runtime/text.

Needs `pip install tokenizers==0.23.3`. Run from the repository root:

   record_tokenizer.py unicode > runtime/text/unicode_table.c
      Ask the library about every code point. Its parts were built with different versions of
      Unicode, so no one version's tables give the same ids.

   record_tokenizer.py fixtures
      Rewrite tests/fixtures/tokenizer/*.tsv from the tokenizer files and sentences there. Files that
      this script trains (unigram.json, fallback.json, parts.json) are made where they are missing.

   record_tokenizer.py real DIR TEXT [lower|cased|gpt2]
      Print the digests that tests/text/real_tokenizer expects for a tokenizer's folder (its
      tokenizer.json; with "lower" or "cased", its vocab.txt; with "gpt2", its vocab.json and
      merges.txt) and a text of one sentence a line.
      Nothing of the text is in the output. tests/fixtures/tokenizer/real/ holds it for
         minilm   all-MiniLM-L6-v2, its tokenizer.json
         lower    bert-base-uncased, its vocab.txt
         roberta, t5, phi3    roberta-base, t5-small, phi-3-mini, their tokenizer.json
         gpt2     gpt2, its vocab.json and merges.txt
         cased    bert-base-cased, its vocab.txt beside tests/fixtures/tokenizer/cased/tokenizer_config.json
      each on sst2 (the sentence form's stsa.binary.train, labels and all) and naughty (blns.txt,
      the list of naughty strings).
"""
import base64
import hashlib
import json
import os
import struct
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

FIXTURES = "tests/fixtures/tokenizer"
REMOVE, SPACE, PUNCT, MARK, CJK, WORD, NFD = 1, 2, 4, 8, 16, 32, 64


# ---- the class of every code point -------------------------------------------------------------

def classes():
    """One byte a code point: how the library's BERT parts and its regular expressions treat it."""
    clean = normalizers.BertNormalizer(True, False, False, False).normalize_str
    strip = normalizers.BertNormalizer(False, False, True, False).normalize_str
    cjk = normalizers.BertNormalizer(False, True, False, False).normalize_str
    nfd = normalizers.NFD().normalize_str
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    words = Tokenizer(models.WordPiece({"[UNK]": 0, "x": 1}, unk_token="[UNK]"))
    words.add_tokens([AddedToken("x", single_word=True, normalized=False)])

    out = bytearray(0x110000)
    for cp in range(0x110000):
        if 0xD800 <= cp <= 0xDFFF:
            continue
        c = chr(cp)
        between = "a" + c + "b"
        parts = len(split(between))
        bits = 0
        if clean(between) == "ab":
            bits |= REMOVE
        if parts == 2:
            bits |= SPACE
        if parts == 3:
            bits |= PUNCT
        if strip(between) == "ab":
            bits |= MARK
        if cjk(between) != between:
            bits |= CJK
        if c != "x" and 1 not in words.encode("x" + c).ids or c == "x":
            bits |= WORD
        # Decomposes, or has a combining class (U+0345 has a very high one, U+0334 the lowest).
        if nfd(between) != between or nfd("a\u0345" + c)[1:] != "\u0345" + c \
                or nfd("a" + c + "\u0334")[1:] != c + "\u0334" or cp in (0x334, 0x345):
            bits |= NFD
        out[cp] = bits
    return out


def print_array(kind, name, words, per):
    print(f"const {kind} {name}[{len(words)}] = {{")
    for i in range(0, len(words), per):
        print("    " + ", ".join(words[i:i + per]) + ",")
    print("};")


def print_table():
    cls = classes()
    runs, page = [], []
    for cp in range(0x110000):
        if cp == 0 or cls[cp] != cls[cp - 1]:
            runs.append(cp << 8 | cls[cp])
        if cp % 256 == 0 and cp <= 0x30000:
            page.append(len(runs) - 1)
    print("""/* runtime/text/unicode_table.c - the class of every code point, as the reference sees it.
 *
 * Written by tests/record/record_tokenizer.py; do not edit. A run is its first code
 * point << 8 | its FT_UC_* bits, and lasts to the next run. ft_uc_page[p] is the run
 * in which code point p * 256 lies.
 */
#include "text/unicode.h"

/* clang-format off */""")
    print_array("uint32_t", "ft_uc_run", [f"0x{v:08x}" for v in runs], 9)
    print(f"\nconst uint32_t ft_uc_runs = {len(runs)};\n")
    print_array("uint16_t", "ft_uc_page", [f"{v:4d}" for v in page], 19)
    print("/* clang-format on */")


# ---- digests of a real text --------------------------------------------------------------------

MODES = (   # name, pair, max_length, strategy, special tokens, stride of windows: as in tests/text/real_tokenizer.c
    ("single", False, 0, "longest_first", True, None),
    ("bare", False, 0, "longest_first", False, None),
    ("pair", True, 0, "longest_first", True, None),
    ("max_16", False, 16, "longest_first", True, None),
    ("pair_max_16", True, 16, "longest_first", True, None),
    ("pair_max_33", True, 33, "longest_first", True, None),
    ("pair_only_first_24", True, 24, "only_first", True, None),
    ("pair_only_second_24", True, 24, "only_second", True, None),
    ("windows_12", False, 12, "longest_first", True, 3),
    ("pair_windows_40", True, 40, "only_second", True, 5),
)


def vocab_tokenizer(path, lower):
    """What a vocab.txt means: BERT's parts around the vocabulary, special tokens matched in raw text."""
    tok = Tokenizer(models.WordPiece.from_file(path, unk_token="[UNK]"))
    tok.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tok.normalizer = normalizers.BertNormalizer(True, True, None, lower)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    sep, cls = (("[SEP]", tok.token_to_id("[SEP]")), ("[CLS]", tok.token_to_id("[CLS]")))
    tok.post_processor = processors.BertProcessing(sep, cls)
    tok.decoder = decoders.WordPiece()
    return tok


def gpt2_tokenizer(folder):
    """What vocab.json and merges.txt mean when they have GPT-2's one special token."""
    tok = Tokenizer(models.BPE.from_file(folder + "/vocab.json", folder + "/merges.txt"))
    tok.add_special_tokens(["<|endoftext|>"])
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    return tok


def packed(enc, first):
    """Numbers of one window. Further windows lack the types that a template gives, and without post-processor also the
    number of the sequence: a flaw of the library's, so both are taken from the first window."""
    seq = [s if s is not None else -1 if special else t
           for s, special, t in zip(enc.sequence_ids, enc.special_tokens_mask, enc.type_ids)]
    types = {s: t for s, t in zip(first.sequence_ids, first.type_ids) if s is not None}
    rows = [len(enc.ids)]
    for i, t, s, (b, e) in zip(enc.ids, enc.type_ids, seq, enc.offsets):
        rows += (i, types.get(s, t), s, b, e)
    return struct.pack(f"<{len(rows)}i", *rows)


def print_real(tok, path):
    tok.no_padding()
    with open(path, encoding="utf-8", newline="\n") as f:
        lines = f.read().split("\n")
    if lines[-1] == "":
        lines.pop()
    for name, pair, max_length, strategy, special, stride in MODES:
        tok.no_truncation()
        if max_length:
            tok.enable_truncation(max_length, strategy=strategy, stride=stride or 0)
        digest, tokens = hashlib.sha256(), 0
        for a, b in zip(lines, lines[1:]) if pair else ((line, None) for line in lines):
            try:
                enc = tok.encode(a, b, add_special_tokens=special)
            except KeyboardInterrupt:
                raise
            except BaseException:   # a text too short to truncate, or for the stride (a panic)
                digest.update(struct.pack("<i", -1))
                continue
            for window in [enc] + (enc.overflowing if stride is not None else []):
                digest.update(packed(window, enc))
                tokens += len(window.ids)
        print(name, tokens, digest.hexdigest())


# ---- fixtures ----------------------------------------------------------------------------------

def listed(enc):
    seq = (-1 if s is None else s for s in enc.sequence_ids)
    return " ".join(f"{i}:{t}:{s}:{b}:{e}" for i, t, s, (b, e) in zip(enc.ids, enc.type_ids, seq, enc.offsets))


def write_fixture(name, tok):
    """One line an encoding: first sentence, second (or -1), max_length, windows' stride (or -1), then per window a
    tab and id:type:sequence:begin:end of its tokens. A last line: the ids of all sentences, a tab, their decoding."""
    tok.no_padding()
    with open(f"{FIXTURES}/sentences.txt", encoding="utf-8", newline="\n") as f:
        lines = f.read().split("\n")[:-1]
    rows = []
    for i in range(len(lines)):
        for pair, max_length, stride in ((-1, 0, -1), ((i + 1) % len(lines), 0, -1), (-1, 9, -1),
                                         ((i + 1) % len(lines), 14, -1), (-1, 8, 2)):
            tok.no_truncation()
            if max_length:
                tok.enable_truncation(max_length, stride=max(stride, 0))
            enc = tok.encode(lines[i], None if pair < 0 else lines[pair])
            windows = [enc] + (enc.overflowing if stride >= 0 else [])
            rows.append("\t".join([f"{i} {pair} {max_length} {stride}"] + [listed(w) for w in windows]))
    tok.no_truncation()
    ids = [i for line in lines for i in tok.encode(line).ids]
    for skip in (True, False):
        text = tok.decode(ids, skip_special_tokens=skip)
        rows.append(f"decode {int(skip)}\t" + " ".join(map(str, ids)) + "\t" + text)
    with open(f"{FIXTURES}/{name}.tsv", "w", encoding="utf-8", newline="\n") as f:
        f.write("\n".join(rows) + "\n")


def byte_level_files(folder):
    """vocab.json and merges.txt of a small byte-level BPE learnt from the sentences."""
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=520, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
    tok.train([f"{FIXTURES}/sentences.txt"], trainer)
    tok.model.save(folder)


def roberta_tokenizer(folder):
    """What vocab.json and merges.txt mean when they have RoBERTa's special tokens."""
    tok = Tokenizer(models.BPE.from_file(folder + "/vocab.json", folder + "/merges.txt"))
    tok.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True, special=True)])
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    ids = [(name, tok.token_to_id(name)) for name in ("</s>", "<s>")]
    tok.post_processor = processors.RobertaProcessing(*ids, trim_offsets=True, add_prefix_space=False)
    return tok


def double_array(rules):
    """A precompiled charsmap in base 64: a Darts double array over the keys of {key: replacement}, by first fit."""
    texts, at = b"", {}
    for value in rules.values():
        at.setdefault(value, len(texts))
        if at[value] == len(texts):
            texts += value.encode() + b"\0"
    units, used = [0] * 1024, {0}
    def place(keys, pos):
        """keys: the rests of the keys below the node at pos, with their values; returns the node's offset."""
        labels = sorted({k[0] if k else 0 for k, _ in keys})
        base = next(b for b in range(1, 700) if all(b ^ c not in used and b ^ c < 1024 for c in labels))
        used.update(base ^ c for c in labels)
        for c in labels:
            below = [(k[1:], v) for k, v in keys if k and k[0] == c]
            if c == 0:
                units[base] = at[next(v for k, v in keys if not k)] | 1 << 31
                continue
            child = base ^ c
            offset = place(below, child) ^ child
            units[child] = c | offset << 10 | (1 << 8 if any(not k for k, _ in below) else 0)
        return base
    units[0] = place([(k.encode(), v) for k, v in rules.items()], 0) << 10
    return base64.b64encode(struct.pack(f"<I{len(units)}I", 4 * len(units), *units) + texts).decode()


RULES = {"\t": " ", "\u00a0": " ", "\u3000": " ", "\u2122": "TM", "\ufb01": "fi", "\u200b": "",
         "e\u0301": "\u00e9", "\uff21": "A", "\u2026": "...", "\u00bd": "1/2", "\u0ccc": "x"}


def unigram_file(path):
    """A Unigram as in T5 or XLM-R, learnt from the sentences, with rules of its own."""
    tok = Tokenizer(models.Unigram())
    tok.normalizer = normalizers.Precompiled(base64.b64decode(double_array(RULES)))
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tok.decoder = decoders.Metaspace()
    tok.train([f"{FIXTURES}/sentences.txt"], trainers.UnigramTrainer(
        vocab_size=300, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False))
    tok.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    tok.add_tokens([AddedToken("Caf\u00e9", normalized=True), AddedToken("zz", single_word=True, rstrip=True)])
    tok.post_processor = processors.TemplateProcessing(
        "<s> $A </s>", "<s> $A </s> </s> $B </s>", [("<s>", tok.token_to_id("<s>")), ("</s>", tok.token_to_id("</s>"))])
    tok.save(path)


def fallback_file(path):
    """A BPE without pre-tokeniser that falls back to bytes, as in Llama and Phi-3."""
    tok = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tok.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tok.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")   # in training alone: no token spans a blank
    tok.train([f"{FIXTURES}/sentences.txt"], trainers.BpeTrainer(
        vocab_size=420, limit_alphabet=60, show_progress=False,
        special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]))
    model = json.loads(tok.to_str())
    model["added_tokens"] = model["added_tokens"][:3]
    model["pre_tokenizer"] = None
    tok = Tokenizer.from_str(json.dumps(model))
    tok.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(),
                                     decoders.Strip(" ", 1, 0)])
    tok.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A <s>:1 $B:1", [("<s>", 1)])
    tok.save(path)


def parts_file(path):
    """As many parts as go together: normal forms, regular expressions, digits, bytes without words."""
    tok = Tokenizer(models.BPE(ignore_merges=True))
    tok.normalizer = normalizers.Sequence([
        normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(), normalizers.Strip(),
        normalizers.Replace(Regex(" {2,}"), " "), normalizers.NFC()])
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*"
                                   r"|\s*[\r\n]|\s+(?!\S)|\s+"), "isolated"),
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Punctuation("merged_with_previous"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    tok.train([f"{FIXTURES}/sentences.txt"], trainers.BpeTrainer(
        vocab_size=460, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False,
        special_tokens=["[CLS]", "[SEP]"]))
    tok.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=True, add_prefix_space=True),
        processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 0), ("[SEP]", 1)])])
    tok.save(path)


def write_fixtures():
    for name, make in (("unigram", unigram_file), ("fallback", fallback_file), ("parts", parts_file)):
        if not os.path.exists(f"{FIXTURES}/{name}.json"):   # training is not the same every time
            make(f"{FIXTURES}/{name}.json")
        write_fixture(name, Tokenizer.from_file(f"{FIXTURES}/{name}.json"))
    byte_level_files(f"{FIXTURES}/bytes")
    write_fixture("bytes", roberta_tokenizer(f"{FIXTURES}/bytes"))
    write_fixture("json", Tokenizer.from_file(f"{FIXTURES}/json/tokenizer.json"))
    write_fixture("lower", vocab_tokenizer(f"{FIXTURES}/lower/vocab.txt", True))
    write_fixture("cased", vocab_tokenizer(f"{FIXTURES}/cased/vocab.txt", False))


if __name__ == "__main__":
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command == "unicode":
        print_table()
    elif command == "fixtures":
        write_fixtures()
    elif command == "real" and len(sys.argv) in (4, 5):
        folder, text = sys.argv[2:4]
        form = sys.argv[4] if len(sys.argv) == 5 else "json"
        print_real(Tokenizer.from_file(folder + "/tokenizer.json") if form == "json" else gpt2_tokenizer(folder)
                   if form == "gpt2" else vocab_tokenizer(folder + "/vocab.txt", form == "lower"), text)
    else:
        sys.exit(__doc__)
