"""CLIP as a detector: R-CNN whose network is CLIP's image tower, and whose classes are phrases (arXiv:2103.00020)."""

from __future__ import annotations

from typing import Literal

from detkit.backbones import Backbone, BackboneConfig
from detkit.backbones.tower import ImageTower
from detkit.heads.region import FlatConfig
from detkit.heads.region_classifier import RegionConfig
from detkit.heads.text_classes import TextClassesConfig
from detkit.models.rcnn import RCNNConfig
from detkit.preprocess import PreprocessConfig
from detkit.proposals import ProposalsConfig


class CLIPRCNNConfig(RCNNConfig):
    """Every proposal is cut out, warped to the side that CLIP saw in training, and compared with the embeddings of phrases.

    No published recipe has these numbers: they are R-CNN's where it has them, and were not tuned.
    """

    kind: Literal["clip_rcnn"] = "clip_rcnn"  # type: ignore[assignment]
    """Which detector this is."""
    preprocess: PreprocessConfig = PreprocessConfig(short_side=800, long_side=1000, enlarge=False, antialias=True)
    """How images are resized before regions are cut from them, which takes single samples and averages nothing: hence the limit."""
    proposals: ProposalsConfig = ProposalsConfig(mode="fast", max_proposals=200, min_area=1024.0, max_aspect=4.0)
    """Where proposals come from."""
    backbone: BackboneConfig = BackboneConfig(name="vit_base_patch32_clip_quickgelu_224", norm="frozen")
    """The image tower: a network with the projection behind it. Its ``levels`` and ``dilated_c5`` are not used."""
    region: RegionConfig = RegionConfig(
        head=FlatConfig(),
        pool_size=1,
        samples_per_image=32,
        box_regression=False,
        text=TextClassesConfig(projection=False),
        nms_iou=0.3,
        class_agnostic=True,
        max_detections=20,
    )
    """How what the tower says of a region is compared with phrases, and how detections are chosen."""
    warp_size: int = 224
    """Pixels a side of a region as the tower sees it."""

    def network(self) -> Backbone:
        """The image tower.

        Raises:
            ValueError: there are no phrases to compare with.
        """
        if self.region.text is None:
            raise ValueError("model.region.text: clip_rcnn compares regions with phrases; set it, or use model.kind=rcnn")
        tower = ImageTower(self.backbone, self.region.text.dimensions)
        tower.freeze(self.backbone.stages_to_freeze)
        return tower
