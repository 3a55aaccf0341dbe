"""Detectors of torchvision with weights that detect something, and ours with the same weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.ops import FrozenBatchNorm2d

from detkit.models.detector import Detector
from detkit.models.published import publication

Run = Callable[[], object]


@dataclass(frozen=True)
class Peer:
    """A detector of torchvision.

    Attributes:
        title: Its name in reports.
        name: Its name in torchvision.
        condition: Scales the last layers so that it detects about as much as a trained one.
        eps: Epsilon of its frozen norms; None: it has no norms.
        size: ``(short side, long side)`` of its only input size; None: any.
    """

    title: str
    name: str
    condition: Callable[[nn.Module, Run], None]
    eps: float | None = 0.0
    size: tuple[int, int] | None = None

    def build_reference(self, images: list[Tensor]) -> nn.Module:
        """Build torchvision's detector with seeded random weights.

        Norms get the statistics of the images, the last layers are scaled until their outputs are spread, and then the norms are frozen, as
        in the published model. Its inputs are not resized: both sides get the same tensors.
        """
        torch.manual_seed(0)
        model: nn.Module = getattr(detection, self.name)(weights=None, weights_backbone=None).eval()
        model.transform.resize = lambda image, target: (image, target)

        def run() -> object:
            return model(images)

        with torch.no_grad():
            if self.eps is None:
                _keep_spread(model)
            _fit_norms(model, run)
            self.condition(model, run)
        if self.eps is not None:
            _freeze(model, self.eps)
        return model

    def build_own(self, model: nn.Module) -> Detector:
        """Build our detector with the same weights."""
        published = publication(self.name)
        detector = published.config.build(len(published.class_names))
        detector.load_state_dict(published.convert(model.state_dict()))
        return detector.eval()


def photographs(count: int, short_side: int, long_side: int) -> list[Tensor]:
    """Return photographs of scikit-image, ``(3, H, W)`` floats, each resized to exactly these sides."""
    from skimage import data

    images = [torch.from_numpy(read()).permute(2, 0, 1)[None].float() / 255 for read in (data.coffee, data.chelsea, data.astronaut)]
    size = (short_side, long_side)
    resized = [nn.functional.interpolate(image, size, mode="bilinear", antialias=True)[0].clamp(0, 1) for image in images]
    return [resized[index % len(resized)] for index in range(count)]


def _condition_faster_rcnn(model: nn.Module, run: Run) -> None:
    _spread({model.rpn.head.cls_logits: 2.0, model.rpn.head.bbox_pred: 0.3}, run)
    predictor = model.roi_heads.box_predictor
    _spread({predictor.cls_score: 2.5, predictor.bbox_pred: 1.0}, run)
    predictor.cls_score.bias[0] += 4.0  # most regions are background


def _condition_mask_rcnn(model: nn.Module, run: Run) -> None:
    _condition_faster_rcnn(model, run)
    _spread({model.roi_heads.mask_predictor.mask_fcn_logits: 2.0}, run)


def _condition_dense(rarity: float) -> Callable[[nn.Module, Run], None]:
    """Condition heads with one sigmoid per class: logits are lowered by ``rarity``, so that few of the many anchors score high."""

    def condition(model: nn.Module, run: Run) -> None:
        logits, boxes = model.head.classification_head.cls_logits, model.head.regression_head
        _spread({logits: 1.5, boxes.bbox_reg: 0.5}, run)
        if hasattr(boxes, "bbox_ctrness"):
            _spread({boxes.bbox_ctrness: 1.5}, run)
            boxes.bbox_reg.bias += 2.0
        logits.bias -= rarity

    return condition


def _condition_ssd(model: nn.Module, run: Run) -> None:
    classes = [part[-1] if isinstance(part, nn.Sequential) else part for part in model.head.classification_head.module_list]
    boxes = [part[-1] if isinstance(part, nn.Sequential) else part for part in model.head.regression_head.module_list]
    _spread(dict.fromkeys(classes, 2.0) | dict.fromkeys(boxes, 1.0), run)
    for layer in classes:
        layer.bias.view(-1, 91)[:, 0] += 10.5  # most anchors are background


PEERS: dict[str, Peer] = {
    "faster_rcnn": Peer("Faster R-CNN R50-FPN", "fasterrcnn_resnet50_fpn", _condition_faster_rcnn),
    "mask_rcnn": Peer("Mask R-CNN R50-FPN", "maskrcnn_resnet50_fpn", _condition_mask_rcnn),
    "retinanet": Peer("RetinaNet R50-FPN", "retinanet_resnet50_fpn", _condition_dense(8.5)),
    "fcos": Peer("FCOS R50-FPN", "fcos_resnet50_fpn", _condition_dense(7.0), eps=1e-5),
    "ssd": Peer("SSD300 VGG16", "ssd300_vgg16", _condition_ssd, eps=None, size=(300, 300)),
}


def _keep_spread(model: nn.Module) -> None:
    """Initialize the convolutions of a network without norms so that activations neither vanish nor grow."""
    for part in model.backbone.modules():  # type: ignore[union-attr, operator]
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight)


def _fit_norms(model: nn.Module, run: Run) -> None:
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    run()
    for norm in norms:
        norm.eval()


def _spread(layers: Mapping[nn.Module, float], run: Run) -> None:
    """Scale and shift the last layers so that each output has mean 0 and the given standard deviation over ``run``."""
    outputs: dict[nn.Module, list[Tensor]] = {layer: [] for layer in layers}
    handles = [layer.register_forward_hook(lambda module, _, output: outputs[module].append(output)) for layer in layers]
    run()
    for handle in handles:
        handle.remove()
    for layer, spread in layers.items():
        values = torch.cat([output.transpose(0, 1).flatten(1) for output in outputs[layer]], 1)
        factor = spread / values.std(1, correction=0).clamp(min=1e-6)
        layer.weight.mul_(factor.reshape(-1, *[1] * (layer.weight.ndim - 1)))
        layer.bias.copy_((layer.bias - values.mean(1)) * factor)


def _freeze(model: nn.Module, eps: float) -> None:
    for name, child in list(model.named_children()):
        if isinstance(child, nn.BatchNorm2d):
            frozen = FrozenBatchNorm2d(child.num_features, eps)
            child.running_var.clamp_(min=1e-3)
            frozen.load_state_dict(child.state_dict())
            setattr(model, name, frozen)
        else:
            _freeze(child, eps)
