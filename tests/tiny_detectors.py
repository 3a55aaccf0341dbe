"""Small versions of all registered detectors, for the tests that every detector must pass.

A kind with a large default config has a smaller version in ``TINY``; any other runs with its defaults. Most have the smallest ShuffleNet,
whose weights are drawn in a tenth of the time of those of a ResNet-18.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from detkit.config import Config
from detkit.heads.default_boxes import DefaultBoxConfig
from detkit.heads.queries.denoising import DenoisingConfig
from detkit.heads.region.layers import TwoFCConfig
from detkit.heads.text_classes import TextClassesConfig
from detkit.models import MODELS, presets
from detkit.models.detector import Detector, DetectorConfig
from detkit.necks import ExtraLevelConfig, FPNConfig
from detkit.preprocess import PreprocessConfig
from detkit.structures import Proposals


def tiny_faster_rcnn(config: Config) -> Config:
    rpn = config.rpn.replace(train_max_proposals=50, max_proposals=50, samples_per_image=32)
    region = config.region.replace(head=TwoFCConfig(hidden=32), samples_per_image=32, pool_size=3)
    return config.replace(neck=FPNConfig(out_channels=32), rpn=rpn, region=region)


def tiny_fast_rcnn(config: Config) -> Config:
    return config.replace(region=config.region.replace(head=TwoFCConfig(hidden=32), samples_per_image=16, pool_size=3))


def fast_rcnn_at_three_scales(config: Config) -> Config:
    return tiny_fast_rcnn(config).replace(scales=(0.5, 0.7, 1.0))


def fast_rcnn_on_a_pyramid(config: Config) -> Config:
    small = tiny_fast_rcnn(config)
    backbone = config.backbone.replace(levels=None)
    return small.replace(backbone=backbone, neck=FPNConfig(out_channels=32), region=small.region.replace(pooling="align"))


def tiny_rcnn(config: Config) -> Config:
    """Crops of 64 pixels, which give 2 x 2 cells."""
    region = config.region.replace(head=TwoFCConfig(hidden=32), samples_per_image=16, pool_size=2)
    return config.replace(region=region, warp_size=64, context_pixels=8, chunk_size=5)


def tiny_clip_rcnn(config: Config) -> Config:
    """A tower of eight dimensions on crops of 64 pixels; with a ResNet-18, some of its scores are high enough for detections."""
    region = config.region.replace(samples_per_image=16, text=config.region.text.replace(dimensions=8))
    backbone = config.backbone.replace(name="resnet18")
    return config.replace(backbone=backbone, region=region, warp_size=64, context_pixels=8, chunk_size=5)


def fast_rcnn_with_phrases(config: Config) -> Config:
    small = tiny_fast_rcnn(config)
    return small.replace(region=small.region.replace(text=TextClassesConfig(dimensions=8, background=())))


def tiny_sppnet(config: Config) -> Config:
    backbone = config.backbone.replace(frozen_stages=0)
    return config.replace(
        backbone=backbone, region=config.region.replace(head=TwoFCConfig(hidden=32), samples_per_image=16, pyramid_bins=(4, 2, 1))
    )


def faster_rcnn_c4(config: Config) -> Config:
    """Faster R-CNN without a feature pyramid, on the C4 map only."""
    small, c4 = tiny_faster_rcnn(config), presets.fasterrcnn_resnet50_c4()
    rpn = small.rpn.replace(anchors=c4.rpn.anchors)
    return small.replace(backbone=small.backbone.replace(levels=("c4",)), neck=c4.neck.replace(out_channels=32), rpn=rpn)


def tiny_mask_rcnn(config: Config) -> Config:
    return tiny_faster_rcnn(config).replace(mask=config.mask.replace(pool_size=4, convs=1, width=8))


def mask_rcnn_c4(config: Config) -> Config:
    return faster_rcnn_c4(tiny_mask_rcnn(config))


def tiny_dense(config: Config) -> Config:
    """RetinaNet and FCOS with shallow towers on maps with few channels."""
    return config.replace(neck=config.neck.replace(out_channels=64), head=config.head.replace(depth=1))


def fcos_of_the_paper(config: Config) -> Config:
    return tiny_dense(config.replace(head=presets.fcos_resnet50_fpn_paper().head))


def tiny_detr(config: Config) -> Config:
    options = {"channels": 32, "attention_heads": 4, "encoder_layers": 2, "decoder_layers": 2, "hidden": 64}
    return config.replace(head=config.head.replace(num_queries=20, **options))


def detr_dc5(config: Config) -> Config:
    """On a ResNet-18, because a ShuffleNet cannot be dilated."""
    return tiny_detr(config.replace(backbone=config.backbone.replace(name="resnet18", dilated_c5=True)))


def detr_with_denoising(config: Config) -> Config:
    small = tiny_detr(config)
    return small.replace(head=small.head.replace(denoising=DenoisingConfig(queries=6)))


def tiny_queries(config: Config) -> Config:
    """RT-DETR and D-FINE with a narrow encoder and two decoder layers."""
    neck = config.neck.replace(channels=32, attention_heads=4, hidden=64, depth=0.34, expansion=0.5)
    head = config.head.replace(num_queries=20, channels=32, attention_heads=4, hidden=64, layers=2)
    return config.replace(neck=neck, head=head.replace(denoising=head.denoising.replace(queries=6)))


def tiny_ssd(config: Config) -> Config:
    """Images of 96 x 128, and one level after the backbone's two."""
    boxes = DefaultBoxConfig(scales=(0.2, 0.4, 0.6, 0.8), ratios=((2.0,), (2.0, 3.0), (2.0,)), steps=None)
    return config.replace(
        preprocess=PreprocessConfig(rule="fixed", input_size=(96, 128)),
        neck=config.neck.replace(extras=(ExtraLevelConfig(channels=32),), atrous_channels=32),
        head=config.head.replace(default_boxes=boxes),
    )


def ssdlite(config: Config) -> Config:
    small, lite = tiny_ssd(config), presets.ssdlite320_mobilenet_v3_large()
    neck = lite.neck.replace(extras=small.neck.extras)
    return small.replace(first_level="c4", neck=neck, head=lite.head.replace(default_boxes=small.head.default_boxes))


def tiny_yolov1(config: Config) -> Config:
    """Images of 96 x 160, which give six cells."""
    return config.replace(
        preprocess=PreprocessConfig(rule="fixed", input_size=(96, 160)),
        neck=config.neck.replace(channels=(16, 16)),
        head=config.head.replace(hidden=(32,)),
    )


def tiny_yolox(config: Config) -> Config:
    return config.replace(neck=config.neck.replace(out_channels=16), head=config.head.replace(channels=16))


def light(config: Config) -> Config:
    """The light detector's neck and head."""
    small = presets.light_lite0()
    return config.replace(neck=small.neck.replace(out_channels=16), head=small.head.replace(channels=16))


TINY: dict[str, Callable[[Config], Config]] = {
    "clip_rcnn": tiny_clip_rcnn,
    "detr": tiny_detr,
    "detr/dc5": detr_dc5,
    "detr/denoising": detr_with_denoising,
    "dfine": tiny_queries,
    "fast_rcnn": tiny_fast_rcnn,
    "fast_rcnn/fpn": fast_rcnn_on_a_pyramid,
    "fast_rcnn/scales": fast_rcnn_at_three_scales,
    "fast_rcnn/text": fast_rcnn_with_phrases,
    "faster_rcnn": tiny_faster_rcnn,
    "faster_rcnn/c4": faster_rcnn_c4,
    "fcos": tiny_dense,
    "fcos/paper": fcos_of_the_paper,
    "mask_rcnn": tiny_mask_rcnn,
    "mask_rcnn/c4": mask_rcnn_c4,
    "rcnn": tiny_rcnn,
    "retinanet": tiny_dense,
    "rtdetr": tiny_queries,
    "sppnet": tiny_sppnet,
    "ssd": tiny_ssd,
    "ssd/lite": ssdlite,
    "yolov1": tiny_yolov1,
    "yolox": tiny_yolox,
    "yolox/light": light,
}
"""A name after a slash is a variant of the kind before it."""


NAMES = sorted({*MODELS.names(), *TINY} - {"classifier", "clip", "fcn", "unet"})
"""All detectors and their variants."""


def tiny(name: str) -> DetectorConfig:
    config = MODELS.get(name.partition("/")[0])()
    config = config.replace(backbone=config.backbone.replace(name="shufflenet_v2_x0_5", weights=None))
    return TINY.get(name, lambda same: same)(config)


@torch.no_grad()
def fit_norms(detector: Detector) -> None:
    """Give norms the statistics of their inputs, as in a trained detector: otherwise the activations of a new one vanish layer by layer."""

    def fit(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        norm.running_mean.copy_(inputs[0].mean((0, 2, 3)))
        norm.running_var.copy_(inputs[0].var((0, 2, 3), correction=0).clamp(min=1e-6))

    hooks = [part.register_forward_pre_hook(fit) for part in detector.modules() if hasattr(part, "running_var")]
    images = random_images(detector, (96, 128), (96, 128))
    detector(images, **arguments(detector, images))
    for hook in hooks:
        hook.remove()


def random_images(detector: Detector, *sizes: tuple[int, int]) -> list[Tensor]:
    """Random noise in these sizes, or in the detector's fixed input size."""
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(3, *(detector.input_size or size), generator=generator) for size in sizes]


def arguments(detector: Detector, images: list[Tensor]) -> dict[str, list[Proposals]]:
    """Proposals, for detectors that take them."""
    if not detector.takes_proposals:
        return {}
    boxes = torch.tensor([[0.0, 0.0, 40.0, 40.0], [8.0, 10.0, 62.0, 72.0], [30.0, 0.0, 90.0, 60.0]])
    return {"proposals": [Proposals(boxes, torch.tensor([3.0, 2.0, 1.0])) for _ in images]}
