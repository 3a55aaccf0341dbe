"""U-Net as published (arXiv:1505.04597): valid convolutions on mirrored images, no pretrained weights, and no norms.

    detkit train unet_paper data=FOLDER

FOLDER is labeled data with masks. The network has 31 million parameters and needs a GPU; ``unet_lite0`` does not. With
``model.paper.padding=same``, convolutions are padded with zeros instead, and ``model.paper.norm=batch`` adds norms. The paper's data and
its deformation of images are not part of detkit.

Result: not yet run.
"""

from detkit.config_classes import (
    AugmentationConfig,
    DataConfig,
    Experiment,
    LoaderConfig,
    MultistepConfig,
    PaperUNetConfig,
    PreprocessConfig,
    RotationConfig,
    SGDConfig,
    SourceConfig,
    TrainingConfig,
    UNetConfig,
)

config = Experiment(
    name="unet_paper",
    model=UNetConfig(paper=PaperUNetConfig(), preprocess=PreprocessConfig(rule="letterbox", input_size=(388, 388))),
    data=DataConfig(train=SourceConfig(path="data/images", fetch_command="data=FOLDER, labeled data with masks of your own")),
    augmentation=AugmentationConfig(preset="flip", vertical_flip=0.5, quarter_turns=0.5, rotation=RotationConfig()),
    loader=LoaderConfig(batch_size=1, workers=2, aspect_grouping=False),
    # A momentum of 0.99 and batches of one image are the paper's (section 3).
    optimizer=SGDConfig(lr=1e-3, momentum=0.99, reference_batch_size=1),
    schedule=MultistepConfig(),
    training=TrainingConfig(epochs=100, clip_grad_norm=5.0, best_metric="miou"),
)
