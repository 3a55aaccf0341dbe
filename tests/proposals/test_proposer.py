from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from counting import Counting, image as photo

from detkit.proposals import BACKENDS, ProposalsConfig, Proposer, selective_search
from detkit.proposals.config import Mode


def proposer(**values: object) -> tuple[Proposer, Counting]:
    backend = Counting()
    return ProposalsConfig(**values).build(backend), backend


def test_filters_and_the_limit_choose_the_best_that_fit() -> None:
    found = proposer(min_area=50.0, max_aspect=2.0, max_proposals=1)[0](photo(0))
    assert found.boxes.tolist() == [[0, 0, 10, 10]]
    assert proposer(max_aspect=2.0)[0](photo(0)).boxes[:, 2].tolist() == [10, 2, 30]
    assert len(proposer()[0](photo(0))) == 5  # without filters also a box without an area stays
    assert proposer(min_area=1e6)[0](photo(0)).boxes.shape == (0, 4)


def test_our_backend_is_selective_search() -> None:
    image = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 4)
    found = ProposalsConfig(mode="single", max_proposals=10).build()(image)
    torch.testing.assert_close(found.boxes, selective_search(image, "single").boxes[:10])


def test_an_image_of_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a \(H, W, 3\) uint8 RGB image, got \(6, 8\) uint8"):
        proposer()[0](photo(0)[..., 0])


def test_remembered_proposals_are_not_made_again(tmp_path: Path) -> None:
    one, backend = proposer(cache=str(tmp_path))
    first = one(photo(3))
    again = one(photo(3))
    assert backend.calls == 1
    torch.testing.assert_close(first.boxes, again.boxes)
    torch.testing.assert_close(first.scores, again.scores)
    other, counted = proposer(cache=str(tmp_path), max_proposals=2, min_area=1.0)
    assert len(other(photo(3))) == 2
    assert counted.calls == 0  # filters and the limit choose from what is remembered


@pytest.mark.parametrize(
    "change", [{"mode": "single"}, {"seed": 1}, {"version": "counting 2"}, {"image": photo(4)}, {"image": photo(3)[1:]}]
)
def test_other_images_settings_and_versions_are_remembered_apart(tmp_path: Path, change: dict[str, object]) -> None:
    one, _ = proposer(cache=str(tmp_path))
    one(photo(3))
    backend = Counting(str(change.pop("version", "counting 1")))
    image = change.pop("image", photo(3))
    ProposalsConfig(cache=str(tmp_path), **change).build(backend)(image)  # type: ignore[arg-type]
    assert backend.calls == 1


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_many_images_come_in_order_and_fill_the_cache(tmp_path: Path, processes: int) -> None:
    one, _ = proposer(cache=str(tmp_path))
    found = list(one.all(range(11), photo, processes))
    assert [int(rows.boxes[0, 0]) for rows in found] == list(range(11))
    made = list(proposer(cache=str(tmp_path))[0].each(range(11), photo))
    assert all(row.is_remembered for row in made)
    assert [row.size for row in made] == [(6, 8)] * 11


def test_a_image_that_cannot_be_read_stops_only_those_who_want_all() -> None:
    one, _ = proposer()
    made = list(one.each([1, -1, 2], photo))
    assert [row.error is None for row in made] == [True, False, True]
    assert len(made[1].proposals) == 0
    with pytest.raises(ValueError, match="shade -1: not a image"):
        list(one.all([1, -1, 2], photo))


def test_a_proposer_can_be_sent_to_another_process(tmp_path: Path) -> None:
    one = pickle.loads(pickle.dumps(ProposalsConfig(mode="single", cache=str(tmp_path)).build()))
    assert one(photo(0)).boxes.tolist() == [[0, 0, 8, 6]]


def test_the_config_survives_json() -> None:
    config = ProposalsConfig(mode="quality", max_aspect=3.0, cache="somewhere")
    assert ProposalsConfig.from_json(config.to_json()) == config
    assert ProposalsConfig.from_json(ProposalsConfig().to_json()) == ProposalsConfig()


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (12, 16)])
@pytest.mark.parametrize("name", ["detkit", "selectivesearch", "opencv"])
def test_every_backend_takes_tiny_and_blank_images(name: str, shape: tuple[int, int]) -> None:
    if name == "opencv" and not hasattr(cv2, "ximgproc"):
        pytest.skip("needs OpenCV with its contributed modules")
    image = np.full((*shape, 3), 9, dtype=np.uint8)
    found = ProposalsConfig(backend=name, mode="single").build()(image).checked()
    assert [0, 0, shape[1], shape[0]] in found.boxes.tolist()


@pytest.mark.parametrize("mode", ["single", "fast"])
def test_the_package_gives_boxes_in_the_image_without_duplicates(mode: Mode) -> None:
    image = np.full((40, 60, 3), 30, dtype=np.uint8)
    image[10:30, 20:50] = (200, 60, 20)
    found = BACKENDS.get("selectivesearch")()(image, ProposalsConfig(mode=mode))
    assert len(torch.unique(found.boxes, dim=0)) == len(found)
    assert (found.boxes[:, 2:].amax(0) <= torch.tensor([60, 40])).all()
    assert [20, 10, 50, 30] in found.boxes.tolist()
    assert (found.scores.diff() < 0).all()


@pytest.mark.skipif(hasattr(cv2, "ximgproc"), reason="this OpenCV has it")
def test_opencv_without_its_contributed_modules_says_which_package_has_them() -> None:
    with pytest.raises(ImportError, match="it comes with the package opencv-contrib-python"):
        ProposalsConfig(backend="opencv").build()


def test_an_unknown_backend_is_told() -> None:
    with pytest.raises(ValueError, match="unknown proposal backend 'detki': did you mean 'detkit'"):
        ProposalsConfig(backend="detki").build()
