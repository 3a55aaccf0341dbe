"""docs/zoo.md, its cards and the badges agree with the registries, the results, the marked tests and the counted costs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import make_zoo
import pytest
from site_pages.zoo import facts
from site_pages.zoo.families import FAMILIES, Family
from site_pages.zoo.pages import Notes, commands, linked

from detkit import zoo
from detkit.cli.main import command_parser
from detkit.cli.train.command import split_words
from detkit.models.history import INVENTIONS
from detkit.weights import catalog
from detkit.zoo import badges

ROOT = Path(__file__).resolve().parents[2]
STALE = "run: python docs/make_zoo.py"
PLAIN = ("detr_lite0_bccd", "faster_rcnn_lite0_bccd", "fcos_lite0_bccd", "retinanet_lite0_bccd")
"""Configs whose optimized network has no operations of our own, which a benchmark does not count, and as many proposals as it can."""


@pytest.fixture(scope="module")
def rows() -> list[facts.Model]:
    return facts.models()


def test_pages_are_up_to_date() -> None:
    for path, text in make_zoo.pages().items():
        assert path.read_text("utf-8") == text, f"{path.name}: {STALE}"
    assert {path.stem for path in (ROOT / "docs" / "zoo").glob("*.md")} == {family.key for family in FAMILIES}


def test_badges_are_up_to_date() -> None:
    assert badges.FILE.read_text("utf-8") == make_zoo.badges_text(), STALE
    assert {"badges.json"} == {path.name for path in badges.FILE.parent.glob("*.json")}
    assert "zoo/badges.json" in (ROOT / "pyproject.toml").read_text("utf-8"), "not in the package"


def test_every_model_has_its_costs_and_one_family(rows: list[facts.Model]) -> None:
    expected = {f"{kind} {name}" for kind, name in facts.names()}
    assert set(facts.costs()) == expected, "run: python docs/make_zoo.py --count NAME"
    assert {f"config {name}" for name in zoo.names()} <= expected
    assert {f"weights {entry.name}" for entry in catalog() if entry.kind == "detector"} <= expected
    members = [row for family in FAMILIES for row in family.members(rows)]
    assert len(members) == len(rows)
    assert {(row.kind, row.name) for row in members} == {(row.kind, row.name) for row in rows}
    overview = (ROOT / "docs" / "zoo.md").read_text("utf-8")
    assert all(f"| {row.name} |" in overview for row in rows if row.kind == "weights")
    assert all(f"| [{row.name}](../detkit/zoo/" in overview for row in rows if row.kind == "config")


def test_a_result_file_and_a_stated_result_go_together(rows: list[facts.Model]) -> None:
    for row in rows:
        if row.kind == "config":
            assert bool(row.evidence) == zoo.describe(row.name).measured, f"{row.name}: a result without its file, or the reverse"
        assert bool(row.evidence) == bool(row.measured) == (row.badge == badges.MEASURED)
        assert not row.evidence or (ROOT / "docs" / row.evidence).is_file()


def test_badges_follow_from_the_facts(rows: list[facts.Model]) -> None:
    badge = {(row.kind, row.name): row.badge for row in rows}
    assert badge["config", "fcos_lite0_bccd"] == badge["weights", "embedded"] == badges.MEASURED
    assert badge["weights", "fcos_resnet50_fpn"] == badge["config", "fcos_r50_fpn"] == badges.PARITY
    assert badge["config", "fcos_r50_fpn_paper"] == badge["config", "yolov1"] == badges.PUBLISHED
    assert badge["config", "unet_paper"] == badges.NOT_RUN
    for row in rows:
        if row.badge == badges.PARITY:
            assert any({row.name, *row.networks} & set(proof["proved"]) for proof in row.proofs)


def test_the_best_badge_wins() -> None:
    assert badges.derive(measured=True, parity=True, published=True) == badges.MEASURED
    assert badges.derive(measured=False, parity=True, published=True) == badges.PARITY
    assert badges.derive(measured=False, parity=False, published=True) == badges.PUBLISHED
    assert badges.derive(measured=False, parity=False, published=False) == badges.NOT_RUN


def test_measured_parameters_are_the_counted_ones() -> None:
    """Runs count parameters themselves."""
    compared = 0
    for path in sorted(facts.RESULTS.glob("*.json")):
        run, cost = json.loads(path.read_text("utf-8")), facts.costs()[f"config {path.stem}"]
        assert cost["parameters"] == pytest.approx(run["parameters"], rel=1e-9), path.name
        if "speed" in run and run["speed"]["image"] == [480, 640] and path.stem in PLAIN:
            assert cost["gflops"] == pytest.approx(run["speed"]["gflops"], rel=0.002), path.name
            compared += 1
    assert compared == len(PLAIN)


def test_published_parameters_are_the_counted_ones(rows: list[facts.Model]) -> None:
    """Publishers count slots without a name and trainable norms; CLIP's text tower runs once for all images."""
    for row in rows:
        if row.kind == "weights" and row.model not in {"clip", "clip_rcnn"}:
            assert facts.costs()[f"weights {row.name}"]["parameters"] == pytest.approx(row.parameters, rel=0.005), row.name


def test_times_are_of_the_benchmarked_models() -> None:
    peers = dict(
        re.findall(r'^    "(\w+)": Peer\([^,]+, "(\w+)"', (ROOT / "tools" / "benchmarks" / "peer.py").read_text("utf-8"), re.MULTILINE)
    )
    for file, model in facts.TIMED.items():
        report = json.loads((facts.RESULTS / "speed" / file).read_text("utf-8"))
        kind = re.search(r"--model (\w+)", report["command"])
        assert model == (peers[f"{kind[1] if kind else 'faster_rcnn'}"] if file.startswith("detect") else "yolox_nano")
        (first, *_) = facts.speeds("weights", model)
        assert first.milliseconds > 1
        assert "cores" in first.how
    assert {row.name for row in facts.models() if row.kind == "weights" and row.speeds} == set(facts.TIMED.values())


def test_years_are_those_of_the_inventions() -> None:
    for family in FAMILIES:
        for kind in set(family.kinds) & set(INVENTIONS):
            assert family.year == int(INVENTIONS[kind].month), family.key


def test_tables_have_no_prose() -> None:
    for line in (ROOT / "docs" / "zoo.md").read_text("utf-8").splitlines():
        if line.startswith("|"):
            cells = [re.sub(r"\]\([^)]*\)|[\[\]`]", "", cell).strip() for cell in line.strip("|").split("|")]
            assert max(map(len, cells)) <= 40, line


def test_commands_start_from_weights_that_fit(rows: list[facts.Model]) -> None:
    text = {family.key: commands(family.members(rows)) for family in FAMILIES}
    assert "detkit train fpn_r50 data=my_data weights=fasterrcnn_resnet50_fpn\n" in text["faster_rcnn"]
    assert "detkit train yolox_s data=my_data weights=yolox_s\n" in text["yolox"] or "weights=yolox_" in text["yolox"]
    assert "weights=" not in text["rcnn"]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.key)
def test_commands_of_cards_are_valid(family: Family, rows: list[facts.Model]) -> None:
    for line in commands(family.members(rows)).splitlines():
        detkit, name, *words = line.split('"')[0].split() + (["a cat"] if '"' in line else [])
        assert detkit == "detkit"
        parser = command_parser(name)
        args = parser.parse_args(words) if name == "models" else parser.parse_intermixed_args(words)
        if name == "train":
            target, overrides = split_words(args.words)
            assert target in zoo.names()
            known = {f"weights={entry.name}" for entry in catalog()} | {"data=my_data"}
            assert set(overrides) <= known


def test_links_of_cards_have_targets() -> None:
    for page in sorted((ROOT / "docs" / "zoo").glob("*.md")):
        links = re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text("utf-8"))
        assert links
        assert [link for link in links if not (page.parent / link).exists()] == []


def test_equal_notes_have_one_number() -> None:
    notes = Notes()
    assert [notes.mark(text) for text in ("a.", "b.", "a.")] == ["[^1]", "[^2]", "[^1]"]
    assert notes.text() == "\n[^1]: a.\n\n[^2]: b.\n"
    assert linked("see https://a.org/b for it") == "see <https://a.org/b> for it"


def test_only_known_models_can_be_counted() -> None:
    with pytest.raises(ValueError, match="--count nothing: no such model"):
        make_zoo.write_costs(["nothing"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("config", "fcos_lite0_bccd"),
        ("config", "detr_lite0_bccd"),
        ("config", "unet_sample"),
        ("weights", "embedded"),
    ],
)
def test_costs_are_those_of_the_network(kind: str, name: str) -> None:
    from site_pages.zoo.networks import count

    assert facts.costs()[f"{kind} {name}"] == count(kind, name), f"run: python docs/make_zoo.py --count {name}"
