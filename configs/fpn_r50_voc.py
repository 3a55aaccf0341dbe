"""Faster R-CNN on a ResNet-50 FPN, for Pascal VOC 2007.

    python datasets/fetch_voc.py data/voc
    detkit weights download resnet50
    python tools/train.py configs/fpn_r50_voc.py
    python tools/evaluate.py --data data/voc/VOC2007 --split test --metric voc07

Result: not yet run.
"""

from pathlib import Path

from detkit.config_classes import DataConfig, Experiment, LoaderConfig, PreprocessConfig, SourceConfig, TrainingConfig, load_config

base = load_config(Path(__file__).with_name("fpn_r50.py"), Experiment)
FETCH = "python datasets/fetch_voc.py data/voc"

config = base.replace(
    name="fpn_r50_voc",
    model=base.model.replace(preprocess=PreprocessConfig(short_side=600, long_side=1000)),
    data=DataConfig(
        train=SourceConfig(path="data/voc/VOC2007", split="train", fetch_command=FETCH),
        val=SourceConfig(path="data/voc/VOC2007", split="val", fetch_command=FETCH),
    ),
    loader=LoaderConfig(batch_size=16, workers=4),
    training=TrainingConfig(epochs=12),
)
