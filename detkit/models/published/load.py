"""Load published files as detectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detkit.models.loading.checkpoints import LoadedDetector, load_tensors
from detkit.models.published.conversion import Publication
from detkit.registry import Registry
from detkit.weights import resolve
from detkit.weights.read import read_tensors

PUBLISHED = Registry(
    "published detector",
    "detkit.published",
    {
        "clip": "detkit.models.published.clip:classifier_vit_b32",
        "clip_vit_b16": "detkit.models.published.clip:classifier_vit_b16",
        "clip_rn50": "detkit.models.published.clip:classifier_rn50",
        "clip_rn101": "detkit.models.published.clip:classifier_rn101",
        "clip_rn50x4": "detkit.models.published.clip:classifier_rn50x4",
        "clip_rcnn": "detkit.models.published.clip:rcnn_vit_b32",
        "clip_rcnn_vit_b16": "detkit.models.published.clip:rcnn_vit_b16",
        "clip_rcnn_rn50": "detkit.models.published.clip:rcnn_rn50",
        "clip_rcnn_rn101": "detkit.models.published.clip:rcnn_rn101",
        "clip_rcnn_rn50x4": "detkit.models.published.clip:rcnn_rn50x4",
        "detr_r50": "detkit.models.published.detr:r50",
        "detr_r50_dc5": "detkit.models.published.detr:r50_dc5",
        "detr_r101": "detkit.models.published.detr:r101",
        "detr_r101_dc5": "detkit.models.published.detr:r101_dc5",
        "dfine_n": "detkit.models.published.dfine:n",
        "dfine_s": "detkit.models.published.dfine:s",
        "dfine_m": "detkit.models.published.dfine:m",
        "dfine_l": "detkit.models.published.dfine:l",
        "dfine_x": "detkit.models.published.dfine:x",
        "dfine_s_obj365": "detkit.models.published.dfine:s_obj365",
        "dfine_m_obj365": "detkit.models.published.dfine:m_obj365",
        "dfine_l_obj365": "detkit.models.published.dfine:l_obj365",
        "dfine_x_obj365": "detkit.models.published.dfine:x_obj365",
        "dfine_s_obj2coco": "detkit.models.published.dfine:s",
        "dfine_m_obj2coco": "detkit.models.published.dfine:m",
        "dfine_l_obj2coco": "detkit.models.published.dfine:l",
        "dfine_x_obj2coco": "detkit.models.published.dfine:x",
        "fasterrcnn_resnet50_fpn": "detkit.models.published.torchvision_faster_rcnn:resnet50_fpn",
        "fasterrcnn_resnet50_fpn_v2": "detkit.models.published.torchvision_faster_rcnn:resnet50_fpn_v2",
        "fasterrcnn_mobilenet_v3_large_fpn": "detkit.models.published.torchvision_faster_rcnn:mobilenet_v3_large_fpn",
        "fasterrcnn_mobilenet_v3_large_320_fpn": "detkit.models.published.torchvision_faster_rcnn:mobilenet_v3_large_320_fpn",
        "fcos_resnet50_fpn": "detkit.models.published.torchvision_dense:fcos_resnet50_fpn",
        "maskrcnn_resnet50_fpn": "detkit.models.published.torchvision_mask_rcnn:resnet50_fpn",
        "maskrcnn_resnet50_fpn_v2": "detkit.models.published.torchvision_mask_rcnn:resnet50_fpn_v2",
        "retinanet_resnet50_fpn": "detkit.models.published.torchvision_dense:retinanet_resnet50_fpn",
        "retinanet_resnet50_fpn_v2": "detkit.models.published.torchvision_dense:retinanet_resnet50_fpn_v2",
        "rtdetr_r18": "detkit.models.published.rtdetr:r18",
        "rtdetr_r34": "detkit.models.published.rtdetr:r34",
        "rtdetr_r50": "detkit.models.published.rtdetr:r50",
        "rtdetr_r101": "detkit.models.published.rtdetr:r101",
        "rtdetr_r18_obj2coco": "detkit.models.published.rtdetr:r18",
        "rtdetr_r50_obj2coco": "detkit.models.published.rtdetr:r50",
        "rtdetr_r101_obj2coco": "detkit.models.published.rtdetr:r101",
        "rtdetr_v2_r18": "detkit.models.published.rtdetr:v2_r18",
        "rtdetr_v2_r34": "detkit.models.published.rtdetr:v2_r34",
        "rtdetr_v2_r50": "detkit.models.published.rtdetr:v2_r50",
        "rtdetr_v2_r101": "detkit.models.published.rtdetr:v2_r101",
        "ssd300_vgg16": "detkit.models.published.torchvision_ssd:ssd300_vgg16",
        "ssdlite320_mobilenet_v3_large": "detkit.models.published.torchvision_ssd:ssdlite320_mobilenet_v3_large",
        "zero_shot_rcnn": "detkit.models.published.zero_shot:zero_shot_rcnn",
        "yolox_nano": "detkit.models.published.yolox:yolox_nano",
        "yolox_tiny": "detkit.models.published.yolox:yolox_tiny",
        "yolox_s": "detkit.models.published.yolox:yolox_s",
        "yolox_m": "detkit.models.published.yolox:yolox_m",
        "yolox_l": "detkit.models.published.yolox:yolox_l",
        "yolox_x": "detkit.models.published.yolox:yolox_x",
    },
)
"""Name of published weights (as in ``detkit models list``) to the function that returns their :class:`Publication`."""

_FOLDER_FILES = ("model.safetensors", "pytorch_model.bin")
"""Names of the weights in a folder of ``transformers``; larger models have several files, but none of these detectors has."""


def publication(name: str) -> Publication:
    """Return the publication with this name.

    Raises:
        ValueError: If there are no published weights with this name.
    """
    result: Publication = PUBLISHED.get(name)()
    return result


def load_published(
    name: str, path: str | Path | None = None, classes: Sequence[str] | None = None, templates: Sequence[str] | None = None
) -> LoadedDetector:
    """Load a detector from a published file; no code in the file is executed.

    Args:
        name: Name of the weights, such as ``fasterrcnn_resnet50_fpn``.
        path: The file as published, or a folder of ``transformers``; None: where ``detkit models download`` stores the file.
        classes: Classes to detect, for a detector of arbitrary classes; others have their own.
        templates: Prompts into which the classes are inserted in place of ``{}``, for such a detector; None: its own.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the name is unknown, the file does not contain these weights, or classes are required and not given.
        ImportError: If a required library is not installed.
    """
    source = publication(name)
    if source.for_classes is not None:
        if not classes:
            raise ValueError(
                f'{name}: expected classes to detect, got none; give them with --classes "a cat" "a red cup" (classes=[...] in Python), '
                "or make a checkpoint with fixed classes with `detkit models import`"
            )
        source = source.for_classes(classes, templates)
    elif templates is not None:
        raise ValueError(templates_error(name))
    path = _file_of(Path(path or resolve(source.weights or name)))
    detector = source.config.build(len(source.class_names))
    error_prefix, tensors = f"weights {path}: not {name}", read_tensors(path)
    try:
        renamed = source.convert(tensors)
    except ValueError as error:
        raise ValueError(f"{error_prefix}: {error}") from None
    load_tensors(detector, renamed, error_prefix)
    detector.hide_unnamed_classes(source.class_names)
    return LoadedDetector(detector.eval(), source.config, source.class_names)


def templates_error(name: str) -> str:
    """Return the message about prompt templates for a model that embeds no class names."""
    return f"{name}: expected no templates, got some; only a published CLIP, such as clip, embeds the names of classes (--templates)"


def _file_of(path: Path) -> Path:
    """Return a file itself, or the file with the weights in a folder that ``save_pretrained`` of ``transformers`` wrote."""
    if not path.is_dir():
        return path
    found = next((path / name for name in _FOLDER_FILES if (path / name).is_file()), None)
    if found is None:
        raise FileNotFoundError(f"weights {path}: expected a file, or a folder with {' or '.join(_FOLDER_FILES)}")
    return found
