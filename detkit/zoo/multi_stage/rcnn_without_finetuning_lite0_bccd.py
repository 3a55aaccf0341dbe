"""R-CNN of ``rcnn_lite0_bccd`` without fine-tuning: SVMs and box regressors on ImageNet features, as an ablation.

    detkit data fetch bccd data/bccd
    detkit train rcnn_without_finetuning_lite0_bccd
    detkit evaluate runs/rcnn_without_finetuning_lite0_bccd-1 --data data/bccd --split test

Result: test AP 0.331, AP50 0.635, against 0.401 and 0.715 with fine-tuning; the table of ablations is in docs/multi_stage.md.
"""

from detkit.config_classes import BoxRegressionStageConfig, SVMStageConfig
from detkit.zoo.multi_stage.rcnn_lite0_bccd import config as base

config = base.replace(
    name="rcnn_without_finetuning_lite0_bccd", stages=(SVMStageConfig(budget_share=0.8), BoxRegressionStageConfig(budget_share=0.2))
)
