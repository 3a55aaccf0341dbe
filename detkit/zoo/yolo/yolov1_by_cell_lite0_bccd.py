"""Grid and loss of YOLOv1 on EfficientNet-Lite0, without fully connected layers, for the blood cells of BCCD, in one core-hour.

    detkit data fetch bccd data/bccd
    detkit train yolov1_by_cell_lite0_bccd
    detkit evaluate runs/yolov1_by_cell_lite0_bccd-1 --data data/bccd --split test

Grid, boxes, loss, image size and budget are those of ``yolov1_lite0_bccd``, so the comparison shows the cost of the fully connected layer
when images are few. Here the same two layers are applied to each of the 8 x 10 cells, at its own position in the feature map. They are
small, so the map has 256 channels instead of 32, and the learning rates are those of the other detectors: 5e-4, and a third of it for the
backbone, instead of 1e-4 for all parameters.

Result: test AP 0.447, AP50 0.799, AP75 0.487 after 60.0 core-minutes (14,680 images seen); val AP 0.469.
"""

from detkit.config_classes import YOLOv1HeadConfig, YOLOv1NeckConfig
from detkit.zoo.two_stage.faster_rcnn_lite0_bccd import config as lite0
from detkit.zoo.yolo.yolov1_lite0_bccd import config as base

config = base.replace(
    name="yolov1_by_cell_lite0_bccd",
    model=base.model.replace(
        neck=YOLOv1NeckConfig(channels=(256, 256)),
        head=YOLOv1HeadConfig(by_cell=True, hidden=(256,), dropout=0.0),
    ),
    optimizer=lite0.optimizer,
)
