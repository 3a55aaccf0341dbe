"""Catalog entries of ResNet and the networks that build on it."""

from __future__ import annotations

from detkit.backbones.info import Family

RESNET = Family(
    "ResNet",
    2015,
    "https://arxiv.org/abs/1512.03385",
    "Residual connections: every block adds its output to its input, so that networks of a hundred layers can be trained.",
)

WIDE = Family(
    "Wide ResNet",
    2016,
    "https://arxiv.org/abs/1605.07146",
    "Fewer, wider blocks are as accurate as many narrow ones, and run faster.",
)

RESNEXT = Family(
    "ResNeXt",
    2016,
    "https://arxiv.org/abs/1611.05431",
    "Blocks split into many equal paths: a third dimension besides depth and width.",
)

DENSENET = Family(
    "DenseNet",
    2016,
    "https://arxiv.org/abs/1608.06993",
    "Every layer of a block receives the outputs of all layers before it.",
    offsets=(0.0, 0.0, 2.0, 6.0, 14.0),
)

SENET = Family(
    "SENet",
    2017,
    "https://arxiv.org/abs/1709.01507",
    "Squeeze-and-excitation: global pooling of the map decides the weight of each channel.",
    module="timm_models",
    source="timm",
)

RESNET_D = Family(
    "ResNet-D",
    2018,
    "https://arxiv.org/abs/1812.01187",
    "Three 3x3 convolutions as stem, and shortcuts that average before they project, so that no value is skipped.",
    module="rtdetr.resnet_d",
    source="timm",
    # Of the shortcuts, which average blocks of 2 x 2 cells. The convolutions parallel to them are centered, and so each map is in between.
    offsets=(0.0, 0.0, 2.0, 6.0, 14.0),
)

HGNET_V2 = Family(
    "HGNetV2",
    2023,
    "https://github.com/PaddlePaddle/PaddleClas/blob/release/2.5.1/docs/en/models/PP-HGNet_en.md",
    "Blocks that concatenate the outputs of all their layers, designed for speed on GPUs and distilled from larger networks.",
    module="rtdetr.hgnet_v2",
    source="timm",
    # The stem joins a 2x2 pooling, which moves cells by 1 pixel, with two 2x2 convolutions, which move them by 2.
    offsets=(1.5, 1.5, 1.5, 1.5, 1.5),
)

REGNET = Family(
    "RegNet",
    2020,
    "https://arxiv.org/abs/2003.13678",
    "Widths that grow linearly from block to block, found by analyzing whole design spaces of networks.",
)

RESNET_DS = (
    RESNET_D.member("resnet18d", (64, 64, 128, 256, 512), 11708744, 2.054),
    RESNET_D.member("resnet34d", (64, 64, 128, 256, 512), 21816904, 3.903),
    RESNET_D.member("resnet50d", (64, 256, 512, 1024, 2048), 25576264, 4.329),
    RESNET_D.member("resnet101d", (64, 256, 512, 1024, 2048), 44568392, 10.502, input_size=256),
    # RT-DETR's, of which only the weights of the backbone are published; counted with a classifier's head.
    RESNET_D.member("resnet18vd", (64, 64, 128, 256, 512), 11712968, 2.067),
    RESNET_D.member("resnet34vd", (64, 64, 128, 256, 512), 21821128, 3.916),
)

HGNETS = (
    HGNET_V2.member("hgnetv2_b0", (64, 256, 512, 1024), 5996550, 0.321),
    HGNET_V2.member("hgnetv2_b1", (64, 256, 512, 1024), 6343158, 0.489),
    HGNET_V2.member("hgnetv2_b2", (96, 384, 768, 1536), 11221356, 1.138),
    HGNET_V2.member("hgnetv2_b3", (128, 512, 1024, 2048), 16292216, 1.771),
    HGNET_V2.member("hgnetv2_b4", (128, 512, 1024, 2048), 19796680, 2.734),
    HGNET_V2.member("hgnetv2_b5", (128, 512, 1024, 2048), 39569064, 6.538),
)

MEMBERS = (
    RESNET.member("resnet18", (64, 64, 128, 256, 512), 11689512, 1.814, supports_dilation=True),
    RESNET.member("resnet34", (64, 64, 128, 256, 512), 21797672, 3.664, supports_dilation=True),
    RESNET.member("resnet50", (64, 256, 512, 1024, 2048), 25557032, 4.089, supports_dilation=True),
    RESNET.member("resnet101", (64, 256, 512, 1024, 2048), 44549160, 7.801, supports_dilation=True),
    RESNET.member("resnet152", (64, 256, 512, 1024, 2048), 60192808, 11.514, supports_dilation=True),
    WIDE.member("wide_resnet50_2", (64, 256, 512, 1024, 2048), 68883240, 11.398),
    WIDE.member("wide_resnet101_2", (64, 256, 512, 1024, 2048), 126886696, 22.753),
    RESNEXT.member("resnext50_32x4d", (64, 256, 512, 1024, 2048), 25028904, 4.23),
    RESNEXT.member("resnext101_32x8d", (64, 256, 512, 1024, 2048), 88791336, 16.414),
    RESNEXT.member("resnext101_64x4d", (64, 256, 512, 1024, 2048), 83455272, 15.46),
    DENSENET.member("densenet121", (64, 256, 512, 1024, 1024), 7978856, 2.834),
    DENSENET.member("densenet161", (96, 384, 768, 2112, 2208), 28681000, 7.728),
    DENSENET.member("densenet169", (64, 256, 512, 1280, 1664), 14149480, 3.36),
    DENSENET.member("densenet201", (64, 256, 512, 1792, 1920), 20013928, 4.291),
    SENET.member("legacy_seresnet50", (64, 256, 512, 1024, 2048), 28088024, 3.86),
    SENET.member("legacy_seresnext50_32x4d", (64, 256, 512, 1024, 2048), 27559896, 4.233),
    SENET.member("legacy_seresnext101_32x4d", (64, 256, 512, 1024, 2048), 48955416, 7.975),
    SENET.member("legacy_senet154", (128, 256, 512, 1024, 2048), 115088984, 20.688),
    *RESNET_DS,
    *HGNETS,
    REGNET.member("regnet_x_400mf", (32, 32, 64, 160, 400), 5495976, 0.414),
    REGNET.member("regnet_x_800mf", (32, 64, 128, 288, 672), 7259656, 0.8),
    REGNET.member("regnet_x_1_6gf", (32, 72, 168, 408, 912), 9190136, 1.603),
    REGNET.member("regnet_x_3_2gf", (32, 96, 192, 432, 1008), 15296552, 3.177),
    REGNET.member("regnet_x_8gf", (32, 80, 240, 720, 1920), 39572648, 7.995),
    REGNET.member("regnet_x_16gf", (32, 256, 512, 896, 2048), 54278536, 15.941),
    REGNET.member("regnet_x_32gf", (32, 336, 672, 1344, 2520), 107811560, 31.736),
    REGNET.member("regnet_y_400mf", (32, 48, 104, 208, 440), 4344144, 0.402),
    REGNET.member("regnet_y_800mf", (32, 64, 144, 320, 784), 6432512, 0.834),
    REGNET.member("regnet_y_1_6gf", (32, 48, 120, 336, 888), 11202430, 1.612),
    REGNET.member("regnet_y_3_2gf", (32, 72, 216, 576, 1512), 19436338, 3.176),
    REGNET.member("regnet_y_8gf", (32, 224, 448, 896, 2016), 39381472, 8.473),
    REGNET.member("regnet_y_16gf", (32, 224, 448, 1232, 3024), 83590140, 15.912),
    REGNET.member("regnet_y_32gf", (32, 232, 696, 1392, 3712), 145046770, 32.28),
)
