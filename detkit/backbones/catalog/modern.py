"""Catalog entries of transformers, and of the convolutional networks that followed them."""

from __future__ import annotations

from detkit.backbones.info import BLOCKS, HALVES, BackboneInfo, Family, Level, Numbers

VIT = Family(
    "ViT",
    2020,
    "https://arxiv.org/abs/2010.11929",
    "A plain transformer on 16x16 patches, trained on enough images, needs no convolutions.",
    module="vision_transformer",
    source="timm",
    offsets=BLOCKS,
)

DEIT = Family(
    "DeiT",
    2020,
    "https://arxiv.org/abs/2012.12877",
    "A ViT trained on ImageNet alone, with strong augmentation or distilled from a convolutional network through a separate token.",
    module="vision_transformer",
    source="timm",
    offsets=BLOCKS,
)

SWIN = Family(
    "Swin",
    2021,
    "https://arxiv.org/abs/2103.14030",
    "Attention within windows that shift from block to block, in stages that each halve the resolution.",
    offsets=BLOCKS,
)

CLIP_RESNET = Family(
    "CLIP ResNet",
    2021,
    "https://arxiv.org/abs/2103.00020",
    "A ResNet trained to match 400 million images with their captions.",
    module="timm_models",
    source="timm",
    offsets=(0.0, 1.0, 3.0, 7.0, 15.0),
)

CLIP_VIT = Family(
    "CLIP ViT",
    2021,
    "https://arxiv.org/abs/2103.00020",
    "A ViT trained to match images with their captions, like the ResNet of the same paper.",
    module="vision_transformer",
    source="timm",
    offsets=BLOCKS,
)

CONVNEXT = Family(
    "ConvNeXt",
    2022,
    "https://arxiv.org/abs/2201.03545",
    "A ResNet modernized step by step toward Swin, with 7x7 depthwise convolutions instead of attention.",
    offsets=BLOCKS,
)

CLIP_MEAN: Numbers = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD: Numbers = (0.26862954, 0.26130258, 0.27577711)


def _vit(family: Family, name: str, width: int, parameters: int, gflops: float, **more: Numbers) -> BackboneInfo:
    """Return the entry of a plain transformer; in ViTDet's pyramid every doubling of the patch map halves its channels."""
    patch = 32 if "patch32" in name else 16
    levels = tuple(Level(f"c{k}", width * min(2**k, patch) // patch, 2**k, (2**k - 1) / 2) for k in (2, 3, 4, 5))
    return family.member(name, tuple(level.channels for level in levels), parameters, gflops, levels=levels, **more)


VITS = (
    _vit(VIT, "vit_tiny_patch16_224", 192, 5717416, 1.254, mean=HALVES, std=HALVES),
    _vit(VIT, "vit_small_patch16_224", 384, 22050664, 4.599, mean=HALVES, std=HALVES),
    _vit(VIT, "vit_base_patch32_224", 768, 88224232, 4.409, mean=HALVES, std=HALVES),
    _vit(VIT, "vit_base_patch16_224", 768, 86567656, 17.564, mean=HALVES, std=HALVES),
    _vit(VIT, "vit_large_patch16_224", 1024, 304326632, 61.555, mean=HALVES, std=HALVES),
    _vit(DEIT, "deit_tiny_patch16_224", 192, 5717416, 1.254),
    _vit(DEIT, "deit_small_patch16_224", 384, 22050664, 4.599),
    _vit(DEIT, "deit_base_patch16_224", 768, 86567656, 17.564),
    _vit(DEIT, "deit_tiny_distilled_patch16_224", 192, 5910800, 1.261),
    _vit(DEIT, "deit_small_distilled_patch16_224", 384, 22436432, 4.624),
    _vit(DEIT, "deit_base_distilled_patch16_224", 768, 87338192, 17.657),
    _vit(CLIP_VIT, "vit_base_patch32_clip_quickgelu_224", 768, 87849728, 4.409, mean=CLIP_MEAN, std=CLIP_STD),
    _vit(CLIP_VIT, "vit_base_patch16_clip_quickgelu_224", 768, 86193152, 17.563, mean=CLIP_MEAN, std=CLIP_STD),
)

MEMBERS = (
    *VITS,
    SWIN.member("swin_t", (96, 192, 384, 768), 28288354, 4.491),
    SWIN.member("swin_s", (96, 192, 384, 768), 49606258, 8.741),
    SWIN.member("swin_b", (128, 256, 512, 1024), 87768224, 15.431),
    SWIN.member("swin_v2_t", (96, 192, 384, 768), 28351570, 5.94, input_size=256),
    SWIN.member("swin_v2_s", (96, 192, 384, 768), 49737442, 11.546, input_size=256),
    SWIN.member("swin_v2_b", (128, 256, 512, 1024), 87930848, 20.325, input_size=256),
    CLIP_RESNET.member("resnet50_clip", (64, 256, 512, 1024, 2048), 38316896, 6.111, mean=CLIP_MEAN, std=CLIP_STD),
    CLIP_RESNET.member("resnet101_clip", (64, 256, 512, 1024, 2048), 56259936, 9.771, mean=CLIP_MEAN, std=CLIP_STD),
    CLIP_RESNET.member("resnet50x4_clip", (80, 320, 640, 1280, 2560), 87137080, 21.279, mean=CLIP_MEAN, std=CLIP_STD, input_size=288),
    CONVNEXT.member("convnext_tiny", (96, 192, 384, 768), 28589128, 4.456),
    CONVNEXT.member("convnext_small", (96, 192, 384, 768), 50223688, 8.684),
    CONVNEXT.member("convnext_base", (128, 256, 512, 1024), 88591464, 15.355),
    CONVNEXT.member("convnext_large", (192, 384, 768, 1536), 197767336, 34.361),
)
