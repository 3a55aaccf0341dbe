"""SSD (arXiv:1512.02325) and SSDLite (arXiv:1801.04381, section 6.2)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from detkit.backbones import BackboneConfig, facts_of
from detkit.heads.ssd import SSDHeadConfig
from detkit.models.checks import fixed_input_size
from detkit.models.detector import DetectorConfig
from detkit.models.one_stage import OneStage
from detkit.necks.ssd_config import SSDExtrasConfig
from detkit.preprocess import PreprocessConfig


class SSDConfig(DetectorConfig):
    """SSD; the defaults are those of torchvision's ``ssd300_vgg16``.

    They are the paper's for COCO; they differ from its code in three things: no default box is larger than the image
    (``head.boxes.clip``), what VGG's fully connected layers become starts at random and not from their thinned-out weights, and the
    scales are those for COCO (``head.default_boxes.scales``; ``presets.ssd300_vgg16_voc`` has Pascal VOC's). It takes images of one size.
    """

    kind: Literal["ssd"] = "ssd"
    """Which detector this is."""
    preprocess: PreprocessConfig = PreprocessConfig(rule="fixed", input_size=(300, 300))
    """How images are resized before the model sees them; it takes one ``input_size``."""
    backbone: BackboneConfig = BackboneConfig(name="vgg16_caffe", frozen_stages=1)
    """The network that makes the finer maps."""
    first_level: Literal["c3", "c4"] = "c3"
    """The finest map that the backbone gives, where ``backbone.levels`` does not say; it gives this and the next. A MobileNetV3's c4 is the
    map behind the expansion (arXiv:1905.02244, section 6.3)."""
    neck: SSDExtrasConfig = SSDExtrasConfig()
    """The levels behind the backbone's."""
    head: SSDHeadConfig = SSDHeadConfig()
    """What predicts at every default box."""

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        fixed_input_size(self.kind, self.preprocess)
        return self

    def build(self, num_classes: int) -> OneStage:
        """The detector with random numbers, for so many classes.

        Raises:
            ValueError: parts do not fit together.
        """
        size = fixed_input_size(self.kind, self.preprocess)
        levels = self.backbone.levels or _levels(self.backbone.name, self.first_level)
        neck = self.neck.build(self.backbone.replace(levels=levels).build())
        neck.check_size(size)
        return OneStage(neck, self.head.build(neck.channels, num_classes), size)


def _levels(backbone: str, first: Literal["c3", "c4"]) -> tuple[str, str]:
    """The two maps of a backbone that SSD stands on."""
    expanded = f"{first}_expanded"
    known = {level.name for level in facts_of(backbone).levels}
    return expanded if expanded in known else first, {"c3": "c4", "c4": "c5"}[first]
