"""Small blocks that networks are made of: norms, convolutions with them, their folding, and sums over processes."""

from detkit.layers.blocks import ConvNormAct, NormName, make_norm
from detkit.layers.distributed import mean_over_processes
from detkit.layers.fold import conv_norm_pairs, fold_batch_norms
from detkit.layers.frozen_norm import FrozenBatchNorm, freeze_norms
from detkit.layers.scaled_conv import ScaledConv, absorb_frozen_norms

__all__ = [
    "ConvNormAct",
    "FrozenBatchNorm",
    "NormName",
    "ScaledConv",
    "absorb_frozen_norms",
    "conv_norm_pairs",
    "fold_batch_norms",
    "freeze_norms",
    "make_norm",
    "mean_over_processes",
]
