"""Building blocks of networks: norms, convolutions with norms, their folding, attention, and reductions over processes."""

from detkit.layers.blocks import ACTIVATIONS, ActivationName, ConvNormAct, NormName, make_norm
from detkit.layers.csp import CSPBlock, SpatialPyramidPooling, conv_block, set_yolox_norms
from detkit.layers.distributed import loss_normalizer, mean_over_processes
from detkit.layers.fold import conv_like, conv_norm_pairs, fold_batch_norms
from detkit.layers.frozen_norm import FrozenBatchNorm, freeze_norms
from detkit.layers.fused import FusedConv, FusedResidual, can_fuse, fuse_activations, is_fusable_conv
from detkit.layers.layer_norm2d import LayerNorm2d
from detkit.layers.leaky import Leaky
from detkit.layers.low_rank import low_rank
from detkit.layers.mixed_precision import MixedPrecisionConv
from detkit.layers.norm_policy import GroupNormAct, SyncNormAct, replace_norms
from detkit.layers.scaled_conv import ScaledConv, absorb_frozen_norms
from detkit.layers.sparse_gradient import SparseGradientConv

__all__ = [
    "ACTIVATIONS",
    "ActivationName",
    "CSPBlock",
    "ConvNormAct",
    "FrozenBatchNorm",
    "FusedConv",
    "FusedResidual",
    "GroupNormAct",
    "LayerNorm2d",
    "Leaky",
    "MixedPrecisionConv",
    "NormName",
    "ScaledConv",
    "SparseGradientConv",
    "SpatialPyramidPooling",
    "SyncNormAct",
    "absorb_frozen_norms",
    "can_fuse",
    "conv_block",
    "conv_like",
    "conv_norm_pairs",
    "fold_batch_norms",
    "freeze_norms",
    "fuse_activations",
    "is_fusable_conv",
    "loss_normalizer",
    "low_rank",
    "make_norm",
    "mean_over_processes",
    "replace_norms",
    "set_yolox_norms",
]
