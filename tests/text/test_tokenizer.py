"""open_clip's tokenizer, which reads our phrases, against transformers' on the same vocabulary."""

from __future__ import annotations

import html
import random

import pytest

pytest.importorskip("open_clip", reason="needs the extra clip: pip install open_clip_torch")
transformers = pytest.importorskip("transformers", reason="needs transformers, which the extra test brings")

LENGTH, COUNT = 77, 1000
TEXT = (
    "cat red cup photo of a the dog zebra crossing traffic-light e-mail Wi-Fi 3.14 1,024 20% $5 #tag @home C++ rock'n'roll "
    "don't we've I'm they'll he'd it's you're SHOUTED MixedCase snake_case café naïve Ångström Straße façade Москва кошка 東京 ねこ 고양이 "
    "قطة חתול แมว बिल्ली 😀 👩‍🔬 🇫🇷 ½ ² № € — … ¿qué? ¡olé! pneumonoultramicroscopicsilicovolcanoconiosis aaaaaaaaaaaaaaaaaaaa "
    "(round) [square] {curly} <angle> \"quoted\" 'single' a/b\\c ... !!! ?!? ~^` supercalifragilistic x y z 007 2026-11-22 k8s"
)
ENTITIES = ("&amp;", "&lt;b&gt;", "&quot;", "&#233;t&#233;", "&amp;amp;", "&eacute;", "&hearts;")
SPACES = (" ", "  ", "\t", "\n", " \n ", "\u3000")


def phrases() -> list[str]:
    chance, known, found = random.Random(0), TEXT.split(), []
    for number in range(COUNT):
        words = [chance.choice(known) for _ in range(chance.randint(0 if number == 0 else 1, 60 if number % 20 == 0 else 8))]
        if number % 7 == 0:
            words.insert(chance.randrange(len(words) + 1), chance.choice(ENTITIES))
        found.append("".join(word + chance.choice(SPACES if number % 3 == 0 else " ") for word in words))
    return found


def test_a_thousand_phrases() -> None:
    import ftfy
    from open_clip.tokenizer import SimpleTokenizer

    ours = SimpleTokenizer(context_length=LENGTH)
    marks = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    vocabulary = {marks.get(word, word): number for word, number in ours.encoder.items()}
    theirs = transformers.CLIPTokenizer(vocab=vocabulary, merges=list(ours.bpe_ranks))
    texts = phrases()
    # OpenAI's tokenizer mends broken text and turns entities into letters; transformers leaves that to whoever calls it.
    plain = [html.unescape(html.unescape(ftfy.fix_text(text))) for text in texts]
    tokens = ours(texts)
    for text, row, found in zip(texts, tokens, theirs(plain, truncation=True, max_length=LENGTH)["input_ids"], strict=True):
        assert row[: len(found)].tolist() == found, text
        assert not row[len(found) :].any(), text
    lengths = (tokens != 0).sum(1)
    assert len(set(texts)) > 0.95 * COUNT
    assert int((lengths == LENGTH).sum()) > 20, "none was cut"
    assert tokens[:, 0].eq(49406).all()
    assert tokens.gather(1, (lengths - 1)[:, None]).eq(49407).all()
