"""torchvision's Faster R-CNN with weights that detect something, and ours with the same weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.ops import FrozenBatchNorm2d

from detkit.models.detector import Detector
from detkit.models.published import publication
from detkit.models.published.torchvision_faster_rcnn import convert

NAME = "fasterrcnn_resnet50_fpn"


def photographs(count: int, short_side: int, long_side: int) -> list[Tensor]:
    """Photographs that come with scikit-image, ``(3, H, W)`` floats, each resized to exactly these sides."""
    from skimage import data

    pictures = [torch.from_numpy(read()).permute(2, 0, 1)[None].float() / 255 for read in (data.coffee, data.chelsea, data.astronaut)]
    size = (short_side, long_side)
    resized = [nn.functional.interpolate(picture, size, mode="bilinear", antialias=True)[0].clamp(0, 1) for picture in pictures]
    return [resized[place % len(resized)] for place in range(count)]


def torchvision_model(images: list[Tensor]) -> nn.Module:
    """The detector of torchvision with seeded random weights, conditioned so that it proposes and detects about as a trained one.

    Norms take the statistics of the images, the last layers are scaled until their outputs are spread, and then the norms are
    frozen, as in the published model. Its inputs are not resized: both sides see the same tensors.
    """
    torch.manual_seed(0)
    model: nn.Module = getattr(detection, NAME)(weights=None, weights_backbone=None).eval()
    model.transform.resize = lambda image, target: (image, target)
    with torch.no_grad():
        _fit_norms(model, lambda: model(images))
        _spread({model.rpn.head.cls_logits: 2.0, model.rpn.head.bbox_pred: 0.3}, lambda: model(images))
        predictor = model.roi_heads.box_predictor
        _spread({predictor.cls_score: 2.5, predictor.bbox_pred: 1.0}, lambda: model(images))
        predictor.cls_score.bias[0] += 4.0  # most regions are background
    _freeze(model)
    return model


def our_model(peer: nn.Module) -> Detector:
    """Our detector with the peer's numbers."""
    found = publication(NAME)
    detector = found.config.build(len(found.class_names))
    detector.load_state_dict(convert(peer.state_dict()))
    return detector.eval()


def _fit_norms(model: nn.Module, run: Callable[[], object]) -> None:
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    run()
    for norm in norms:
        norm.eval()


def _spread(layers: Mapping[nn.Module, float], run: Callable[[], object]) -> None:
    """Scale and shift last layers so that each output has mean 0 and the given spread over ``run``."""
    seen: dict[nn.Module, list[Tensor]] = {layer: [] for layer in layers}
    handles = [layer.register_forward_hook(lambda module, _, output: seen[module].append(output)) for layer in layers]
    run()
    for handle in handles:
        handle.remove()
    for layer, spread in layers.items():
        values = torch.cat([output.transpose(0, 1).flatten(1) for output in seen[layer]], 1)
        factor = spread / values.std(1).clamp(min=1e-6)
        layer.weight.mul_(factor.reshape(-1, *[1] * (layer.weight.ndim - 1)))
        layer.bias.copy_((layer.bias - values.mean(1)) * factor)


def _freeze(model: nn.Module) -> None:
    for name, child in list(model.named_children()):
        if isinstance(child, nn.BatchNorm2d):
            frozen = FrozenBatchNorm2d(child.num_features, 0.0)
            child.running_var.clamp_(min=1e-3)
            frozen.load_state_dict(child.state_dict())
            setattr(model, name, frozen)
        else:
            _freeze(child)
