r"""Recipe of the detector that ships with detkit: light_lite0 on COCO's 80 classes, distilled from YOLOX-Nano on a CPU.

    detkit models download yolox_nano
    detkit train embedded_lite0_coco
    detkit train --resume runs/embedded_lite0_coco-1 training.budget=1500

The training images are a few thousand photographs: ``data=FOLDER`` names the labeled ones and ``data.unlabeled=FOLDER,FOLDER`` the others.
Labels are used only to find the images with rare classes. 0.15 of the labeled images, chosen by a hash of their ids, are held out. The
teacher is a released COCO detector (Apache-2.0); ``distillation.teacher_file=FILE`` reads it from a file of yours. Training can be stopped
and resumed at any time; the learning rate follows the budget in core-minutes. On a CPU, two processes with one thread each see more crops
than one process with two threads: ``torchrun --nproc_per_node 2 -m detkit train ... training.threads=1``.

A few hundred labeled photographs would be memorized. So the backbone is frozen, a fifth of its channels is dropped at each step, images are
mixed, rotated and recolored each time, and images with rare classes are repeated more often. Training runs in cycles: smaller crops first,
which cost less, then full-size ones, then the same once more from there. The mean of the weights at the ends of two cycles is better than
each:

    detkit train embedded_lite0_coco output=runs/small-1 augmentation.resize.size=320,320 \
        augmentation.resize.scale=0.6,1.7 optimizer.lr=3e-3 training.budget=400
    detkit train embedded_lite0_coco weights=runs/small-1 output=runs/whole-1 optimizer.lr=1e-3 training.budget=60
    detkit train embedded_lite0_coco weights=runs/whole-1 output=runs/small-2 augmentation.resize.size=320,320 \
        augmentation.resize.scale=0.6,1.7 optimizer.lr=3e-3 training.budget=200
    detkit train embedded_lite0_coco weights=runs/small-2 output=runs/whole-2 optimizer.lr=1e-3 training.budget=60
    detkit models average runs/whole-1/last.safetensors runs/whole-2/last.safetensors --output mean.safetensors

Result: AP 0.165, AP50 0.280 on the 48 photographs held out (the teacher: 0.309), after 16.0 core-hours in nine parts, of which the last
four are such cycles; docs/embedded_detector.md describes each. The recipe above has never been run from start to end.
"""

from detkit.config_classes import (
    AdamWConfig,
    AugmentationConfig,
    CosineConfig,
    DataConfig,
    DistillationConfig,
    EMAConfig,
    EvaluationConfig,
    Experiment,
    JitterConfig,
    LoaderConfig,
    MixupConfig,
    MosaicConfig,
    PhotometricConfig,
    RotationConfig,
    SourceConfig,
    TrainingConfig,
)
from detkit.models.presets import light_lite0

light = light_lite0(128)  # after a frozen backbone, neck and head must be wider
frozen = light.backbone.replace(frozen_stages=5, norm="frozen")

config = Experiment(
    name="embedded_lite0_coco",
    model=light.replace(backbone=frozen, neck=light.neck.replace(dropout=0.2)),
    data=DataConfig(
        train=SourceConfig(path="data/coco_sample", fetch_command="data=FOLDER, a folder of labeled photographs of your own"),
        val_fraction=0.15,
        unlabeled=(SourceConfig(path="data/photographs"), SourceConfig(path="data/voc100/images")),
        labeled_repeats=2.0,
    ),
    distillation=DistillationConfig(
        teacher="yolox_nano",
        fetch_command="detkit models download yolox_nano",
        supervised_weight=0.0,
        score_weight=2.0,
        box_weight=2.0,
        feature_weight=1.0,
    ),
    # Random crops: larger images are cropped to the input size, smaller ones are padded as in the letterbox of the teacher.
    augmentation=AugmentationConfig(
        preset="flip",
        resize=JitterConfig(size=None, scale=(0.6, 1.4)),
        mosaic=MosaicConfig(probability=0.5, scale=(0.6, 1.4)),
        mixup=MixupConfig(probability=0.5),
        rotation=RotationConfig(probability=0.3, degrees=8.0),
        photometric=PhotometricConfig(probability=0.7, brightness=0.3, contrast=0.3, saturation=0.4, hue=0.02),
    ),
    loader=LoaderConfig(batch_size=32, workers=0, repeat_threshold=0.05, cache_megabytes=1200, aspect_grouping=False),
    optimizer=AdamWConfig(lr=2e-3, lr_scaling="none", backbone_lr_factor=0.3, weight_decay=0.1),
    schedule=CosineConfig(warmup_steps=100, final_factor=0.02),
    training=TrainingConfig(
        budget=960.0,
        clip_grad_norm=10.0,
        ema=EMAConfig(decay=0.9995, warmup_steps=300),
        evaluations=16,
        save_minutes=5.0,
    ),
    evaluation=EvaluationConfig(drawn_images=8),
)
