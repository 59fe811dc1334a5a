"""tests/record/wordpiece_reference.py - records tests/fixtures/wordpiece_train/.

    python tests/record/wordpiece_reference.py        # tokenizers 0.23.3; about ten seconds

Words come from the normaliser and pre-tokeniser of `tokenizers`. The vocabulary is learnt by the plainest form of the
algorithm that runtime/text/wordpiece_train.h states: all pairs are counted anew for each piece. The library's own
trainer takes the order of the characters that continue words from a hash table; given the order of its run, the plain
form must give its vocabulary to the last id, which the script asserts (but where a pair comes back after it was
joined: there the library goes on from the old count, and the script prints how many tokens that changes).

cases.txt has a line for each corpus: name, size, lowercase, strip_accents (-1: as lowercase), cjk, min_frequency,
limit_alphabet, min_word_count, parted by blanks. NAME.txt is the corpus, NAME.vocab the vocab.txt, NAME.ids the ids of
each line of the corpus, special tokens included, as the library encodes them with that vocabulary.
"""
import argparse
import collections
import pathlib
import random

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from tokenizers.implementations import BertWordPieceTokenizer
from tokenizers.processors import BertProcessing

OUT = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "wordpiece_train"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
MAX_CHARS = 100

PLAIN = """The lighter boat was lighter than the light house, and the lighthouse keeper kept lighting lights.
Unbelievable! Believers believed the believable; the unbelieving did not believe it.
She walks, he walked, they are walking: a walker walks the walkway where walkers walked before.
Running runners outrun the runner who ran; a rerun of the run ran long.
We measured 10, 100, 1000 and 10000 grains of sand in 1999, 2009 and 2019.
don't can't won't isn't aren't - it's o'clock; e-mail: someone@example.org (see http://example.org/a_b?c=d).
"""
ACCENTS = """Le garçon a mangé une crêpe brûlée à l'hôtel; les garçons ont mangé des crêpes brûlées.
Die größten Bäume stehen über den Häusern; größer wäre schöner, am schönsten größte Höhe.
Zażółć gęślą jaźń, żółty żółw żuje żółtą żabę. Příliš žluťoučký kůň. Ελληνικά Ελλάδα ΈΛΛΗΝΑΣ.
cafe\u0301 café CAFE\u0301 naïve nai\u0308ve İstanbul ıspanak Việt Nam tiếng Việt a\u0327\u0301 a\u0301\u0327 \u1e69 s\u0323\u0307
ÉCOLE École école ĲSSEL ﬁn Ǆ ǅ ǆ ß ẞ straße STRASSE
"""
IDEOGRAPHS = """今天天气很好，我们去公园散步。今天很好。
日本語のテキストはひらがなとカタカナと漢字を含みます。テキストのテスト。カタカナ語カタカナ。
한국어 텍스트는 단어 사이에 공백이 있습니다. 한국어 단어. 한국 사람은 한국어를 말합니다.
abc中文abc def漢字def 中abc abc abcdef defabc 𠀀𠀁 ｶﾞｷﾞ がぎ
"""
SIGNS = """Wow!!! 🙂🙂 so 👍🏽 good 👩\u200d👩\u200d👧 family ❤️ heart… “quoted” ‘single’ — dash – dash ¿que? ¡si!
a—b a–b x+y=z x<y>z [CLS] [MASK] ##hash #tag ~tilde `tick` $5 €6 £7 ¥8 50% 5°C ½ ² ™ © 🇩🇪🇫🇷
tab\there\u00a0nbsp\u3000wide\u200bzero\u00adsoft\ufeffbom bell\x07bell \x00nul \ufffd replaced \u2028line\u2029par ctrl\x1b
🙂🙂🙂🙂 🙂good👍 good👍🙂 (parens) {braces} semi;colon com,ma\r
"""


def random_corpus(seed, letters, words, longest):
    r = random.Random(seed)
    pool = ["".join(r.choice(letters) for _ in range(r.randint(1, longest))) for _ in range(words)]
    return "\n".join(" ".join(r.choice(pool) for _ in range(12)) for _ in range(40)) + "\n"


def long_corpus():
    base = "".join("abcdefghij"[i * i % 10] for i in range(99))
    lines = [base, base + "k", base + "kl", base + "é", base + "éé", "a" * 99, "a" * 100, "a" * 101, "ж" * 100, "ж" * 101]
    return "\n".join(f"{w} {w} short" for w in lines) + "\n"


# name: text, size, lowercase, strip_accents, cjk, min_frequency, limit_alphabet, min_word_count
CASES = {
    "plain": (PLAIN, 180, 1, -1, 1, 2, 1000, 1),
    "plain_all_pairs": (PLAIN, 2000, 1, -1, 1, 1, 1000, 1),
    "accents": (ACCENTS, 220, 1, -1, 1, 1, 1000, 1),
    "accents_cased": (ACCENTS, 400, 0, -1, 1, 1, 1000, 1),
    "accents_kept": (ACCENTS, 300, 1, 0, 1, 1, 1000, 1),
    "accents_stripped_cased": (ACCENTS, 300, 0, 1, 1, 1, 1000, 1),
    "ideographs": (IDEOGRAPHS, 260, 1, -1, 1, 1, 1000, 1),
    "ideographs_in_words": (IDEOGRAPHS, 400, 1, -1, 0, 1, 1000, 1),
    "signs": (SIGNS, 300, 1, -1, 1, 1, 1000, 1),
    "ties": ("ba ab cd dc ac ca bd db abcd dcba\n" * 3, 40, 1, -1, 1, 1, 1000, 1),
    "few_characters": (PLAIN + ACCENTS + IDEOGRAPHS, 150, 1, -1, 1, 2, 20, 1),
    "frequent_words": (PLAIN + PLAIN + ACCENTS, 200, 1, -1, 1, 3, 1000, 2),
    "long_words": (long_corpus(), 120, 1, -1, 1, 2, 1000, 1),
    "few_letters": (random_corpus(5, "abc", 90, 14), 260, 1, -1, 1, 1, 1000, 1),
    "runs_of_a_letter": (random_corpus(6, "aaaab", 40, 20), 120, 1, -1, 1, 1, 1000, 1),
}


def normalizer(lower, strip, cjk):
    return normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=bool(cjk),
                                      strip_accents=None if strip < 0 else bool(strip), lowercase=bool(lower))


def count_words(text, lower, strip, cjk, min_word_count):
    norm, pre, counts = normalizer(lower, strip, cjk), pre_tokenizers.BertPreTokenizer(), collections.Counter()
    for line in text.split("\n"):
        counts.update(word for word, _ in pre.pre_tokenize_str(norm.normalize_str(line)))
    return {w: n for w, n in counts.items() if n >= min_word_count and len(w) <= MAX_CHARS}


def learn(counts, size, min_frequency, limit_alphabet, units=None):
    """The vocabulary as a list; `units`: the tokens of single characters, in an order that is given."""
    if units is None:
        seen, inner = collections.Counter(), set()
        for word, n in counts.items():
            for i, c in enumerate(word):
                seen[c] += n
                if i:
                    inner.add(c)
        kept = sorted(sorted(seen, key=lambda c: (-seen[c], c))[:limit_alphabet])
        units = kept + ["##" + c for c in kept if c in inner]
    vocabulary = SPECIAL + units
    ids = {token: i for i, token in enumerate(vocabulary)}
    words = [([ids[u] for u in ("##" * (i > 0) + c for i, c in enumerate(w)) if u in ids], n) for w, n in counts.items()]
    while len(vocabulary) < size:
        pairs = collections.Counter()
        for pieces, n in words:
            for pair in zip(pieces, pieces[1:]):
                pairs[pair] += n
        if not pairs:
            break
        (a, b), n = min(pairs.items(), key=lambda item: (-item[1], item[0]))
        if n < max(min_frequency, 1):
            break
        token = vocabulary[a] + vocabulary[b][2:]
        assert token not in ids
        ids[token] = len(vocabulary)
        vocabulary.append(token)
        for k, (pieces, count) in enumerate(words):
            out, i = [], 0
            while i < len(pieces):
                pair = pieces[i:i + 2] == [a, b]
                out.append(ids[token] if pair else pieces[i])
                i += 2 if pair else 1
            words[k] = (out, count)
    return vocabulary


def by_library(counts, size, min_frequency, limit_alphabet):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordPieceTrainer(vocab_size=size, min_frequency=min_frequency, limit_alphabet=limit_alphabet,
                                        special_tokens=SPECIAL, show_progress=False, continuing_subword_prefix="##")
    t.train_from_iterator((" ".join([w] * n) for w, n in counts.items()), trainer)
    return sorted(t.get_vocab(), key=t.get_vocab().get)


def check_library(name, counts, size, min_frequency, limit_alphabet):
    library = by_library(counts, size, min_frequency, limit_alphabet)
    units = [t for t in library[len(SPECIAL):] if len(t) == 1 or (len(t) == 3 and t.startswith("##"))]
    plain = learn(counts, size, min_frequency, limit_alphabet, units)
    assert plain == library, name
    print(f"{name}: {len(plain)} tokens as the library has them, given its order of characters")


def ids_of(vocabulary, text, lower, strip, cjk):
    t = BertWordPieceTokenizer({token: i for i, token in enumerate(vocabulary)}, handle_chinese_chars=bool(cjk),
                               strip_accents=None if strip < 0 else bool(strip), lowercase=bool(lower))
    t.post_processor = BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return "".join(" ".join(map(str, t.encode(line).ids)) + "\n" for line in text.split("\n")[:-1])


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    lines = []
    for name, (text, size, lower, strip, cjk, min_frequency, limit, min_word) in CASES.items():
        counts = count_words(text, lower, strip, cjk, min_word)
        vocabulary = learn(counts, size, min_frequency, limit)
        check_library(name, counts, size, min_frequency, limit)
        (OUT / f"{name}.txt").write_bytes(text.encode())
        (OUT / f"{name}.vocab").write_bytes("".join(t + "\n" for t in vocabulary).encode())
        (OUT / f"{name}.ids").write_text(ids_of(vocabulary, text, lower, strip, cjk))
        lines.append(f"{name} {size} {lower} {strip} {cjk} {min_frequency} {limit} {min_word}\n")
    (OUT / "cases.txt").write_text("".join(lines))


if __name__ == "__main__":
    main()
