"""Faster R-CNN on an EfficientNet-Lite0 FPN, for a small sample of COCO, on a CPU.

    detkit train faster_rcnn_lite0_coco_sample data=FOLDER

FOLDER holds ``instances.json`` and ``images/``. A tenth of the images, chosen by a hash of their ids, is held out for validation.
A few hundred images are too few to learn 80 classes; the config shows that a COCO file can be used for training as it is.

Result: val AP 0.033, AP50 0.086 after 20 core-minutes (30 images held out): a few hundred images are far too few for 80 classes.
"""

from detkit.config_classes import AugmentationConfig, DataConfig, PreprocessConfig, SourceConfig
from detkit.zoo.two_stage.faster_rcnn_lite0_bccd import config as base

config = base.replace(
    name="faster_rcnn_lite0_coco_sample",
    model=base.model.replace(preprocess=PreprocessConfig(short_side=448, long_side=672)),
    data=DataConfig(
        train=SourceConfig(path="data/coco_sample", fetch_command="data=FOLDER, a folder with instances.json and images/"), val_fraction=0.1
    ),
    augmentation=AugmentationConfig(preset="light"),
    training=base.training.replace(budget=20.0, evaluations=4),
)
