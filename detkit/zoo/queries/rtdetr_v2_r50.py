"""RT-DETRv2 on ResNet-50, for COCO: the 72-epoch schedule of the released code.

    detkit data fetch coco data/coco
    torchrun --nproc_per_node 4 -m detkit train rtdetr_v2_r50

The defaults of the model are the released ones. The batch size is the total over all processes. Stem and norms of the backbone are
frozen, and its learning rate is a tenth; strong augmentation and other image sizes stop after epoch 71.

Result: not yet run. The released weights are published with AP 53.4 (val2017).
"""

from detkit.config_classes import (
    AdamWConfig,
    DataConfig,
    EMAConfig,
    Experiment,
    LoaderConfig,
    MultistepConfig,
    SourceConfig,
    TrainingConfig,
    presets,
)
from detkit.zoo.queries._schedules import augmentation_until, linear_warmup, scales

FETCH_COMMAND = "detkit data fetch coco data/coco"
EPOCHS, STOP = 72, 71

config = Experiment(
    name="rtdetr_v2_r50",
    model=presets.rtdetr_v2_r50(),
    data=DataConfig(
        train=SourceConfig(
            path="data/coco/annotations/instances_train2017.json", images="data/coco/train2017", fetch_command=FETCH_COMMAND
        ),
        val=SourceConfig(path="data/coco/annotations/instances_val2017.json", images="data/coco/val2017", fetch_command=FETCH_COMMAND),
    ),
    augmentation=augmentation_until(STOP / EPOCHS),
    loader=LoaderConfig(batch_size=16, workers=4, aspect_grouping=False),
    optimizer=AdamWConfig(lr=1e-4, reference_batch_size=16, weight_decay=1e-4, decay_biases=True, backbone_lr_factor=0.1),
    schedule=MultistepConfig(milestones=(), **linear_warmup(2000)),
    training=TrainingConfig(
        epochs=EPOCHS,
        clip_grad_norm=0.1,
        multi_scale=scales(3, STOP / EPOCHS),
        ema=EMAConfig(decay=0.9999, warmup_steps=2000),
        evaluations=EPOCHS,
    ),
)
