"""Fast R-CNN on VGG16 for Pascal VOC 2007, with the numbers of the paper (arXiv:1504.08083).

    python datasets/fetch_voc.py data/voc
    detkit weights download vgg16
    python tools/train.py configs/fast_rcnn_vgg16.py
    python tools/evaluate.py --data data/voc/VOC2007 --split test --metric voc07

At detection, ``detkit detect --svd 1024,256`` cuts fc6 and fc7 as in section 4.4. Several scales: ``model.scales``.

Result: not yet run. The paper has an AP of 66.9 on the test part of VOC 2007 (table 1; trained on its trainval part).
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

FETCH = "python datasets/fetch_voc.py data/voc"
paper = FastRCNNConfig()

config = Experiment(
    name="fast_rcnn_vgg16",
    model=paper.replace(
        # One scale: the shorter side 600 pixels, the longer at most 1,000 (section 5.2).
        preprocess=PreprocessConfig(short_side=600, long_side=1000),
        # conv3_1 and up learn (section 4.5).
        backbone=BackboneConfig(name="vgg16", levels=("c4",), frozen_stages=2),
        region=paper.region.replace(head=TwoFCConfig(hidden=4096, dropout=0.5)),
        proposals=ProposalsConfig(mode="fast", max_proposals=2000, cache="data/proposals"),
    ),
    data=DataConfig(
        train=SourceConfig(path="data/voc/VOC2007", split="train", fetch_command=FETCH),
        val=SourceConfig(path="data/voc/VOC2007", split="val", fetch_command=FETCH),
    ),
    augmentation=AugmentationConfig(preset="flip"),
    # Two images of 64 regions each; 30,000 steps at 0.001, 10,000 at a tenth (section 2.3).
    loader=LoaderConfig(batch_size=2, workers=4),
    optimizer=SGDConfig(lr=0.001, reference_batch_size=2, weight_decay=5e-4),
    schedule=MultistepConfig(milestones=(0.75,), warmup_steps=0),
    training=TrainingConfig(steps=40_000, evaluations=4),
)
