"""Fast R-CNN on VGG16 for Pascal VOC 2007, with the numbers of the paper (arXiv:1504.08083).

    detkit data fetch voc data/voc
    detkit models download vgg16
    detkit train fast_rcnn_vgg16
    detkit evaluate runs/fast_rcnn_vgg16-1 --data data/voc/VOC2007 --split test --metric voc07

For detection, ``detkit detect --svd 1024,256`` truncates fc6 and fc7 as in section 4.4. Several scales: ``model.scales``.

Result: not yet run. The paper reports AP 66.9 on the test part of VOC 2007 (table 1; trained on its trainval part).
"""

from detkit.config_classes import (
    AugmentationConfig,
    BackboneConfig,
    DataConfig,
    Experiment,
    FastRCNNConfig,
    LoaderConfig,
    MultistepConfig,
    PreprocessConfig,
    ProposalsConfig,
    SGDConfig,
    SourceConfig,
    TrainingConfig,
    TwoFCConfig,
)

FETCH_COMMAND = "detkit data fetch voc data/voc"
paper = FastRCNNConfig()

model = paper.replace(
    # One scale: short side 600 pixels, long side at most 1,000 (section 5.2).
    preprocess=PreprocessConfig(short_side=600, long_side=1000),
    # conv3_1 and up are trained (section 4.5).
    backbone=BackboneConfig(name="vgg16", levels=("c4",), frozen_stages=2),
    region=paper.region.replace(head=TwoFCConfig(hidden=4096, dropout=0.5)),
    proposals=ProposalsConfig(mode="fast", max_proposals=2000, cache="data/proposals"),
)

config = Experiment(
    name="fast_rcnn_vgg16",
    model=model,
    data=DataConfig(
        train=SourceConfig(path="data/voc/VOC2007", split="train", fetch_command=FETCH_COMMAND),
        val=SourceConfig(path="data/voc/VOC2007", split="val", fetch_command=FETCH_COMMAND),
    ),
    augmentation=AugmentationConfig(preset="flip"),
    # Two images of 64 regions each; 30,000 steps at 0.001, then 10,000 at a tenth (section 2.3).
    loader=LoaderConfig(batch_size=2, workers=4),
    optimizer=SGDConfig(lr=0.001, reference_batch_size=2, weight_decay=5e-4),
    schedule=MultistepConfig(milestones=(0.75,), warmup_steps=0),
    training=TrainingConfig(steps=40_000, evaluations=4),
)
