"""docs/backbones.md agrees with the registry."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import make_backbone_tree
import make_backbones
import pytest

from detkit.backbones import BACKBONES, BackboneConfig, backbone_info
from detkit.diagnostics.receptive_fields import receptive_fields

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_page_is_up_to_date() -> None:
    assert (DOCS / "backbones.md").read_text("utf-8") == make_backbones.page(), "run: python docs/make_backbones.py"


def test_every_backbone_is_listed_once() -> None:
    page = make_backbones.page()
    assert all(page.count(f"| `{name}` |") == 1 for name in BACKBONES.names())


def test_tree_is_up_to_date() -> None:
    assert make_backbone_tree.DRAWING.read_text("utf-8") == make_backbone_tree.drawing(), "run: python docs/make_backbone_tree.py"


def test_tree_has_every_family_after_the_one_that_it_changed() -> None:
    parents, families = make_backbone_tree.PARENTS, make_backbone_tree.families()
    assert set(parents) == set(families)
    assert sorted(make_backbone_tree.rows()) == sorted(families)
    for family, parent in parents.items():
        assert parent is None or families[parent][0].year <= families[family][0].year, family


def test_drawing_names_years_parameters_and_fields() -> None:
    texts = {element.text for element in ElementTree.fromstring(make_backbone_tree.drawing()).iter("{http://www.w3.org/2000/svg}text")}
    for family, members in make_backbone_tree.families().items():
        assert f"{family}  {members[0].year}" in texts
    assert {"11.7 to 60.2 M, sees 427 px", "132.9 to 143.7 M, sees 212 px", "61.1 M, sees 195 px"} <= texts
    assert "5.7 to 304.3 M, sees the whole image" in texts


def test_boxes_do_not_overlap() -> None:
    boxes = [
        tuple(float(box.get(side, "0")) for side in ("x", "y", "width", "height"))
        for box in ElementTree.fromstring(make_backbone_tree.drawing()).iter("{http://www.w3.org/2000/svg}rect")
        if box.get("width") == str(make_backbone_tree.BOX)
    ]
    assert len(boxes) == len(make_backbone_tree.PARENTS)
    for index, (x, y, width, height) in enumerate(boxes):
        for other_x, other_y, *_ in boxes[index + 1 :]:
            assert abs(x - other_x) >= width or abs(y - other_y) >= height


@pytest.mark.parametrize("name", ["lenet5", "alexnet", "mobilenet_v2", "hgnetv2_atto"])
def test_stored_fields_are_measured_ones(name: str) -> None:
    stored = json.loads(make_backbone_tree.FIELDS.read_text("utf-8"))
    assert set(stored) == {make_backbone_tree.representative(family).name for family in make_backbone_tree.PARENTS}
    config = BackboneConfig(name=name, weights=None, norm="frozen", levels=(backbone_info(name).levels[-1].name,))
    assert receptive_fields(config.build().eval()) == (stored[name],)


def test_speeds_are_of_existing_backbones() -> None:
    speed = json.loads((DOCS / "backbones_speed.json").read_text("utf-8"))["speed"]
    assert set(speed) <= set(BACKBONES.names())
    assert speed["resnet18"] == 1.0
