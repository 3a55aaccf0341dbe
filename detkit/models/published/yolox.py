"""YOLOX's released files under our names: those of release 0.1.1rc0, and convolutions in the order of running."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from detkit.models import presets_yolox
from detkit.models.detector import Detector
from detkit.models.published.coco import COCO_CLASSES
from detkit.models.published.load import Publication
from detkit.models.yolox import YOLOXConfig

_NAMES = (
    (r"backbone\.backbone\.stem\.conv\.(.*)", r"neck.backbone.stem.\1"),
    (r"backbone\.backbone\.(.*)", r"neck.backbone.\1"),
    (r"backbone\.lateral_conv0\.(.*)", r"neck.laterals.1.\1"),
    (r"backbone\.reduce_conv1\.(.*)", r"neck.laterals.0.\1"),
    (r"backbone\.C3_p4\.(.*)", r"neck.down_blocks.1.\1"),
    (r"backbone\.C3_p3\.(.*)", r"neck.down_blocks.0.\1"),
    (r"backbone\.bu_conv2\.(.*)", r"neck.shrinks.0.\1"),
    (r"backbone\.bu_conv1\.(.*)", r"neck.shrinks.1.\1"),
    (r"backbone\.C3_n3\.(.*)", r"neck.up_blocks.0.\1"),
    (r"backbone\.C3_n4\.(.*)", r"neck.up_blocks.1.\1"),
    (r"head\.stems\.(\d)\.(.*)", r"head.levels.\1.stem.\2"),
    (r"head\.cls_convs\.(\d)\.(.*)", r"head.levels.\1.class_tower.\2"),
    (r"head\.reg_convs\.(\d)\.(.*)", r"head.levels.\1.box_tower.\2"),
    (r"head\.cls_preds\.(\d)\.(.*)", r"head.levels.\1.logits.\2"),
    (r"head\.reg_preds\.(\d)\.(.*)", r"head.levels.\1.deltas.\2"),
    (r"head\.obj_preds\.(\d)\.(.*)", r"head.levels.\1.objectness.\2"),
)
_PARTS = {"dconv": "0", "pconv": "1", "conv": "0", "bn": "1"}
"""What is inside a block: depthwise convolution and the 1x1 behind it, convolution and norm."""

_STEM = "neck.backbone.stem.0.weight"
_FIRST = "000.weight"


def convert(tensors: Mapping[str, Tensor], config: YOLOXConfig) -> dict[str, Tensor]:
    """A state dict of YOLOX, or its convolutions ``000.weight``, ``000.bias``, ... with the norms folded, under our names.

    The stem's weights come into the order of ours, and of RGB: the files take BGR. A name that is not known stays as it is.

    Raises:
        ValueError: there are not as many convolutions as the model has.
    """
    converted = _in_order(tensors, config) if _FIRST in tensors else {_our_name(name): tensor for name, tensor in tensors.items()}
    if _STEM in converted:
        converted[_STEM] = stem_weights(converted[_STEM])
    return converted


def stem_weights(weights: Tensor) -> Tensor:
    """``(O, 3, 6, 6)`` over RGB that see a image as ``(O, 12, 3, 3)`` see the four BGR pixels of each 2x2 block behind one another.

    The code lays them in the order left above, left below, right above, right below (``network_blocks.py``, ``Focus``). Weights of another
    shape stay as they are.
    """
    if tuple(weights.shape[1:]) != (12, 3, 3):
        return weights
    blocks = weights.reshape(-1, 2, 2, 3, 3, 3)  # out, x in the block, y in the block, channel, y of the block, x of the block
    return blocks.permute(0, 3, 4, 2, 5, 1).reshape(-1, 3, 6, 6).flip(1).contiguous()


def _our_name(name: str) -> str:
    for pattern, ours in _NAMES:
        if re.fullmatch(pattern, name):
            return ".".join(_PARTS.get(part, part) for part in re.sub(pattern, ours, name).split("."))
    return name


def _in_order(tensors: Mapping[str, Tensor], config: YOLOXConfig) -> dict[str, Tensor]:
    """Convolutions take their numbers one after another as they run; norms become identities that add what the file has as bias."""
    detector = config.build(len(COCO_CLASSES)).eval()
    names = running_order(detector)
    if set(tensors) != {f"{place:03}.{part}" for place in range(len(names)) for part in ("weight", "bias")}:
        raise ValueError(f"expected {len(names)} convolutions from 000 on, each with weight and bias, got {len(tensors)} tensors")
    own = detector.state_dict()
    for place, name in enumerate(names):
        own[f"{name}.weight"], bias = tensors[f"{place:03}.weight"], tensors[f"{place:03}.bias"]
        if f"{name}.bias" in own:
            own[f"{name}.bias"] = bias
            continue
        norm = f"{name.rpartition('.')[0]}.1"
        ones = torch.ones_like(bias)
        layer = detector.get_submodule(norm)
        assert isinstance(layer, nn.BatchNorm2d)  # the part behind a convolution without a bias
        identity = {"weight": ones, "bias": bias, "running_mean": torch.zeros_like(bias), "running_var": ones - layer.eps}
        own |= {f"{norm}.{part}": value for part, value in identity.items()}
    return own


@torch.no_grad()
def running_order(detector: Detector) -> list[str]:
    """The names of a detector's convolutions in the order in which they run."""
    order: list[str] = []
    convolutions = {name: part for name, part in detector.named_modules() if isinstance(part, nn.Conv2d)}
    handles = [part.register_forward_pre_hook(lambda *_, name=name: order.append(name)) for name, part in convolutions.items()]
    detector.raw(detector.prepare([torch.zeros(3, 64, 64)]))
    for handle in handles:
        handle.remove()
    return order


def _as_published(config: YOLOXConfig) -> Publication:
    return Publication(config, COCO_CLASSES, partial(convert, config=config))


def yolox_nano() -> Publication:
    """``yolox_nano``."""
    return _as_published(presets_yolox.yolox_nano())


def yolox_tiny() -> Publication:
    """``yolox_tiny``."""
    return _as_published(presets_yolox.yolox_tiny())


def yolox_s() -> Publication:
    """``yolox_s``."""
    return _as_published(presets_yolox.yolox_s())


def yolox_m() -> Publication:
    """``yolox_m``."""
    return _as_published(presets_yolox.yolox_m())


def yolox_l() -> Publication:
    """``yolox_l``."""
    return _as_published(presets_yolox.yolox_l())


def yolox_x() -> Publication:
    """``yolox_x``."""
    return _as_published(presets_yolox.yolox_x())
