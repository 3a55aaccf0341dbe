"""DeiT recipe: a transformer learns the labels with its class token and a teacher's predictions with its distillation token.

    detkit train classify_folder data=FOLDER
    detkit train classify_deit data=FOLDER distillation.teacher=runs/classify_folder-1

The teacher is any classifier of the same classes trained with detkit. Only its most likely class is learned (arXiv:2012.12877, section 4).
``distillation.hard_labels=false distillation.temperature=3`` learns all of its probabilities instead (arXiv:1503.02531), which works with
any student: ``model.backbone.name=mobilenet_v3_small``.

Result: not yet run.
"""

from detkit.config_classes import AdamWConfig, BackboneConfig, CosineConfig, DistillationConfig, PreprocessConfig
from detkit.zoo.classifiers.classify_folder import config as base

config = base.replace(
    name="classify_deit",
    model=base.model.replace(
        preprocess=PreprocessConfig(rule="letterbox", input_size=(224, 224), antialias=True, interpolation="bicubic"),
        backbone=BackboneConfig(name="deit_tiny_distilled_patch16_224", frozen_stages=0),
        mixup=0.8,
    ),
    distillation=DistillationConfig(
        teacher="runs/classify_folder-1",
        hard_labels=True,
        supervised_weight=0.5,
        logit_weight=0.5,
        fetch_command="detkit train classify_folder data=FOLDER",
    ),
    # Numbers of table 9 of the paper; weight decay and learning rate are lower than from scratch in the layers near the image.
    optimizer=AdamWConfig(lr=5e-4, reference_batch_size=512, lr_scaling="linear", weight_decay=0.05, layer_decay=0.75),
    schedule=CosineConfig(warmup_steps=200),
    training=base.training.replace(epochs=100, ema=None, clip_grad_norm=None),
)
