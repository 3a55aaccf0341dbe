"""The check of pixels: planted copies and damaged files are found, and nothing else is."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from duplicate_images import CHANGES, dataset, photographs, save

from detkit.curation.duplicates import check_pixels, find_duplicates
from detkit.curation.duplicates.hashes import shrink
from detkit.curation.duplicates.verify import SIDE, compare
from detkit.data.media.images import read_image

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
TRUE_COPIES = {
    (f"BloodImage_{first:05}.jpg", f"BloodImage_{second:05}.jpg")
    for first, second in zip(
        (37, 204, 226, 227, 229, 230, 231, 236, 382, 386), (38, 277, 261, 260, 258, 257, 256, 253, 395, 391), strict=True
    )
}
"""Micrographs of bccd that show the same cells, as one sees; except for the first two, one field of view is shifted."""


def names(findings: object) -> dict[tuple[str, str], int]:
    return {(finding.rule.name, finding.part): finding.count for finding in findings}  # type: ignore[attr-defined]


def test_planted_copies_are_found_and_nothing_else(tmp_path: Path) -> None:
    images = photographs()
    assert len(images) >= 120
    paths = [save(tmp_path / "train" / f"{number}.png", image) for number, image in enumerate(images)]
    chosen = np.random.default_rng(0).choice(len(images), 20, replace=False).tolist()
    copies = [
        save(tmp_path / "val" / f"copy{number}.jpg", CHANGES[row % len(CHANGES)](images[number]), quality=60)
        for row, number in enumerate(chosen)
    ]
    found = find_duplicates(dataset({"train": paths, "val": copies}, "planted"))
    sources = [Path(path).stem for path, _ in found.images.sources]
    assert {frozenset((sources[pair.first], sources[pair.second])) for pair in found.pairs} == {
        frozenset((str(number), f"copy{number}")) for number in chosen
    }
    (finding,) = check_pixels(dataset({"train": paths, "val": copies}, "planted"))
    assert (finding.rule.name, finding.part, finding.count) == ("near_leak", "train", 20)
    assert {example.detail for example in finding.cases} >= {"mirrored, resized", "resized", "mirrored", "recompressed or edited"}
    assert finding.other is not None
    for image, partner in zip(finding.images.tolist(), finding.other.images.tolist(), strict=True):
        assert partner == chosen.index(image)


def test_one_edge_across_the_image_is_not_enough(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:120, :160]
    paths = []
    for number in range(8):
        horizon = (y > 60 + 2 * number + (0.3 + 0.02 * number) * (x - 80))[..., None] * np.array([90, 120, 60 + number], float)
        paths.append(save(tmp_path / f"{number}.png", np.clip(80 + horizon + rng.normal(0, 1, horizon.shape), 0, 255).astype(np.uint8)))
    assert check_pixels(dataset({"train": paths}, "horizons")) == ()


def test_images_without_details_are_copies_only_if_their_pixels_are_equal(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    flat = [np.full((90, 120, 3), (60 + 10 * number, 120, 200), np.uint8) for number in range(6)]
    noisy = [np.clip(rng.normal(128, 2, (90, 120, 3)), 0, 255).astype(np.uint8) for _ in range(6)]
    skies = [np.repeat(np.linspace(100 + n, 200, 120), 3).reshape(1, 120, 3).repeat(90, 0).astype(np.uint8) for n in range(6)]
    paths = [save(tmp_path / f"{n}.jpg", image, quality=80) for n, image in enumerate([*flat, *noisy, *skies])]
    same = [save(tmp_path / "same.png", flat[0]), save(tmp_path / "again.png", flat[0])]
    assert check_pixels(dataset({"train": paths}, "flat")) == ()
    assert names(check_pixels(dataset({"train": same}, "same"))) == {("exact_duplicate", "train"): 1}


def test_a_frame_around_faint_images_is_not_what_is_compared() -> None:
    framed = []
    for image in photographs()[::16]:
        canvas = np.zeros((240, 256, 3), np.uint8)
        canvas[40:200, 32:224] = image // 2 + 50
        framed.append(shrink(canvas, SIDE))
    pairs = list(itertools.combinations(framed, 2))
    assert not any(compare(first, second).is_copy for first, second in pairs)
    assert sum(compare(image, image).is_copy for image in framed) > len(framed) / 2


def test_a_common_frame_makes_no_copies(tmp_path: Path) -> None:
    paths = []
    for number, image in enumerate(photographs()[::8]):
        framed = np.zeros((240, 256, 3), np.uint8)
        framed[40:200, 32:224] = image
        paths.append(save(tmp_path / f"{number}.png", framed))
    assert check_pixels(dataset({"train": paths}, "framed")) == ()


def test_exact_copies_and_leaks_between_all_parts(tmp_path: Path) -> None:
    one, two, three = photographs()[:3]
    first, second = save(tmp_path / "a.png", one), save(tmp_path / "b.png", two)
    again, bitmap = save(tmp_path / "c.png", one), save(tmp_path / "d.bmp", one)
    near, other = save(tmp_path / "e.jpg", two, quality=50), save(tmp_path / "f.png", three)
    data = dataset({"val": [bitmap, near], "train": [first, second, again, other], "test": [near, other]}, "mixed")
    findings = check_pixels(data)
    by_part = [(finding.rule.name, finding.part, finding.other.part, finding.count) for finding in findings if finding.other is not None]
    assert by_part == [
        ("exact_duplicate", "train", "train", 1),
        ("leak", "train", "val", 1),
        ("near_leak", "train", "val", 1),
        ("near_leak", "train", "test", 1),
    ]
    assert [finding.cases[0].detail for finding in findings][:2] == ["the same bytes", "the same pixels"]


def test_damaged_files(tmp_path: Path) -> None:
    images = photographs()
    good = [save(tmp_path / f"{n}.jpg", images[n]) for n in range(3)]
    cut, text = save(tmp_path / "cut.jpg", images[3]), save(tmp_path / "text.jpg", images[4])
    png = save(tmp_path / "cut.png", images[5])
    data = dataset({"train": [*good, cut, text, png]}, "damaged")
    cut.write_bytes(cut.read_bytes()[:-900])
    png.write_bytes(png.read_bytes()[:-900])
    text.write_text("no image")
    seen: list[tuple[int, int]] = []
    truncated, undecodable = check_pixels(data, progress=lambda done, total: seen.append((done, total)))
    assert (truncated.rule.name, truncated.count, truncated.images.tolist()) == ("truncated_image", 2, [3, 5])
    assert (undecodable.rule.name, undecodable.images.tolist()) == ("undecodable_image", [4])
    assert undecodable.cases[0].detail.startswith("not a readable image")
    assert seen == [(number, 6) for number in range(1, 7)]


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "photographs").is_dir(), reason="no photographs")
def test_twenty_copies_among_a_thousand_photographs(tmp_path: Path) -> None:
    paths = sorted((SHARED / "photographs").glob("*.jpg"))
    chosen = np.random.default_rng(1).choice(len(paths), 20, replace=False).tolist()
    copies = [
        save(tmp_path / f"{paths[number].stem}.jpg", CHANGES[row % len(CHANGES)](read_image(paths[number])), quality=50)
        for row, number in enumerate(chosen)
    ]
    found = find_duplicates(dataset({"train": paths, "val": copies}, "thousand"))
    assert not found.broken
    stems = [Path(path).stem for path, _ in found.images.sources]
    assert all(stems[pair.first] == stems[pair.second] for pair in found.pairs)
    assert sorted(stems[pair.first] for pair in found.pairs) == sorted(paths[number].stem for number in chosen)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="no images")
def test_no_false_alarms_on_real_images() -> None:
    folders = [SHARED / name for name in ("coco_sample/images", "coco_more/images", "bccd/JPEGImages")]
    paths = [path for folder in folders for path in sorted(folder.glob("*.jpg"))]
    found = find_duplicates(dataset({"train": paths}, "real"))
    stems = [Path(path).name for path, _ in found.images.sources]
    assert {(stems[pair.first], stems[pair.second]) for pair in found.pairs} == TRUE_COPIES
