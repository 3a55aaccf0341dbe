"""SSD300 on a VGG16, for COCO, with the numbers of torchvision's reference training.

    python datasets/fetch_coco.py data/coco
    detkit weights download vgg16_caffe
    python tools/train.py configs/ssd300_vgg16.py

Another backbone: ``model.backbone.name=resnet50``. The default boxes that the paper has for Pascal VOC: ``presets_ssd.ssd300_vgg16_voc``.

Result: not yet run. torchvision publishes AP 25.1 on val2017 for this model and schedule.
"""

from pathlib import Path

from detkit.config_classes import (
    AugmentationConfig,
    Experiment,
    LoaderConfig,
    MultistepConfig,
    SGDConfig,
    TrainingConfig,
    load_config,
    presets_ssd,
)

base = load_config(Path(__file__).with_name("fpn_r50.py"), Experiment)

config = base.replace(
    name="ssd300_vgg16",
    model=presets_ssd.ssd300_vgg16(),
    augmentation=AugmentationConfig(preset="ssd"),
    loader=LoaderConfig(batch_size=32, workers=4, skip_empty=True),
    optimizer=SGDConfig(lr=0.002, reference_batch_size=32, weight_decay=5e-4),
    schedule=MultistepConfig(milestones=(80 / 120, 110 / 120)),
    training=TrainingConfig(epochs=120),
)
