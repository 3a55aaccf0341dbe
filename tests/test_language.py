"""The text of the project is in plain American English and uses the field's words: words that have no place here are errors."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("detkit", "tests", "docs", "configs", "tools", "datasets")
SUFFIXES = {".py", ".md", ".toml", ".yml"}
EXEMPT = {"detkit/config/renamed.py", "CHANGELOG.md", "LICENSE", "tests/test_language.py"}
"""The list of old config keys, the list of changes, the license, and this file."""

_ISE = (
    *("author", "binar", "capital", "categor", "custom", "discret", "equal", "factor", "final", "general", "ideal", "initial", "local"),
    *("maxim", "memor", "minim", "normal", "optim", "organ", "parallel", "penal", "priorit", "quant", "random", "real", "recogn"),
    *("regular", "serial", "special", "stabil", "standard", "summar", "symbol", "symmetr", "synchron", "token", "util", "vector", "visual"),
)
"""Verbs that end in -ize in American spelling."""
WORD = re.compile(
    rf".*(?:{'|'.join(_ISE)})is(?:e[drs]?|ers|ing|ations?|able)"
    r"|.*colour.*|.*neighbour.*|.*behaviour.*|favour.*|flavour.*|grey.*|analys(?:e|ed|ing)|centre[ds]?|centring|centreness|metres?|licences?"
    r"|defence|catalogues?|artefacts?|judgements?|(?:un)?labell.+|modell.+|cancell(?:ed|ing)|travell.+|learnt|(?:mis)?spelt|tyres?|whilst"
    r"|amongst|pictures?|anew"
)
"""Words, in lower case, that are not in American spelling or not the field's."""
PHRASE = re.compile(
    r"\ba\s+images?\b|\bby\s+lot\b|\bby\s+heart\b|\bso\s+many\b|\btold\s+by\b|\bnot\s+to\s+be\s+had\b"
    r"|\bpip install ['\"]?detkit(?!-vision)\b",
    re.IGNORECASE,
)
"""Phrases that are wrong or make a reader stumble, and a wrong name of the distribution."""
OLD_NAMES = (
    *(
        "ChoiceConfig",
        "ClassRows",
        "class_candidates",
        "class_rows",
        "every_score",
        "learns_boxes",
        "max_overlap",
        "rounds_apart",
        "told_by",
    ),
    *("look_round", "spread_evenly", "best_overlaps", "detkit weights", "detkit info backbones", "detkit info configs/"),
    *("--engine", "--overlaps"),
)
"""Names of the first version that have no other meaning."""
QUOTED = (
    r're.compile(r"\b(picture|tell|told|beside|so many|behind|anew)s?\b"',  # another test of words
    '"It is told anew."',  # and its example
    '"pip install detkit" not in',  # a test that a message names the right distribution
    "Plate, Picture/Frame, Helmet",  # a class of Objects365
    "was_cancelled",  # a key of Label Studio's JSON
)
"""Texts that contain these words for a reason, and identifiers of other libraries."""

_OLD_NAME = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, OLD_NAMES))})(?!\w)")
_TOKEN = re.compile(r"[A-Za-z]+")
_is_wrong = lru_cache(maxsize=None)(lambda word: WORD.fullmatch(word) is not None)


def files() -> list[Path]:
    """Return the text files of the project: those in git, or in the tree where there is no git."""
    listing = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False)
    if listing.returncode == 0 and listing.stdout:
        paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    else:
        paths = [*ROOT.glob("*"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))]
    return [path for path in sorted(paths) if _is_checked(path)]


def _is_checked(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    in_scope = len(parts) == 1 or parts[0] in FOLDERS
    return in_scope and path.suffix in SUFFIXES and "/".join(parts) not in EXEMPT and path.is_file()


def findings(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line number and the word of each finding."""
    for quoted in QUOTED:
        text = text.replace(quoted, "-" * len(quoted))
    wrong = {word for word in set(_TOKEN.findall(text)) if _is_wrong(word.lower())}
    patterns = [PHRASE, _OLD_NAME, *(re.compile(rf"(?<![A-Za-z]){word}(?![A-Za-z])") for word in sorted(wrong))]
    for pattern in patterns:
        for match in pattern.finditer(text):
            yield text.count("\n", 0, match.start()) + 1, match[0]


def test_plain_words() -> None:
    found = [f"{path.relative_to(ROOT)}:{line}: {word}" for path in files() for line, word in findings(path.read_text("utf-8"))]
    assert not found, "\n".join(["words that have no place here:", *found])


@pytest.mark.parametrize(
    "text",
    [
        *("a picture", "Colours", "the centre", "unlabelled", "normalised", "grey", "x.centre", "a image"),
        *("drawn by lot", "pip install detkit", "told_by=1", "`detkit weights`", "detkit evaluate --engine hotcoco"),
    ],
)
def test_words_are_detected(text: str) -> None:
    assert list(findings(text))


@pytest.mark.parametrize("text", ["an image", "pip install 'detkit-vision[export]'", "center", "labeled", "a raised error", "precise"])
def test_plain_text_passes(text: str) -> None:
    assert not list(findings(text))
