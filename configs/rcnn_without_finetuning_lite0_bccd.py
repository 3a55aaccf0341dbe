"""The R-CNN of ``rcnn_lite0_bccd`` with its ImageNet weights as they are: SVMs and box regressors alone, to see what fine-tuning gives.

    python datasets/fetch_bccd.py data/bccd
    python tools/train.py configs/rcnn_without_finetuning_lite0_bccd.py

Result: in the table of ablations in docs/multi_stage.md.
"""

from pathlib import Path

from detkit.config_classes import BoxRegressionStageConfig, Experiment, SVMStageConfig, load_config

base = load_config(Path(__file__).with_name("rcnn_lite0_bccd.py"), Experiment)

config = base.replace(
    name="rcnn_without_finetuning_lite0_bccd", stages=(SVMStageConfig(budget_share=0.8), BoxRegressionStageConfig(budget_share=0.2))
)
