from __future__ import annotations

import dataclasses
import math

import pytest
from torchvision.models import get_model_weights

from detkit.weights import NOT_STATED, WeightEntry, catalog, find, resolve
from detkit.weights.fetch import sha256_of

TORCHVISIONS = [entry for entry in catalog() if "torchvision" in entry.source]


def architecture(model: str) -> str:
    """torchvision's name of a model: it has one VGG16 for two files with different normalizations."""
    return model.removesuffix("_caffe")


@pytest.mark.oracle("torchvision", "address, size, parameters and published metrics of weights", tolerance="equal")
@pytest.mark.parametrize("entry", TORCHVISIONS, ids=lambda entry: entry.name)
def test_entries_equal_torchvision(entry: WeightEntry) -> None:
    stated = {f"{type(member).__name__}.{member.name}": member for member in get_model_weights(architecture(entry.model))}
    member = stated[entry.source.rpartition(", ")[2]]
    assert entry.url == member.url
    assert entry.file_name == member.url.rpartition("/")[2]
    assert entry.sha256 == entry.file_name.removesuffix(".pth").rpartition("-")[2]
    assert len(entry.sha256) >= 8
    assert (entry.size, entry.parameters) == (member.meta["_file_size"], member.meta["num_params"])
    ((data, metrics),) = member.meta["_metrics"].items()
    if entry.kind == "backbone":
        assert (data, entry.training_data.rpartition(", then ")[2]) == ("ImageNet-1K", "ImageNet-1K")
        assert metrics["acc@1"] == pytest.approx(entry.metrics.get("top-1", math.nan), nan_ok=True)
    else:
        assert (data, metrics["box_map"], entry.training_data) == ("COCO-val2017", entry.metrics["AP"], "COCO train2017")
        assert metrics.get("mask_map") == entry.metrics.get("mask AP")
    # torchvision states the license of SWAG only.
    assert member.meta.get("license", NOT_STATED).removeprefix("https://") in entry.license
    assert (entry.license == NOT_STATED) == ("license" not in member.meta), "torchvision states a license now: put it into the catalog"


@pytest.mark.oracle("torchvision", "list of published files", tolerance="equal")
@pytest.mark.parametrize("model", sorted({architecture(entry.model) for entry in TORCHVISIONS}))
def test_every_torchvision_file_is_listed_default_first(model: str) -> None:
    urls = [entry.url for entry in catalog() if architecture(entry.model) == model]
    assert urls == [member.url for member in get_model_weights(model)], "torchvision's order: the first generation is the default"


def test_names_are_unique_and_every_field_is_set() -> None:
    assert len({entry.name for entry in catalog()}) == len(catalog())
    for entry in catalog():
        fields = [field.name for field in dataclasses.fields(entry) if field.name not in {"package", "metrics"}]
        unstated = {"size"} if entry.format_size() == NOT_STATED else set()
        empty = [name for name in fields if not getattr(entry, name) and name not in unstated]
        assert not empty, f"{entry.name}: {empty}"


def test_file_in_a_package_is_the_stated_one() -> None:
    entry = find("efficientnet_lite0")
    path = resolve("efficientnet_lite0")
    assert path.name == entry.file_name
    assert sha256_of(path).startswith(entry.sha256)
    assert entry.size == pytest.approx(path.stat().st_size / 2**20, abs=0.001)


def test_format_metrics() -> None:
    assert find("resnet50").format_metrics() == "top-1 76.1"
    assert dataclasses.replace(find("resnet50"), metrics={}).format_metrics() == NOT_STATED
