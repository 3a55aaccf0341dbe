"""open_clip's tokenizer, which detkit uses, against transformers' tokenizer with the same vocabulary."""

from __future__ import annotations

import html
import random

import pytest

pytest.importorskip("open_clip", reason="needs open_clip: pip install 'detkit-vision[clip]'")
transformers = pytest.importorskip("transformers", reason="needs transformers, which is in the extra test")

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
    generator, vocabulary, texts = random.Random(0), TEXT.split(), []
    for number in range(COUNT):
        words = [generator.choice(vocabulary) for _ in range(generator.randint(0 if number == 0 else 1, 60 if number % 20 == 0 else 8))]
        if number % 7 == 0:
            words.insert(generator.randrange(len(words) + 1), generator.choice(ENTITIES))
        texts.append("".join(word + generator.choice(SPACES if number % 3 == 0 else " ") for word in words))
    return texts


@pytest.mark.oracle("transformers", "tokens of CLIP's vocabulary, 1,000 phrases", tolerance="equal")
def test_a_thousand_phrases() -> None:
    import ftfy
    from open_clip.tokenizer import SimpleTokenizer

    tokenizer = SimpleTokenizer(context_length=LENGTH)
    marks = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    vocabulary = {marks.get(word, word): number for word, number in tokenizer.encoder.items()}
    reference = transformers.CLIPTokenizer(vocab=vocabulary, merges=list(tokenizer.bpe_ranks))
    texts = phrases()
    # OpenAI's tokenizer repairs broken text and replaces entities by characters; transformers leaves that to the caller.
    plain = [html.unescape(html.unescape(ftfy.fix_text(text))) for text in texts]
    tokens = tokenizer(texts)
    for text, row, expected in zip(texts, tokens, reference(plain, truncation=True, max_length=LENGTH)["input_ids"], strict=True):
        assert row[: len(expected)].tolist() == expected, text
        assert not row[len(expected) :].any(), text
    lengths = (tokens != 0).sum(1)
    assert len(set(texts)) > 0.95 * COUNT
    assert int((lengths == LENGTH).sum()) > 20, "none was truncated"
    assert tokens[:, 0].eq(49406).all()
    assert tokens.gather(1, (lengths - 1)[:, None]).eq(49407).all()
