"""The detector that detkit carries: light_lite0 on COCO's 80 classes, taught by YOLOX-Nano on a few thousand photographs, on a CPU.

    python tools/train.py configs/embedded_lite0_coco.py
    python tools/train.py --resume runs/embedded_lite0_coco-1 training.budget=1500

The teacher is a released COCO detector (Apache-2.0). ``distillation.teacher_file=FILE`` names its file, ``data=FOLDER`` the labeled images,
``data.unlabeled=FOLDER,FOLDER`` the others; labels say which images have rare classes, no more. 0.15 of the labeled images, chosen
by a hash of their ids, are kept out. It can be cut at any time and gone on with; the rate follows the budget of core-minutes. On a CPU,
two processes of one thread see more crops than one of two: ``torchrun --nproc_per_node 2 -m detkit train ... training.threads=1``.

A few hundred photographs are learned by heart if nothing is done about it. So the backbone does not learn, a fifth of its channels is
left out at each step, images are mixed, turned and colored anew, and those of rare classes come more often. In cycles: smaller crops
first, which cost less, and whole ones after, and the same once more from there. The mean of the weights at the ends of two cycles is better
than each:

    python tools/train.py configs/embedded_lite0_coco.py output=runs/small-1 augmentation.resize.size=320,320 \\
        augmentation.resize.scale=0.6,1.7 optimizer.lr=3e-3 training.budget=400
    python tools/train.py configs/embedded_lite0_coco.py weights=runs/small-1 output=runs/whole-1 optimizer.lr=1e-3 training.budget=60
    python tools/train.py configs/embedded_lite0_coco.py weights=runs/whole-1 output=runs/small-2 augmentation.resize.size=320,320 \\
        augmentation.resize.scale=0.6,1.7 optimizer.lr=3e-3 training.budget=200
    python tools/train.py configs/embedded_lite0_coco.py weights=runs/small-2 output=runs/whole-2 optimizer.lr=1e-3 training.budget=60
    detkit weights average runs/whole-1/last.safetensors runs/whole-2/last.safetensors --output mean.safetensors

Result: AP 0.165, AP50 0.280 on the 48 photographs kept out (the teacher: 0.309), after 16.0 core-hours in nine parts, of which the last
four are such cycles; docs/embedded_detector.md tells of each. Not yet run whole from the start.
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
from detkit.models.presets_yolox import light_lite0

SHARED = "../shared"

light = light_lite0(128)  # what is behind a backbone that does not learn must be the wider for it
frozen = light.backbone.replace(frozen_stages=5, norm="frozen")

config = Experiment(
    name="embedded_lite0_coco",
    model=light.replace(backbone=frozen, neck=light.neck.replace(dropout=0.2)),
    data=DataConfig(
        train=SourceConfig(path=f"{SHARED}/data/coco_sample"),
        val_fraction=0.15,
        unlabeled=(SourceConfig(path=f"{SHARED}/data/photographs"), SourceConfig(path=f"{SHARED}/data/voc100/images")),
        labeled_repeats=2.0,
    ),
    distillation=DistillationConfig(
        teacher="yolox_nano",
        teacher_file=f"{SHARED}/weights/yolox_nano_coco_convs_in_graph_order.npz",
        fetch_command="detkit weights download yolox_nano, and distillation.teacher_file=none",
        supervised_weight=0.0,
        score_weight=2.0,
        box_weight=2.0,
        feature_weight=1.0,
    ),
    # Random crops: what is larger than the input is cut, what is smaller is filled, as the teacher's letterbox is.
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
