from __future__ import annotations

import multiprocessing
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from detkit.data.augment import AnnotatedImage, AugmentationConfig, Augmenter
from detkit.data.cache import ImageCache
from detkit.data.loader import LoaderConfig, SampleBatch, SampleError, build_loader, image_seed
from detkit.data.records import DetectionData, ImageRecord
from detkit.preprocess import PreprocessConfig
from detkit.structures import Proposals, Targets

MODEL = PreprocessConfig(short_side=40, long_side=80)


@pytest.fixture
def data(tmp_path: Path) -> DetectionData:
    """Nine small images, of which the first three are portrait and the last has no objects."""
    records = []
    for number in range(9):
        size = (50, 30) if number < 3 else (30, 50)
        image = np.random.default_rng(number).integers(0, 256, (*size, 3)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
        targets = Targets.of(torch.tensor([[2.0, 2, 20, 20]]), torch.tensor([number % 2]))
        records.append(ImageRecord(tmp_path / f"{number}.png", f"n{number}", size, targets if number < 8 else Targets.empty()))
    return DetectionData.of("images", ("a", "b"), records)


def augmenter(preset: str = "yolox") -> Augmenter:
    return Augmenter(AugmentationConfig(preset=preset), MODEL)


def assert_same(batch: SampleBatch, other: SampleBatch) -> None:
    assert (batch.paths, batch.image_ids, batch.seeds) == (other.paths, other.image_ids, other.seeds)
    for image, image2, targets, targets2 in zip(batch.images, other.images, batch.targets, other.targets, strict=True):
        assert torch.equal(image, image2)
        torch.testing.assert_close(targets.boxes, targets2.boxes, atol=0, rtol=0)


def boxes_as_proposals(record: ImageRecord, image: np.ndarray) -> Proposals:
    return Proposals(record.targets.boxes, torch.ones(len(record.targets)))


def test_samples_do_not_depend_on_the_number_of_workers(data: DetectionData) -> None:
    config = LoaderConfig(batch_size=4, workers=0)
    expected = list(build_loader(data, augmenter(), config, seed=3, stop_step=6))
    assert [len(batch) for batch in expected] == [4] * 6
    assert all(image.dtype == torch.uint8 and image.shape == (3, 40, 40) for batch in expected for image in batch.images)
    for workers in (1, 2):
        loaded = list(build_loader(data, augmenter(), config.replace(workers=workers), seed=3, stop_step=6))
        assert len(loaded) == 6
        for batch, other in zip(expected, loaded, strict=True):
            assert_same(batch, other)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to list the open files of the process")
def test_batches_from_workers_need_few_open_files(data: DetectionData) -> None:
    config, held = LoaderConfig(batch_size=18, workers=1), []
    for batch in build_loader(data, augmenter("flip"), config, stop_step=8, proposals=boxes_as_proposals):
        held.append(batch)
        if len(held) == 1:
            before = len(list(Path("/proc/self/fd").iterdir()))
    assert len(list(Path("/proc/self/fd").iterdir())) - before <= 2 * len(held)


@pytest.mark.slow
def test_spawned_workers_give_the_same_samples(data: DetectionData) -> None:
    config = LoaderConfig(batch_size=3, workers=0)
    expected = list(build_loader(data, augmenter("light"), config, stop_step=3))
    fresh = config.replace(workers=1, start_method="spawn", cache_megabytes=1.0)
    for batch, other in zip(expected, list(build_loader(data, augmenter("light"), fresh, stop_step=3)), strict=True):
        assert_same(batch, other)


def test_later_start_resumes_exactly_and_ranks_share_a_batch(data: DetectionData) -> None:
    config = LoaderConfig(batch_size=4, workers=0)
    whole = list(build_loader(data, augmenter(), config, stop_step=7))
    later = list(build_loader(data, augmenter(), config, start_step=5, stop_step=7))
    assert_same(whole[5], later[0])
    assert_same(whole[6], later[1])
    ranks = [next(iter(build_loader(data, augmenter(), config, start_step=5, rank=rank, world=2))) for rank in (0, 1)]
    assert tuple(path for pair in zip(ranks[0].paths, ranks[1].paths, strict=True) for path in pair) == whole[5].paths
    assert torch.equal(ranks[1].images[1], whole[5].images[3])


def test_samples_depend_on_their_key(data: DetectionData) -> None:
    dataset = build_loader(data, augmenter("light"), LoaderConfig(workers=0)).data
    assert torch.equal(dataset[(2, 4)].image, dataset[(2, 4)].image)
    seeds = {dataset[key].seed for key in [(2, 4), (2, 4, 1), (1, 4), (2, 5)]}
    assert len(seeds) == 4


def test_global_random_state_is_not_used(data: DetectionData) -> None:
    for workers in (0, 1):
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002
        before = torch.get_rng_state().clone(), np.random.get_state()[1].copy()  # noqa: NPY002
        list(build_loader(data, augmenter(), LoaderConfig(workers=workers), stop_step=2))
        assert torch.equal(before[0], torch.get_rng_state())
        assert (before[1] == np.random.get_state()[1]).all()  # noqa: NPY002


def test_workers_end_with_the_iteration(data: DetectionData) -> None:
    loader = build_loader(data, augmenter("flip"), LoaderConfig(batch_size=2, workers=2))
    batches = iter(loader)
    next(batches)
    assert len(multiprocessing.active_children()) == 2
    batches.close()
    assert not multiprocessing.active_children()
    list(build_loader(data, augmenter("flip"), LoaderConfig(batch_size=2, workers=1), stop_step=2))
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty (0 bytes)"),
        (None, "no such image file"),
        (cv2.imencode(".png", np.zeros((30, 40, 3), np.uint8))[1].tobytes(), "labels are for 50 x 30 pixels, but the image has 40 x 30"),
    ],
)
def test_sample_errors_name_the_file_in_one_line(data: DetectionData, workers: int, content: bytes | None, message: str) -> None:
    path = data.records[6].path
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SampleError) as caught:
        list(build_loader(data, augmenter("flip"), LoaderConfig(workers=workers), stop_step=3))
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Traceback" in "".join(caught.value.__notes__)
    assert not multiprocessing.active_children()


def test_unexpected_errors_name_the_file_too(data: DetectionData) -> None:
    def broken(record: ImageRecord, image: np.ndarray) -> Proposals:
        raise IndexError("list index out of range")

    with pytest.raises(SampleError, match=r"\.png: the training sample could not be created: list index out of range"):
        next(iter(build_loader(data, augmenter(), LoaderConfig(workers=0), proposals=broken)))


def test_batches_contain_proposals_and_label_flags(data: DetectionData) -> None:
    labeled = np.arange(9) % 2 == 0
    config = LoaderConfig(batch_size=9, workers=1)
    loader = build_loader(data, augmenter("flip"), config, stop_step=1, proposals=boxes_as_proposals, is_labeled=labeled)
    batch = next(iter(loader))
    for targets, proposals in zip(batch.targets, batch.proposals, strict=True):
        torch.testing.assert_close(targets.boxes, proposals.boxes)
    assert [bool(labeled[int(Path(path).stem)]) for path in batch.paths] == list(batch.is_labeled)
    assert next(iter(build_loader(data, augmenter("flip"), config.replace(workers=0)))).proposals is None


@pytest.mark.parametrize(("workers", "megabytes"), [(0, 1.0), (0, 0.02), (2, 1.0)])
def test_cached_images_give_the_same_samples(data: DetectionData, workers: int, megabytes: float) -> None:
    config = LoaderConfig(batch_size=3, workers=0)
    expected = list(build_loader(data, augmenter(), config, stop_step=7))
    cached = build_loader(data, augmenter(), config.replace(workers=workers, cache_megabytes=megabytes), stop_step=7)
    for batch, other in zip(expected, cached, strict=True):
        assert_same(batch, other)


def test_forked_processes_share_the_cache_within_its_budget(data: DetectionData) -> None:
    loader = build_loader(
        data, augmenter("flip"), LoaderConfig(batch_size=9, workers=2, cache_megabytes=0.02, start_method="fork"), stop_step=2
    )
    list(loader)
    cache = loader.data._cache
    assert cache.count == 4  # of 4,500 bytes each
    assert [cache.get(number) is not None for number in range(9)] == [True] * 4 + [False] * 5
    for number in range(4):
        data.records[number].path.unlink()
        assert loader.data.image(number).size == data.records[number].size


def test_cached_images_are_returned_as_copies() -> None:
    cache = ImageCache(np.array([[2, 2], [1, 3]]), 1.0)
    cache.put(0, np.full((2, 2, 3), 7, np.uint8))
    cache.get(0)[:] = 0
    assert (cache.get(0) == 7).all()
    assert cache.get(1) is None
    assert ImageCache(np.array([[2, 2]]), 0.0).get(0) is None


def test_grouping_repeating_and_skipping_images(data: DetectionData) -> None:
    def keys(**values: object) -> list[tuple[int, int, int]]:
        plan = build_loader(data, augmenter(), LoaderConfig(batch_size=3, workers=0, **values)).plan
        return [tuple(key) for step in range(30) for key in plan.batch(step)]

    grouped = keys()
    assert all(len({record < 3 for _, record, _ in grouped[step * 3 : step * 3 + 3]}) == 1 for step in range(30))
    mixed = keys(aspect_grouping=False)
    assert any(len({record < 3 for _, record, _ in mixed[step * 3 : step * 3 + 3]}) == 2 for step in range(30))
    assert 8 not in {record for _, record, _ in keys(skip_empty=True)}
    assert max(copy for _, _, copy in keys(repeat_threshold=1.0)) == 1


def test_no_images_to_train_on(data: DetectionData) -> None:
    with pytest.raises(ValueError, match="images: no images to train on"):
        build_loader(data.take([]), augmenter(), LoaderConfig())
    with pytest.raises(ValueError, match=r"images: none of its 1 images has objects, and loader\.skip_empty skips those without"):
        build_loader(data.take([8]), augmenter(), LoaderConfig(skip_empty=True))
    with pytest.raises(ValueError, match=r"set loader\.batch_size to a multiple of 2"):
        build_loader(data, augmenter(), LoaderConfig(batch_size=3), world=2)


def test_image_seeds_are_fixed() -> None:
    assert image_seed(0, 0, 1) == 4974251876355091913
    seeds = {image_seed(seed, step, image) for seed in range(5) for step in range(5) for image in (1, "1", 2, "a b")}
    assert len(seeds) == 100
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_mosaics_of_one_image_and_batches_larger_than_the_data(data: DetectionData) -> None:
    batch = next(iter(build_loader(data.take([4]), augmenter(), LoaderConfig(batch_size=5, workers=0))))
    assert len(batch) == 5
    assert len({image.numpy().tobytes() for image in batch.images}) == 5


def test_images_without_augmentation(data: DetectionData) -> None:
    image = build_loader(data, augmenter(), LoaderConfig(workers=0)).data.image(1)
    assert isinstance(image, AnnotatedImage)
    assert image.size == (50, 30)
