"""Catalog entries from LeNet-5 to the Inception networks."""

from __future__ import annotations

from detkit.backbones.info import BLOCKS, HALVES, BackboneInfo, Family, Level, Numbers

LENET = Family(
    "LeNet",
    1998,
    "https://doi.org/10.1109/5.726791",
    "Convolutions with shared weights, alternating with pooling, learn to read digits from pixels.",
    module="classics",
    source="detkit",
    offsets=(0.5, 1.5, 3.5, 7.5, 15.5),
)

ALEXNET = Family(
    "AlexNet",
    2012,
    "https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks",
    "A deep and wide convolutional network with ReLU and dropout, trained on GPUs, wins ImageNet by a large margin.",
)

ZFNET = Family(
    "ZFNet",
    2013,
    "https://arxiv.org/abs/1311.2901",
    "Visualizing AlexNet's features shows that its first kernels and strides are too large.",
    module="classics",
    source="detkit",
)

VGG = Family(
    "VGG",
    2014,
    "https://arxiv.org/abs/1409.1556",
    "Many layers of nothing but 3x3 convolutions.",
    offsets=BLOCKS,
)

INCEPTION_V1 = Family(
    "Inception v1",
    2014,
    "https://arxiv.org/abs/1409.4842",
    "Parallel kernels of several sizes, each after a 1x1 convolution that keeps it cheap (GoogLeNet).",
    offsets=(0.0, 0.0, 0.0, 0.0, 8.0),
)

BN_INCEPTION = Family(
    "BN-Inception",
    2015,
    "https://arxiv.org/abs/1502.03167",
    "Batch normalization keeps the input distribution of every layer stable, and training takes a fraction of the steps.",
    module="inception",
    source="detkit",
)

INCEPTION_V3 = Family(
    "Inception v3",
    2015,
    "https://arxiv.org/abs/1512.00567",
    "Large kernels are factorized into sequences of small and asymmetric ones; labels are smoothed.",
)

INCEPTION_V4 = Family(
    "Inception v4",
    2016,
    "https://arxiv.org/abs/1602.07261",
    "More Inception blocks, with a more uniform design.",
    module="timm_models",
    source="timm",
)

INCEPTION_RESNET_V1 = Family(
    "Inception-ResNet v1",
    2016,
    "https://arxiv.org/abs/1602.07261",
    "Inception blocks with residual connections, at the cost of Inception v3.",
    module="inception",
    source="detkit",
)

INCEPTION_RESNET_V2 = Family(
    "Inception-ResNet v2",
    2016,
    "https://arxiv.org/abs/1602.07261",
    "Inception blocks with residual connections, at the cost of Inception v4.",
    module="timm_models",
    source="timm",
)

LENET_LEVELS = (Level("c0", 6, 1), Level("c1", 16, 2, 0.5), Level("c2", 120, 4, 1.5))


def _vgg(name: str, parameters: int, gflops: float, **normalization: Numbers) -> BackboneInfo:
    # 2x2 pooling moves cells to the center of the pixels that they cover.
    channels = (64, 128, 256, 512, 512, 512)
    levels = tuple(Level(f"c{k}", channels[k], 2**k, (2**k - 1) / 2) for k in range(6))
    return VGG.member(name, channels[1:], parameters, gflops, levels=levels, **normalization)


VGGS = (
    _vgg("vgg11", 132863336, 7.609),
    _vgg("vgg11_bn", 132868840, 7.609),
    _vgg("vgg13", 133047848, 11.308),
    _vgg("vgg13_bn", 133053736, 11.308),
    _vgg("vgg16", 138357544, 15.47),
    _vgg("vgg16_bn", 138365992, 15.47),
    # (123, 117, 104) on 0 to 255: the mean that the authors published with their Caffe weights, as torchvision's SSD uses it.
    _vgg("vgg16_caffe", 138357544, 15.47, mean=(0.48235, 0.45882, 0.40784), std=(1 / 255, 1 / 255, 1 / 255)),
    _vgg("vgg19", 143667240, 19.632),
    _vgg("vgg19_bn", 143678248, 19.632),
)

MEMBERS = (
    LENET.member(
        "lenet5",
        (6, 16, 120),
        61706,
        0.004,
        levels=LENET_LEVELS,
        default_levels=("c1", "c2"),
        input_size=32,
        mean=HALVES,
        std=HALVES,
        grayscale=True,
    ),
    ALEXNET.member("alexnet", (64, 192, 256, 256), 61100840, 0.714),
    ZFNET.member("zfnet", (96, 96, 256, 256, 256), 62357608, 1.324),
    *VGGS,
    # torchvision's GoogLeNet and Inception v3 convert ImageNet's normalization to this one internally; here it is applied once.
    INCEPTION_V1.member("googlenet", (64, 192, 480, 832, 1024), 6624904, 1.498, mean=HALVES, std=HALVES),
    BN_INCEPTION.member("bn_inception", (64, 192, 320, 576, 1024), 11194984, 2.019),
    INCEPTION_V3.member("inception_v3", (64, 192, 288, 768, 2048), 27161264, 5.713, input_size=299, mean=HALVES, std=HALVES),
    INCEPTION_V4.member("inception_v4", (64, 192, 384, 1024, 1536), 42679816, 12.254, input_size=299, mean=HALVES, std=HALVES),
    INCEPTION_RESNET_V1.member("inception_resnet_v1", (64, 192, 256, 896, 1792), 22756328, 7.623, input_size=299, mean=HALVES, std=HALVES),
    INCEPTION_RESNET_V2.member(
        "inception_resnet_v2", (64, 192, 320, 1088, 1536), 55843464, 13.156, input_size=299, mean=HALVES, std=HALVES
    ),
)
