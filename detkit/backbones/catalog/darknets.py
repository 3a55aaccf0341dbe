"""Catalog entries of backbones that were published with a detector and have no weights of their own."""

from __future__ import annotations

from detkit.backbones.info import BackboneInfo, Family, Level

DARKNET = Family(
    "Darknet of YOLOv1",
    2015,
    "https://arxiv.org/abs/1506.02640",
    "Twenty convolutions in the style of GoogLeNet, fast enough for real-time detection.",
    module="darknet_v1",
    source="detkit",
)

CSP_DARKNET = Family(
    "CSPDarknet",
    2021,
    "https://arxiv.org/abs/2107.08430",
    "Darknet in which half of each stage's channels bypass its blocks, as in YOLOX.",
    module="csp_darknet",
    source="detkit",
)

HGNET_V2_SMALL = Family(
    "HGNetV2 of DEIMv2",
    2025,
    "https://arxiv.org/abs/2509.20787",
    "HGNetV2-B0 without its last stage, and in the two smaller sizes with a smaller third stage.",
    module="rtdetr.hgnet_v2",
    source="detkit",
)


def _darknet_v1(name: str, channels: tuple[int, ...], first_offset: float, parameters: int, gflops: float) -> BackboneInfo:
    powers = range(6 - len(channels), 6)
    return DARKNET.member(
        name,
        channels[-5:],
        parameters,
        gflops,
        levels=tuple(Level(f"c{k}", c, 2**k, (2**k - 1) / 2 - first_offset) for k, c in zip(powers, channels, strict=True)),
        default_levels=("c2", "c3", "c4", "c5"),
        input_size=448,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    )


def _csp_darknet(size: str, channels: int, input_size: int, parameters: int, gflops: float) -> BackboneInfo:
    # The stem reads whole 2x2 blocks of pixels, which moves every cell by half a pixel.
    levels = tuple(Level(f"c{k}", channels * 2 ** (k - 1), 2**k, 0.5) for k in (1, 2, 3, 4, 5))
    return CSP_DARKNET.member(
        f"csp_darknet_{size}",
        tuple(level.channels for level in levels),
        parameters,
        gflops,
        levels=levels,
        input_size=input_size,
        # YOLOX's detectors take pixel values from 0 to 255 without normalization.
        mean=(0.0, 0.0, 0.0),
        std=(1 / 255, 1 / 255, 1 / 255),
    )


def _hgnet_v2(size: str, channels: int, input_size: int, parameters: int, gflops: float) -> BackboneInfo:
    """Return the entry of a size whose last map, of stride 16, has this number of channels."""
    # For the offset, see the family HGNetV2.
    levels = tuple(Level(f"c{k}", c, 2**k, 1.5) for k, c in zip((2, 3, 4), (64, 256, channels), strict=True))
    return HGNET_V2_SMALL.member(
        f"hgnetv2_{size}",
        tuple(level.channels for level in levels),
        parameters,
        gflops,
        levels=levels,
        default_levels=("c2", "c3", "c4"),
        input_size=input_size,
        # DEIMv2 does not normalize the images.
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    )


MEMBERS = (
    _hgnet_v2("atto", 256, 320, 230344, 0.331),
    _hgnet_v2("femto", 512, 416, 389832, 0.667),
    _hgnet_v2("pico", 512, 640, 749202, 2.151),
    _darknet_v1("darknet_yolov1", (64, 192, 512, 1024, 1024), 0.5, 22412224, 16.84),
    _darknet_v1("darknet_yolov1_tiny", (16, 32, 64, 128, 256, 512), 0.0, 1573776, 1.24),
    _csp_darknet("nano", 16, 416, 459968, 0.266),
    _csp_darknet("tiny", 24, 416, 2372304, 1.321),
    _csp_darknet("s", 32, 640, 4212672, 5.439),
    _csp_darknet("m", 48, 640, 12352992, 16.692),
    _csp_darknet("l", 64, 640, 27075968, 37.827),
    _csp_darknet("x", 80, 640, 50301600, 71.991),
)
