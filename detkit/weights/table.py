"""The catalog of published weights; tests compare it with the installed torchvision and open_clip."""

from __future__ import annotations

from detkit.registry import did_you_mean
from detkit.weights.classifiers import CLASSIFIERS
from detkit.weights.entry import NOT_STATED, WeightEntry
from detkit.weights.query_detectors import QUERY_DETECTORS

_TORCH = "https://download.pytorch.org/models/"
_AZURE = "https://openaipublic.azureedge.net/clip/models/"


def _coco(name: str, stem: str, size: float, parameters: int, ap: float, origin: str, **metrics: float) -> WeightEntry:
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
        metrics={"AP": ap, **{name.replace("_", " "): value for name, value in metrics.items()}},
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


def _clip(name: str, file_name: str, sha256: str, parameters: int) -> WeightEntry:
    """Return the entry of a whole CLIP of OpenAI, whose address contains its whole SHA-256; the parameters were counted by us.

    Each file has two entries, as a classifier and as a detector, and is stored once.
    """
    return WeightEntry(
        name=name,
        kind="detector",
        model=name,
        file_name=file_name,
        url=f"{_AZURE}{sha256}/{file_name}",
        size=None,
        sha256=sha256,
        training_data="400 million images with captions (arXiv:2103.00020, section 2.2); no boxes",
        parameters=parameters,
        source="open_clip_torch 3.3.0, pretrained.py; license: github.com/openai/CLIP",
        license="MIT",
    )


_SSDLITE = "ssdlite320_mobilenet_v3_large"
_MOBILE_FPN = "fasterrcnn_mobilenet_v3_large_fpn"
_MOBILE_320_FPN = "fasterrcnn_mobilenet_v3_large_320_fpn"
_MASK_RCNN = "maskrcnn_resnet50_fpn"
_RETINANET = "retinanet_resnet50_fpn"

_ALL = (
    *CLASSIFIERS,
    _clip("clip", "ViT-B-32.pt", "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af", 151277313),
    _clip("clip_vit_b16", "ViT-B-16.pt", "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f", 149620737),
    _clip("clip_rn50", "RN50.pt", "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762", 102007137),
    _clip("clip_rn101", "RN101.pt", "8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599", 119688033),
    _clip("clip_rn50x4", "RN50x4.pt", "7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd", 178300601),
    _clip("clip_rcnn", "ViT-B-32.pt", "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af", 151277313),
    _clip("clip_rcnn_vit_b16", "ViT-B-16.pt", "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f", 149620737),
    _clip("clip_rcnn_rn50", "RN50.pt", "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762", 102007137),
    _clip("clip_rcnn_rn101", "RN101.pt", "8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599", 119688033),
    _clip("clip_rcnn_rn50x4", "RN50x4.pt", "7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd", 178300601),
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
    _coco(_MASK_RCNN, f"{_MASK_RCNN}_coco-bf2d0c1e", 169.84, 44401393, 37.9, "MaskRCNN_ResNet50_FPN_Weights.COCO_V1", mask_AP=34.6),
    _coco(
        f"{_MASK_RCNN}_v2",
        f"{_MASK_RCNN}_v2_coco-73cbd019",
        177.219,
        46359409,
        47.4,
        "MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1",
        mask_AP=41.8,
    ),
    _coco(_RETINANET, f"{_RETINANET}_coco-eeacb38b", 130.267, 34014999, 36.4, "RetinaNet_ResNet50_FPN_Weights.COCO_V1"),
    _coco(f"{_RETINANET}_v2", f"{_RETINANET}_v2_coco-5905b1c5", 146.037, 38198935, 41.5, "RetinaNet_ResNet50_FPN_V2_Weights.COCO_V1"),
    _coco("fcos_resnet50_fpn", "fcos_resnet50_fpn_coco-99b0c9b7", 123.608, 32269600, 39.2, "FCOS_ResNet50_FPN_Weights.COCO_V1"),
    _coco("ssd300_vgg16", "ssd300_vgg16_coco-b556d3b4", 135.988, 35641826, 25.1, "SSD300_VGG16_Weights.COCO_V1"),
    _detr("detr_r50", "detr-r50-e632da11", 159.0, 41524768, 42.0),
    _detr("detr_r50_dc5", "detr-r50-dc5-f0fb7ef5", 159.0, 41524768, 43.3),
    _detr("detr_r101", "detr-r101-2c7b67e5", 232.0, 60464672, 43.5),
    _detr("detr_r101_dc5", "detr-r101-dc5-a2e86def", 232.0, 60464672, 44.9),
    _coco(_SSDLITE, f"{_SSDLITE}_coco-a79551df", 13.418, 3440060, 21.3, "SSDLite320_MobileNet_V3_Large_Weights.COCO_V1"),
    *QUERY_DETECTORS,
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
