from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from counting import Counting, plain_image

from detkit.proposals import BACKENDS, ProposalCache, ProposalsConfig, Proposer, selective_search
from detkit.proposals.search_config import Mode


def counting_proposer(**values: object) -> tuple[Proposer, Counting]:
    backend = Counting()
    return ProposalsConfig(**values).build(backend), backend


def test_filters_and_maximum_number() -> None:
    proposals = counting_proposer(min_area=50.0, max_aspect=2.0, max_proposals=1)[0](plain_image(0))
    assert proposals.boxes.tolist() == [[0, 0, 10, 10]]
    assert counting_proposer(max_aspect=2.0)[0](plain_image(0)).boxes[:, 2].tolist() == [10, 2, 30]
    assert len(counting_proposer()[0](plain_image(0))) == 5  # without filters even a box without area is kept
    assert counting_proposer(min_area=1e6)[0](plain_image(0)).boxes.shape == (0, 4)


def test_detkit_backend_is_selective_search() -> None:
    image = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 4)
    proposals = ProposalsConfig(mode="single", max_proposals=10).build()(image)
    torch.testing.assert_close(proposals.boxes, selective_search(image, "single").boxes[:10])


def test_image_of_wrong_shape_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"expected a \(H, W, 3\) uint8 RGB image, got \(6, 8\) uint8"):
        counting_proposer()[0](plain_image(0)[..., 0])


def test_cached_proposals_are_not_recomputed(tmp_path: Path) -> None:
    proposer, backend = counting_proposer(cache=str(tmp_path))
    first = proposer(plain_image(3))
    again = proposer(plain_image(3))
    assert backend.calls == 1
    torch.testing.assert_close(first.boxes, again.boxes)
    torch.testing.assert_close(first.scores, again.scores)
    other, other_backend = counting_proposer(cache=str(tmp_path), max_proposals=2, min_area=1.0)
    assert len(other(plain_image(3))) == 2
    assert other_backend.calls == 0  # filters and maximum number apply to the cached proposals


@pytest.mark.parametrize(
    "change", [{"mode": "single"}, {"seed": 1}, {"version": "counting 2"}, {"image": plain_image(4)}, {"image": plain_image(3)[1:]}]
)
def test_images_settings_and_versions_have_separate_cache_entries(tmp_path: Path, change: dict[str, object]) -> None:
    proposer, _ = counting_proposer(cache=str(tmp_path))
    proposer(plain_image(3))
    backend = Counting(str(change.pop("version", "counting 1")))
    image = change.pop("image", plain_image(3))
    ProposalsConfig(cache=str(tmp_path), **change).build(backend)(image)  # type: ignore[arg-type]
    assert backend.calls == 1


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_results_are_in_order_and_fill_the_cache(tmp_path: Path, processes: int) -> None:
    proposer, _ = counting_proposer(cache=str(tmp_path))
    proposals = list(proposer.propose_all(range(11), plain_image, processes))
    assert [int(rows.boxes[0, 0]) for rows in proposals] == list(range(11))
    results = list(counting_proposer(cache=str(tmp_path))[0].results(range(11), plain_image))
    assert all(row.from_cache for row in results)
    assert [row.size for row in results] == [(6, 8)] * 11


def test_a_image_that_cannot_be_read_stops_propose_all_but_not_results() -> None:
    proposer, _ = counting_proposer()
    results = list(proposer.results([1, -1, 2], plain_image))
    assert [row.error is None for row in results] == [True, False, True]
    assert len(results[1].proposals) == 0
    with pytest.raises(ValueError, match="shade -1: not an image"):
        list(proposer.propose_all([1, -1, 2], plain_image))


def test_a_full_disk_costs_no_proposals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    proposer, backend = counting_proposer(cache=str(tmp_path))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ProposalCache, "put", full)
    results = list(proposer.results(range(3), plain_image))
    assert [row.error for row in results] == [None] * 3
    assert [len(row.proposals) for row in results] == [5] * 3
    assert backend.calls == 3
    assert [record.message for record in caplog.records] == [
        "proposal cache: [Errno 28] No space left on device; no more proposals are cached"
    ]


def test_proposer_can_be_pickled(tmp_path: Path) -> None:
    proposer = pickle.loads(pickle.dumps(ProposalsConfig(mode="single", cache=str(tmp_path)).build()))
    assert proposer(plain_image(0)).boxes.tolist() == [[0, 0, 8, 6]]


def test_config_round_trip() -> None:
    config = ProposalsConfig(mode="quality", max_aspect=3.0, cache="somewhere")
    assert ProposalsConfig.from_json(config.to_json()) == config
    assert ProposalsConfig.from_json(ProposalsConfig().to_json()) == ProposalsConfig()


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (12, 16)])
@pytest.mark.parametrize("name", ["detkit", "selectivesearch", "opencv"])
def test_backends_accept_tiny_and_blank_images(name: str, shape: tuple[int, int]) -> None:
    if name == "opencv" and not hasattr(cv2, "ximgproc"):
        pytest.skip("needs OpenCV with its contributed modules")
    image = np.full((*shape, 3), 9, dtype=np.uint8)
    proposals = ProposalsConfig(backend=name, mode="single").build()(image).checked()
    assert [0, 0, shape[1], shape[0]] in proposals.boxes.tolist()


@pytest.mark.parametrize("mode", ["single", "fast"])
def test_selectivesearch_package_gives_boxes_in_the_image_without_duplicates(mode: Mode) -> None:
    image = np.full((40, 60, 3), 30, dtype=np.uint8)
    image[10:30, 20:50] = (200, 60, 20)
    proposals = BACKENDS.get("selectivesearch")()(image, ProposalsConfig(mode=mode))
    assert len(torch.unique(proposals.boxes, dim=0)) == len(proposals)
    assert (proposals.boxes[:, 2:].amax(0) <= torch.tensor([60, 40])).all()
    assert [20, 10, 50, 30] in proposals.boxes.tolist()
    assert (proposals.scores.diff() < 0).all()


@pytest.mark.skipif(hasattr(cv2, "ximgproc"), reason="this OpenCV has ximgproc")
def test_opencv_without_contrib_names_the_package() -> None:
    with pytest.raises(ImportError, match="has no cv2.ximgproc; install opencv-contrib-python"):
        ProposalsConfig(backend="opencv").build()


def test_unknown_backend() -> None:
    with pytest.raises(ValueError, match="unknown proposal backend 'detki': did you mean 'detkit'"):
        ProposalsConfig(backend="detki").build()
