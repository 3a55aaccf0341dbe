"""Conversion of YOLOX's released files: those of release 0.1.1rc0, and files of convolutions numbered in execution order."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from detkit.models import presets
from detkit.models.detector import Detector
from detkit.models.published.conversion import COCO_CLASSES, Publication
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
"""Submodules of a block: depthwise convolution and the following 1x1 convolution, or convolution and norm."""

_STEM = "neck.backbone.stem.0.weight"
_FIRST = "000.weight"


def convert(tensors: Mapping[str, Tensor], config: YOLOXConfig) -> dict[str, Tensor]:
    """Rename the tensors of a state dict of YOLOX, or its numbered convolutions with folded norms.

    Numbered convolutions are called ``000.weight``, ``000.bias``, ... The weights of the stem are reordered for this package and for RGB,
    as the files expect BGR. An unknown name is unchanged.

    Raises:
        ValueError: If the number of convolutions is not that of the model.
    """
    converted = (
        _from_execution_order(tensors, config) if _FIRST in tensors else {_renamed(name): tensor for name, tensor in tensors.items()}
    )
    if _STEM in converted:
        converted[_STEM] = stem_weights(converted[_STEM])
    return converted


def stem_weights(weights: Tensor) -> Tensor:
    """Convert the weights of the stem to ``(O, 3, 6, 6)`` over RGB.

    YOLOX has ``(O, 12, 3, 3)`` over the concatenated four BGR pixels of each 2x2 block, in the order top left, bottom left, top right,
    bottom right (``network_blocks.py``, ``Focus``). Weights of another shape are unchanged.
    """
    if tuple(weights.shape[1:]) != (12, 3, 3):
        return weights
    blocks = weights.reshape(-1, 2, 2, 3, 3, 3)  # out, x in the block, y in the block, channel, y of the block, x of the block
    return blocks.permute(0, 3, 4, 2, 5, 1).reshape(-1, 3, 6, 6).flip(1).contiguous()


def _renamed(name: str) -> str:
    for pattern, replacement in _NAMES:
        if re.fullmatch(pattern, name):
            return ".".join(_PARTS.get(part, part) for part in re.sub(pattern, replacement, name).split("."))
    return name


def _from_execution_order(tensors: Mapping[str, Tensor], config: YOLOXConfig) -> dict[str, Tensor]:
    """Load numbered convolutions in execution order; norms become identities that add the bias of the file."""
    detector = config.build(len(COCO_CLASSES)).eval()
    names = execution_order(detector)
    if set(tensors) != {f"{index:03}.{part}" for index in range(len(names)) for part in ("weight", "bias")}:
        raise ValueError(f"expected {len(names)} convolutions, numbered from 000, each with weight and bias, got {len(tensors)} tensors")
    own = detector.state_dict()
    for index, name in enumerate(names):
        own[f"{name}.weight"], bias = tensors[f"{index:03}.weight"], tensors[f"{index:03}.bias"]
        if f"{name}.bias" in own:
            own[f"{name}.bias"] = bias
            continue
        norm = f"{name.rpartition('.')[0]}.1"
        ones = torch.ones_like(bias)
        layer = detector.get_submodule(norm)
        assert isinstance(layer, nn.BatchNorm2d)  # the layer after a convolution without bias
        identity = {"weight": ones, "bias": bias, "running_mean": torch.zeros_like(bias), "running_var": ones - layer.eps}
        own |= {f"{norm}.{part}": value for part, value in identity.items()}
    return own


@torch.no_grad()
def execution_order(detector: Detector) -> list[str]:
    """Return the names of a detector's convolutions in execution order."""
    order: list[str] = []
    convolutions = {name: part for name, part in detector.named_modules() if isinstance(part, nn.Conv2d)}
    handles = [part.register_forward_pre_hook(lambda *_, name=name: order.append(name)) for name, part in convolutions.items()]
    detector.raw(detector.prepare([torch.zeros(3, 64, 64)]))
    for handle in handles:
        handle.remove()
    return order


def _publication(preset: Callable[[], YOLOXConfig]) -> Publication:
    config = preset()
    return Publication(config, COCO_CLASSES, partial(convert, config=config))


yolox_nano = partial(_publication, presets.yolox_nano)
yolox_tiny = partial(_publication, presets.yolox_tiny)
yolox_s = partial(_publication, presets.yolox_s)
yolox_m = partial(_publication, presets.yolox_m)
yolox_l = partial(_publication, presets.yolox_l)
yolox_x = partial(_publication, presets.yolox_x)
