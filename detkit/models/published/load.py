"""From a published file to a detector of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from detkit.models.detector import Detector, DetectorConfig
from detkit.registry import Registry
from detkit.weights import resolve
from detkit.weights.read import read_tensors

PUBLISHED = Registry(
    "published detector",
    "detkit.published",
    {
        "clip_rcnn": "detkit.models.published.clip:vit_b32",
        "clip_rcnn_vit_b16": "detkit.models.published.clip:vit_b16",
        "clip_rcnn_rn50": "detkit.models.published.clip:rn50",
        "clip_rcnn_rn101": "detkit.models.published.clip:rn101",
        "clip_rcnn_rn50x4": "detkit.models.published.clip:rn50x4",
        "detr_r50": "detkit.models.published.detr:r50",
        "detr_r50_dc5": "detkit.models.published.detr:r50_dc5",
        "detr_r101": "detkit.models.published.detr:r101",
        "detr_r101_dc5": "detkit.models.published.detr:r101_dc5",
        "fasterrcnn_resnet50_fpn": "detkit.models.published.torchvision_faster_rcnn:resnet50_fpn",
        "fasterrcnn_resnet50_fpn_v2": "detkit.models.published.torchvision_faster_rcnn:resnet50_fpn_v2",
        "fasterrcnn_mobilenet_v3_large_fpn": "detkit.models.published.torchvision_faster_rcnn:mobilenet_v3_large_fpn",
        "fasterrcnn_mobilenet_v3_large_320_fpn": "detkit.models.published.torchvision_faster_rcnn:mobilenet_v3_large_320_fpn",
        "fcos_resnet50_fpn": "detkit.models.published.torchvision_fcos:resnet50_fpn",
        "retinanet_resnet50_fpn": "detkit.models.published.torchvision_retinanet:resnet50_fpn",
        "retinanet_resnet50_fpn_v2": "detkit.models.published.torchvision_retinanet:resnet50_fpn_v2",
        "ssd300_vgg16": "detkit.models.published.torchvision_ssd:ssd300_vgg16",
        "ssdlite320_mobilenet_v3_large": "detkit.models.published.torchvision_ssd:ssdlite320_mobilenet_v3_large",
        "zero_shot_rcnn": "detkit.models.published.zero_shot:zero_shot_rcnn",
        "yolox_nano": "detkit.models.published.yolox:yolox_nano",
        "yolox_tiny": "detkit.models.published.yolox:yolox_tiny",
        "yolox_s": "detkit.models.published.yolox:yolox_s",
        "yolox_m": "detkit.models.published.yolox:yolox_m",
        "yolox_l": "detkit.models.published.yolox:yolox_l",
        "yolox_x": "detkit.models.published.yolox:yolox_x",
    },
)
"""Name of published weights (as in ``detkit weights``) to the function that gives their :class:`Publication`."""

_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Publication:
    """How published weights become ours.

    Attributes:
        config: The model they are for.
        class_names: One a class, in our order; None for a slot that the publisher never used.
        convert: The publisher's tensors under our names and in our order of classes.
        weights: The name of the weights where they were published for something else: a classifier, say.
        named: For a detector of whatever classes are named: gives the same for them. ``class_names`` is empty then.
    """

    config: DetectorConfig
    class_names: tuple[str | None, ...]
    convert: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
    weights: str | None = None
    named: Callable[[Sequence[str]], Publication] | None = None


@dataclass(frozen=True, eq=False)
class PublishedDetector:
    """A detector with published weights, on the CPU, in evaluation mode."""

    detector: Detector
    config: DetectorConfig
    class_names: tuple[str | None, ...]


def publication(name: str) -> Publication:
    """How the weights of this name become ours.

    Raises:
        ValueError: there are none of this name.
    """
    found: Publication = PUBLISHED.get(name)()
    return found


def load_published(name: str, path: str | Path | None = None, classes: Sequence[str] | None = None) -> PublishedDetector:
    """The detector that a published file holds; no code in it is run.

    Args:
        name: Which weights these are: ``fasterrcnn_resnet50_fpn``.
        path: The file as it was published; None: where ``detkit weights`` puts it.
        classes: What to look for, for a detector of whatever is named; others have their own.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the name is unknown, or the file does not hold these weights, or nothing to look for is named.
        ImportError: it takes a library that is not here.
    """
    found = publication(name)
    if found.named is not None:
        if not classes:
            raise ValueError(
                f'{name} looks for what it is told: name it with --classes "a cat" "a red cup" (classes=[...] in Python); '
                "`detkit weights import` makes a checkpoint of it that goes everywhere"
            )
        found = found.named(classes)
    path = path or resolve(found.weights or name)
    detector = found.config.build(len(found.class_names))
    trouble, tensors = f"weights {path}: not {name}", read_tensors(path)
    try:
        converted = found.convert(tensors)
    except ValueError as error:
        raise ValueError(f"{trouble}: {error}") from None
    fill(detector, converted, trouble)
    detector.report_only(found.class_names)
    return PublishedDetector(detector.eval(), found.config, found.class_names)


def fill(detector: Detector, tensors: Mapping[str, Tensor], trouble: str) -> None:
    """Load all of a detector's tensors; only the counters of batch norms may be missing or too many.

    Raises:
        ValueError: a tensor is missing, unknown or of another shape; the message begins with ``trouble``.
    """
    own = {name: tensor for name, tensor in detector.state_dict().items() if not name.endswith(_COUNTER)}
    given = {name: tensor for name, tensor in tensors.items() if not name.endswith(_COUNTER)}
    missing, unknown = sorted(own.keys() - given.keys()), sorted(given.keys() - own.keys())
    if missing or unknown:
        raise ValueError(
            f"{trouble}: {len(missing)} tensors missing ({', '.join(missing[:3])}), {len(unknown)} unknown ({', '.join(unknown[:3])})"
        )
    for name, tensor in own.items():
        if given[name].shape != tensor.shape:
            raise ValueError(f"{trouble}: {name}: expected shape {tuple(tensor.shape)}, got {tuple(given[name].shape)}")
    detector.load_state_dict(given, strict=False)
