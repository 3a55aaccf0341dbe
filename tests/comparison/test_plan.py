"""The entries of a comparison, and the configs that follow from its protocol."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from detkit import zoo
from detkit.cli.compare.command import resumed
from detkit.comparison.plan import Plan, Protocol, price, units
from detkit.comparison.suites import MEMBERS, SUITES
from detkit.comparison.things import build_plan, split_words

PROTOCOL = Protocol(data="somewhere", budget=10.0)


def test_suites_have_configs_of_the_zoo_in_order_of_invention() -> None:
    assert {row.config for row in MEMBERS} <= set(zoo.names())
    assert [row.year for row in MEMBERS] == sorted(row.year for row in MEMBERS)
    assert len(SUITES["classics"]) == 14
    assert (SUITES["classics"][0], SUITES["classics"][-1]) == ("rcnn_lite0_bccd", "dfine_lite0_bccd")


def test_every_config_gets_the_same_limits() -> None:
    plan = build_plan(SUITES["all"], PROTOCOL)
    limits = {(e.training.budget, e.training.steps, e.training.epochs, e.training.threads) for row in plan.entries if (e := row.experiment)}
    assert limits == {(10.0, None, None, 1)}
    assert price(plan) == 17 * 3 * 10


def test_slow_detectors_of_a_suite_are_validated_less_often() -> None:
    named, of_suite = build_plan(["rcnn_lite0_bccd"], PROTOCOL), build_plan([], PROTOCOL, ["rcnn_lite0_bccd"])
    first, second = (plan.entries[0].experiment for plan in (named, of_suite))
    assert first is not None
    assert second is not None
    assert (second.training.evaluations, second.evaluation.max_images) == (1, 8)
    assert first == second.replace(training=second.training.replace(evaluations=2), evaluation=second.evaluation.replace(max_images=29))
    assert named.entries[0].name == of_suite.entries[0].name


def test_the_plan_is_exact_as_json() -> None:
    plan = build_plan(["rcnn_lite0_bccd", "ssd_lite0_bccd:optimizer.lr=0.002"], PROTOCOL)
    assert Plan.from_json(json.dumps(plan.model_dump(mode="json"))) == plan


def test_a_variant_changes_its_own_keys_alone() -> None:
    words = ["ssd_lite0_bccd", "ssd_lite0_bccd:optimizer.lr=0.002:training.ema=none", "augmentation.preset=flip"]
    things, overrides = split_words(words)
    plan = build_plan(things, PROTOCOL.replace(overrides=tuple(overrides)))
    first, second = (entry.experiment for entry in plan.entries)
    assert first is not None
    assert second is not None
    assert (first.optimizer.lr, second.optimizer.lr, second.training.ema) == (1e-3, 2e-3, None)
    assert first.augmentation.preset == second.augmentation.preset == "flip"
    assert plan.entries[1].name == words[1]
    assert plan.entries[1].slug == "ssd_lite0_bccd_optimizer.lr_0.002_training.ema_none"


def test_initial_weights_and_backbone() -> None:
    names = ("ssd_lite0_bccd", "embedded_bccd")

    def first(init: str, **more: str) -> list[object]:
        plan = build_plan(names, PROTOCOL.replace(init=init, **more))
        return [(e.weights, e.model.backbone.weights, e.model.backbone.frozen_stages) for row in plan.entries if (e := row.experiment)]  # type: ignore[attr-defined]

    assert first("imagenet") == [(None, "default", 2)] * 2
    assert first("coco") == [("embedded", "default", 2)] * 2
    assert first("scratch") == [(None, None, 0)] * 2
    with pytest.raises(ValueError, match="only weights for efficientnet_lite0"):
        first("coco", backbone="resnet18")
    plan = build_plan(["ssd_lite0_bccd"], PROTOCOL.replace(backbone="resnet18"))
    assert plan.entries[0].experiment.model.backbone.name == "resnet18"  # type: ignore[union-attr]


def test_detectors_and_results_are_evaluated_as_they_are(tmp_path: Path) -> None:
    results, run = tmp_path / "ergebnisse é.json", tmp_path / "first-1"
    results.write_text("[]", "utf-8")
    run.mkdir()
    (run / "best.safetensors").write_bytes(b"")
    plan = build_plan([str(results), str(run), "ssd_lite0_bccd"], PROTOCOL.replace(seeds=2))
    assert [(row.kind, row.slug) for row in plan.entries[:2]] == [("results", "ergebnisse_é"), ("detector", "first-1")]
    assert [unit.name for unit in units(plan)] == ["ergebnisse_é", "first-1", "ssd_lite0_bccd-seed0", "ssd_lite0_bccd-seed1"]
    both = build_plan([str(run), str(run / "best.safetensors")], PROTOCOL)
    assert [row.name for row in both.entries] == [str(run), str(run / "best.safetensors")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing to compare"),
        (["ssd_lite0_bcd"], "did you mean 'ssd_lite0_bccd'"),
        (["ssd_lite0_bccd", "ssd_lite0_bccd"], "named more than once"),
        (["ssd_lite0_bccd:optimizer.rate=1"], "optimizer.rate"),
        (["embedded_bccd:weights=none", "labels.json"], "expected a config or a list of COCO results"),
        (["labels.json:optimizer.lr=1"], "expected a config or a list"),
    ],
)
def test_wrong_words(words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("labels.json").write_text('{"images": []}', "utf-8")
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        build_plan(words, PROTOCOL)


def test_resume_without_a_folder_takes_the_newest_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="--resume: no comparison under runs/"):
        resumed("")
    for time, name in enumerate(("compare-2", "compare-1")):
        file = tmp_path / "runs" / name / "compare.json"
        file.parent.mkdir(parents=True)
        file.touch()
        os.utime(file, (time, time))
    assert resumed("") == Path("runs/compare-1")
    assert resumed("elsewhere") == Path("elsewhere")
