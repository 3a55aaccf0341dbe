"""SPPNet of ``sppnet_lite0_bccd`` at the five scales of the paper, as an ablation.

    detkit data fetch bccd data/bccd
    detkit train sppnet_lite0_bccd
    detkit train sppnet_five_scales_lite0_bccd weights=runs/sppnet_lite0_bccd-1
    detkit evaluate runs/sppnet_five_scales_lite0_bccd-1 --data data/bccd --split test

It starts with the layers after the spatial pyramid as they were fine-tuned at one scale, and fits SVMs and box regressors at five scales.
Images are resized to the largest scale first; each region is pooled at the scale at which its size is nearest to 224 x 224 pixels.

Result: test AP 0.378, AP50 0.740, against 0.392 and 0.760 at one scale; the table of ablations is in docs/multi_stage.md.
"""

from detkit.config_classes import FIVE_SCALES, BoxRegressionStageConfig, PreprocessConfig, SVMStageConfig
from detkit.zoo.multi_stage.sppnet_lite0_bccd import config as base

config = base.replace(
    name="sppnet_five_scales_lite0_bccd",
    model=base.model.replace(preprocess=PreprocessConfig(short_side=1200, long_side=2000), scales=FIVE_SCALES),
    stages=(SVMStageConfig(budget_share=0.8), BoxRegressionStageConfig(budget_share=0.2)),
)
