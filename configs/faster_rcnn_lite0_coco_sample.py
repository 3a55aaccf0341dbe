"""Faster R-CNN on an EfficientNet-Lite0 feature pyramid, for a small sample of COCO, on a CPU.

    python tools/train.py configs/faster_rcnn_lite0_coco_sample.py data=FOLDER

FOLDER holds ``instances.json`` and ``images/``. A tenth of the images, chosen by a hash of their ids, is kept for validation.
A few hundred images of 80 classes teach a detector little; the config shows that a COCO file trains as it is.

Result: val AP 0.033, AP50 0.086 after 20 core-minutes (30 images kept out): a few hundred images are far too few for 80 classes.
"""

from pathlib import Path

from detkit.config_classes import AugmentationConfig, DataConfig, Experiment, PreprocessConfig, SourceConfig, load_config

base = load_config(Path(__file__).with_name("faster_rcnn_lite0_bccd.py"), Experiment)

config = base.replace(
    name="faster_rcnn_lite0_coco_sample",
    model=base.model.replace(preprocess=PreprocessConfig(short_side=448, long_side=672)),
    data=DataConfig(train=SourceConfig(path="data/coco_sample"), val_fraction=0.1),
    augmentation=AugmentationConfig(preset="light"),
    training=base.training.replace(budget=20.0, evaluations=4),
)
