"""DeiT's recipe: a transformer learns labels by its class token, and by its distillation token what a trained network says.

    python tools/train.py configs/classify_folder.py data=FOLDER
    python tools/train.py configs/classify_deit.py data=FOLDER distillation.teacher=runs/classify_folder-1

The teacher is any classifier of the same classes that was trained here; only its likeliest class is learned (arXiv:2012.12877, section 4).
``distillation.hard_labels=false distillation.temperature=3`` teaches all that it says (arXiv:1503.02531), which any student can learn:
``model.backbone.name=mobilenet_v3_small``.

Result: not yet run.
"""

from pathlib import Path

from detkit.config_classes import AdamWConfig, BackboneConfig, CosineConfig, DistillationConfig, Experiment, PreprocessConfig, load_config

base = load_config(Path(__file__).with_name("classify_folder.py"), Experiment)
TEACH = "detkit train configs/classify_folder.py data=FOLDER"

config = base.replace(
    name="classify_deit",
    model=base.model.replace(
        preprocess=PreprocessConfig(rule="letterbox", input_size=(224, 224), antialias=True, interpolation="bicubic"),
        backbone=BackboneConfig(name="deit_tiny_distilled_patch16_224", frozen_stages=0),
        mixup=0.8,
    ),
    distillation=DistillationConfig(
        teacher="runs/classify_folder-1", hard_labels=True, supervised_weight=0.5, logit_weight=0.5, fetch_command=TEACH
    ),
    # Numbers of table 9 of the paper; less decay and a lower rate than from scratch for layers near the image.
    optimizer=AdamWConfig(lr=5e-4, reference_batch_size=512, lr_scaling="linear", weight_decay=0.05, layer_decay=0.75),
    schedule=CosineConfig(warmup_steps=200),
    training=base.training.replace(epochs=100, ema=None, clip_grad_norm=None),
)
