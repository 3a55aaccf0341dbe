"""Badges and figures of configs; tests/docs/test_zoo.py compares the badges with the facts."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from detkit import zoo
from detkit.weights import EMBEDDED, catalog
from detkit.zoo import badges
from detkit.zoo.badges import Figure, badge_of_config, badge_of_weights, measured_figure, published_figure


@pytest.mark.parametrize("name", zoo.names())
def test_every_config_has_a_badge(name: str) -> None:
    entry = zoo.describe(name)
    badge = badge_of_config(entry)
    assert badge in badges.BADGES
    assert (badge == badges.MEASURED) == entry.measured == (measured_figure(entry) is not None)
    assert badge != badges.NOT_RUN or published_figure(entry) is None


def test_published_weights_have_a_badge() -> None:
    names = [EMBEDDED, *(entry.name for entry in catalog() if entry.kind == "detector")]
    assert {badge_of_weights(name) for name in names} <= set(badges.BADGES)
    assert badge_of_weights("weights of another package") == badges.NOT_RUN


def test_what_other_packages_measured_is_a_published_figure() -> None:
    entry = replace(zoo.describe("quickstart"), name="other")
    assert badge_of_config(entry) == badges.PUBLISHED
    assert badge_of_config(replace(entry, measured=False, result="not yet run. Its authors publish AP 41.0.")) == badges.PUBLISHED
    assert badge_of_config(replace(entry, measured=False, result="not yet run.")) == badges.NOT_RUN


@pytest.mark.parametrize(
    ("result", "figure"),
    [
        ("test AP 0.606, AP50 0.914; val AP 0.597.", Figure("AP", 60.6, "test")),
        ("mask AP 0.687, mask AP50 0.900, box AP 0.719 on the 40 validation images.", Figure("AP", 71.9)),
        ("test top-1 0.998, balanced 0.995; val top-1 0.997.", Figure("top-1", 99.8, "test")),
        ("mIoU 0.625, pixel accuracy 0.957 on the 40 validation images.", Figure("mIoU", 62.5)),
    ],
)
def test_first_measured_figure(result: str, figure: Figure) -> None:
    found = measured_figure(replace(zoo.describe("quickstart"), result=result))
    assert found is not None
    assert (found.metric, found.split) == (figure.metric, figure.split)
    assert found.value == pytest.approx(figure.value)


def test_first_published_figure() -> None:
    entry = replace(zoo.describe("quickstart"), measured=False, result="not yet run. X publishes box AP 37.9 and mask AP 34.6.")
    assert published_figure(entry) == Figure("AP", 37.9)
    assert published_figure(replace(entry, result="not yet run. The paper reports mAP 63.4.")) == Figure("AP", 63.4)
    assert published_figure(replace(entry, measured=True)) is None


def test_badges_do_not_import_torch() -> None:
    code = "import sys; from detkit import zoo; from detkit.zoo import badges; badges.badge_of_weights('x'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
