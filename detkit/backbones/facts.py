"""What is known about each backbone: plain data, so that listing it imports neither torch nor timm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from detkit import weights
from detkit.backbones.table import BACKBONES

Numbers = tuple[float, float, float]

IMAGENET_MEAN: Numbers = (0.485, 0.456, 0.406)
IMAGENET_STD: Numbers = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Level:
    """A map that a backbone can give: its name (``c4`` for the last map of stride 16), channels, and stride in pixels.

    ``offset`` is how far the centre of cell (0, 0) lies right of the first pixel's centre and below it, in pixels.
    """

    name: str
    channels: int
    stride: int
    offset: float = 0.0


@dataclass(frozen=True)
class BackboneFacts:
    """What is known about a backbone before it is built.

    Attributes:
        name: As typed.
        family: The architecture it is a size of.
        year: Of the paper.
        paper: Where it was described.
        levels: Every map it can give, in the order of running.
        default_levels: The names of those it gives unless told.
        input_size: Side in pixels of the square pictures it was trained on; any size runs unless the docstring of its function says else.
        mean: Of its input, RGB in [0, 1].
        std: Of its input, RGB in [0, 1].
        parameters: Of the published classifier, its head included; of the network itself where there is none.
        gflops: Of the same at ``input_size``, in 10^9 multiply-adds, as its publisher counts them; else counted by us.
        source: The library that supplies it; ``detkit`` itself has those that come with a detector, without weights of their own.
        dilates: Whether its function takes ``dilated_c5``.
    """

    name: str
    family: str
    year: int
    paper: str
    levels: tuple[Level, ...]
    default_levels: tuple[str, ...]
    parameters: int
    gflops: float
    source: str
    input_size: int = 224
    mean: Numbers = IMAGENET_MEAN
    std: Numbers = IMAGENET_STD
    dilates: bool = False

    def chosen(self, names: tuple[str, ...] | None) -> tuple[Level, ...]:
        """The levels of these names (None: the default ones), finest first.

        Raises:
            ValueError: there is no such level, or none was asked for.
        """
        wanted = self.default_levels if names is None else names
        known = tuple(level.name for level in self.levels)
        unknown = [name for name in wanted if name not in known]
        if unknown or not wanted:
            raise ValueError(f"backbone {self.name}: expected levels out of {', '.join(known)}, got {', '.join(unknown) or 'none'}")
        return tuple(level for level in self.levels if level.name in wanted)


def _resnet(name: str, expansion: int, parameters: int, gflops: float) -> BackboneFacts:
    stages = tuple(Level(f"c{k}", 2 ** (k + 4) * expansion, 2**k) for k in (2, 3, 4, 5))
    return BackboneFacts(
        name=name,
        family="ResNet",
        year=2015,
        paper="https://arxiv.org/abs/1512.03385",
        levels=(Level("c1", 64, 2), *stages),
        default_levels=("c2", "c3", "c4", "c5"),
        parameters=parameters,
        gflops=gflops,
        source="torchvision",
        dilates=True,
    )


def _mobilenet_v3(tail: int, **facts: Any) -> BackboneFacts:
    # torchvision's detectors put their FPN on c5_first and c5: the first block of stride 32, and the last convolution. Its SSDLite stands
    # on c4_expanded and c5: the first of these is the map of stride 16 behind that block's expansion (section 6.3 of the paper).
    return BackboneFacts(
        family="MobileNetV3",
        year=2019,
        paper="https://arxiv.org/abs/1905.02244",
        levels=(
            Level("c1", 16, 2),
            Level("c2", 24, 4),
            Level("c3", 40, 8),
            Level("c4", 112, 16),
            Level("c4_expanded", 672, 16),
            Level("c5_first", tail, 32),
            Level("c5", 6 * tail, 32),
        ),
        default_levels=("c2", "c3", "c4", "c5"),
        source="torchvision",
        **facts,
    )


_MOBILENET_V3_LARGE = _mobilenet_v3(160, name="mobilenet_v3_large", parameters=5483032, gflops=0.217)
_MOBILENET_V3_LARGE_REDUCED = _mobilenet_v3(
    80,
    name="mobilenet_v3_large_reduced",
    # Nobody publishes a classifier: counted by us on torchvision's.
    parameters=2569352,
    gflops=0.182,
    # As torchvision's SSDLite takes its input.
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
)


def _vgg16(name: str, **normalisation: Any) -> BackboneFacts:
    # Poolings of 2x2 pixels move cells to the middle of the pixels that they stand for.
    channels = (64, 128, 256, 512, 512, 512)
    return BackboneFacts(
        name=name,
        family="VGG",
        year=2014,
        paper="https://arxiv.org/abs/1409.1556",
        levels=tuple(Level(f"c{k}", channels[k], 2**k, (2**k - 1) / 2) for k in range(6)),
        default_levels=("c2", "c3", "c4", "c5"),
        parameters=138357544,
        gflops=15.47,
        source="torchvision",
        **normalisation,
    )


def _darknet_v1(name: str, channels: tuple[int, ...], first_offset: float, parameters: int, gflops: float) -> BackboneFacts:
    powers = range(6 - len(channels), 6)
    return BackboneFacts(
        name=name,
        family="Darknet of YOLOv1",
        year=2015,
        paper="https://arxiv.org/abs/1506.02640",
        levels=tuple(Level(f"c{k}", c, 2**k, (2**k - 1) / 2 - first_offset) for k, c in zip(powers, channels, strict=True)),
        default_levels=("c2", "c3", "c4", "c5"),
        parameters=parameters,
        gflops=gflops,
        source="detkit",
        input_size=448,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    )


_EFFICIENTNET_LITE0 = BackboneFacts(
    name="efficientnet_lite0",
    family="EfficientNet-Lite",
    year=2020,
    paper="https://arxiv.org/abs/1905.11946",
    levels=(Level("c1", 16, 2), Level("c2", 24, 4), Level("c3", 40, 8), Level("c4", 112, 16), Level("c5", 320, 32)),
    default_levels=("c2", "c3", "c4", "c5"),
    parameters=4652008,
    gflops=0.407,
    source="timm",
    # (x - 127) / 128 on 0 to 255: efficientnet_lite_builder.py of the publisher.
    mean=(127 / 255, 127 / 255, 127 / 255),
    std=(128 / 255, 128 / 255, 128 / 255),
)


def _csp_darknet(size: str, channels: int, input_size: int, parameters: int, gflops: float) -> BackboneFacts:
    # The stem sees whole 2x2 blocks of pixels, which moves every cell by half a pixel.
    levels = tuple(Level(f"c{k}", channels * 2 ** (k - 1), 2**k, 0.5) for k in (1, 2, 3, 4, 5))
    return BackboneFacts(
        name=f"csp_darknet_{size}",
        family="CSPDarknet",
        year=2021,
        paper="https://arxiv.org/abs/2107.08430",
        levels=levels,
        default_levels=("c2", "c3", "c4", "c5"),
        parameters=parameters,
        gflops=gflops,
        source="detkit",
        input_size=input_size,
        # YOLOX's detectors take 0 to 255 as it is.
        mean=(0.0, 0.0, 0.0),
        std=(1 / 255, 1 / 255, 1 / 255),
    )


_ALL = (
    _resnet("resnet18", 1, 11689512, 1.814),
    _resnet("resnet34", 1, 21797672, 3.664),
    _resnet("resnet50", 4, 25557032, 4.089),
    _resnet("resnet101", 4, 44549160, 7.801),
    _MOBILENET_V3_LARGE,
    _MOBILENET_V3_LARGE_REDUCED,
    _vgg16("vgg16"),
    # (123, 117, 104) on 0 to 255, the mean that the authors published beside their Caffe weights, as torchvision's SSD takes it.
    _vgg16("vgg16_caffe", mean=(0.48235, 0.45882, 0.40784), std=(1 / 255, 1 / 255, 1 / 255)),
    _darknet_v1("darknet_yolov1", (64, 192, 512, 1024, 1024), 0.5, 22412224, 16.84),
    _darknet_v1("darknet_yolov1_tiny", (16, 32, 64, 128, 256, 512), 0.0, 1573776, 1.24),
    _EFFICIENTNET_LITE0,
    _csp_darknet("nano", 16, 416, 459968, 0.266),
    _csp_darknet("tiny", 24, 416, 2372304, 1.321),
    _csp_darknet("s", 32, 640, 4212672, 5.439),
    _csp_darknet("m", 48, 640, 12352992, 16.692),
    _csp_darknet("l", 64, 640, 27075968, 37.827),
    _csp_darknet("x", 80, 640, 50301600, 71.991),
)

FACTS: Mapping[str, BackboneFacts] = {facts.name: facts for facts in _ALL}


def facts_of(name: str) -> BackboneFacts:
    """The facts of a backbone of this package, or those that another package's function carries as ``.facts``.

    Raises:
        ValueError: there is no such backbone, or nothing is known about it.
    """
    if name in FACTS:
        return FACTS[name]
    found = getattr(BACKBONES.get(name), "facts", None)
    if not isinstance(found, BackboneFacts):
        raise ValueError(f"backbone {name}: its function has no .facts of class BackboneFacts; ask its package")
    return found


def describe() -> list[dict[str, str]]:
    """A row for each backbone, in words, for a table; imports nothing heavy.

    Backbones of other packages have only a name: knowing more would mean importing them.
    """
    empty = dict.fromkeys(_row(_ALL[0]), "")
    return [_row(FACTS[name]) if name in FACTS else {**empty, "name": name, "source": "another package"} for name in BACKBONES.names()]


def _row(facts: BackboneFacts) -> dict[str, str]:
    entries = [entry for entry in weights.catalogue() if entry.kind == "backbone" and entry.model == facts.name]
    return {
        "name": facts.name,
        "family": f"{facts.family} ({facts.year})",
        "levels": ", ".join(f"{level.name} {level.channels}/{level.stride}" for level in facts.levels),
        "input": str(facts.input_size),
        "normalisation": f"mean {_spoken(facts.mean)}, std {_spoken(facts.std)}",
        "parameters": f"{facts.parameters / 1e6:.1f} M",
        "gflops": f"{facts.gflops:.2f}",
        "weights": ", ".join(entry.name for entry in entries),
        "licence": "; ".join(dict.fromkeys(entry.licence for entry in entries)),
        "top1": ", ".join(f"{entry.figures['top-1']:.1f}" if "top-1" in entry.figures else weights.NOT_STATED for entry in entries),
        "paper": facts.paper,
        "source": facts.source,
    }


def _spoken(numbers: Numbers) -> str:
    return " ".join(f"{number:.3f}" for number in dict.fromkeys(numbers))
