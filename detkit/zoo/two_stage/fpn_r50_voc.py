"""Faster R-CNN on a ResNet-50 FPN, for Pascal VOC 2007.

    detkit data fetch voc data/voc
    detkit models download resnet50
    detkit train fpn_r50_voc
    detkit evaluate runs/fpn_r50_voc-1 --data data/voc/VOC2007 --split test --metric voc07

Result: not yet run.
"""

from detkit.config_classes import DataConfig, LoaderConfig, PreprocessConfig, SourceConfig, TrainingConfig
from detkit.zoo.two_stage.fpn_r50 import config as base

FETCH_COMMAND = "detkit data fetch voc data/voc"

config = base.replace(
    name="fpn_r50_voc",
    model=base.model.replace(preprocess=PreprocessConfig(short_side=600, long_side=1000)),
    data=DataConfig(
        train=SourceConfig(path="data/voc/VOC2007", split="train", fetch_command=FETCH_COMMAND),
        val=SourceConfig(path="data/voc/VOC2007", split="val", fetch_command=FETCH_COMMAND),
    ),
    loader=LoaderConfig(batch_size=16, workers=4),
    training=TrainingConfig(epochs=12),
)
