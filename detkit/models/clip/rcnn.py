"""CLIP as a detector: R-CNN with CLIP's image tower as network, and phrases as classes (arXiv:2103.00020)."""

from __future__ import annotations

from typing import Literal

from detkit.backbones import Backbone, BackboneConfig
from detkit.backbones.tower import ImageTower
from detkit.heads.region.classifier import RegionConfig
from detkit.heads.region.layers import FlatConfig
from detkit.heads.text_classes import TextClassesConfig
from detkit.models.rcnn import RCNNConfig
from detkit.preprocess import PreprocessConfig
from detkit.proposals import ProposalsConfig


class CLIPRCNNConfig(RCNNConfig):
    """R-CNN with CLIP: every proposal is cropped, warped to CLIP's training size and compared with text embeddings.

    These settings follow no published recipe: they are those of R-CNN where it has them, and were not tuned.
    """

    kind: Literal["clip_rcnn"] = "clip_rcnn"  # type: ignore[assignment]
    """Kind of detector."""
    preprocess: PreprocessConfig = PreprocessConfig(short_side=800, long_side=1000, enlarge=False, antialias=True)
    """How images are resized before regions are cropped. Warping takes single samples without averaging, hence the size limit."""
    proposals: ProposalsConfig = ProposalsConfig(mode="fast", max_proposals=200, min_area=1024.0, max_aspect=4.0)
    """Source of the proposals."""
    backbone: BackboneConfig = BackboneConfig(name="vit_base_patch32_clip_quickgelu_224", norm="frozen")
    """The image tower: a network followed by the projection. Its ``levels`` and ``dilated_c5`` are not used."""
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
    """How regions are compared with phrases, and postprocessing."""
    warp_size: int = 224
    """Side in pixels of a warped region, the input of the tower."""

    def network(self) -> Backbone:
        """Build the image tower.

        Raises:
            ValueError: If ``region.text`` is not set.
        """
        if self.region.text is None:
            raise ValueError("model.region.text: expected settings for phrases, got none; set it, or use model.kind=rcnn")
        tower = ImageTower(self.backbone, self.region.text.dimensions)
        tower.freeze(self.backbone.stages_to_freeze)
        return tower
