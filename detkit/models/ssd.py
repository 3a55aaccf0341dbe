"""SSD (arXiv:1512.02325) and SSDLite (arXiv:1801.04381, section 6.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from detkit.backbones import BackboneConfig, backbone_info
from detkit.heads.ssd import SSDHeadConfig
from detkit.models.checks import fixed_input_size
from detkit.models.one_stage import OneStageConfig
from detkit.necks import SSDExtrasConfig
from detkit.preprocess import PreprocessConfig

if TYPE_CHECKING:
    from detkit.necks.ssd_extras import SSDExtras


class SSDConfig(OneStageConfig):
    """SSD; the defaults are those of torchvision's ``ssd300_vgg16``.

    They are the paper's for COCO and differ from its code in three respects: no default box is larger than the image
    (``head.default_boxes.clip``), the convolutions that replace VGG's fully connected layers are initialized at random and not from
    subsampled weights, and the scales are those for COCO (``head.default_boxes.scales``; ``presets.ssd300_vgg16_voc`` has Pascal VOC's). It
    takes images of one size.
    """

    has_fixed_size: ClassVar[bool] = True

    kind: Literal["ssd"] = "ssd"
    """Kind of detector."""
    preprocess: PreprocessConfig = PreprocessConfig(rule="fixed", input_size=(300, 300))
    """How images are resized for the model; a fixed ``input_size`` is required."""
    backbone: BackboneConfig = BackboneConfig(name="vgg16_caffe", frozen_stages=1)
    """Network that computes the finer feature maps."""
    first_level: Literal["c3", "c4"] = "c3"
    """The finest level of the backbone, unless ``backbone.levels`` is set; this level and the next are used. The c4 of a MobileNetV3 is the
    map after the expansion (arXiv:1905.02244, section 6.3)."""
    neck: SSDExtrasConfig = SSDExtrasConfig()
    """Extra levels after the backbone's."""
    head: SSDHeadConfig = SSDHeadConfig()
    """Head that predicts at every default box."""

    def default_levels(self) -> tuple[str, ...]:
        """See :meth:`OneStageConfig.default_levels`."""
        return _levels(self.backbone.name, self.first_level)

    def build_neck(self) -> SSDExtras:
        """Build the neck over the backbone, and check that the images are large enough for every level."""
        neck: SSDExtras = super().build_neck()
        neck.check_size(fixed_input_size(self.kind, self.preprocess))
        return neck


def _levels(backbone: str, first: Literal["c3", "c4"]) -> tuple[str, str]:
    """Return the names of the two levels of a backbone that SSD uses."""
    expanded = f"{first}_expanded"
    known = {level.name for level in backbone_info(backbone).levels}
    return expanded if expanded in known else first, {"c3": "c4", "c4": "c5"}[first]
