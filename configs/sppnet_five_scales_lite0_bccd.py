"""The SPPNet of ``sppnet_lite0_bccd`` at the paper's five scales, to see what these give.

    python datasets/fetch_bccd.py data/bccd
    python tools/train.py configs/sppnet_lite0_bccd.py
    python tools/train.py configs/sppnet_five_scales_lite0_bccd.py weights=runs/sppnet_lite0_bccd-1

It begins with the layers behind the pyramid as they were fine-tuned at one scale, and fits SVMs and box regressors to five. Images are
brought to the largest scale first; each region is pooled at that at which it comes nearest to 224 x 224 pixels.

Result: in the table of ablations in docs/multi_stage.md.
"""

from pathlib import Path

from detkit.config_classes import FIVE_SCALES, BoxRegressionStageConfig, Experiment, PreprocessConfig, SVMStageConfig, load_config

base = load_config(Path(__file__).with_name("sppnet_lite0_bccd.py"), Experiment)

config = base.replace(
    name="sppnet_five_scales_lite0_bccd",
    model=base.model.replace(preprocess=PreprocessConfig(short_side=1200, long_side=2000), scales=FIVE_SCALES),
    stages=(SVMStageConfig(budget_share=0.8), BoxRegressionStageConfig(budget_share=0.2)),
)
