"""YOLOv1's cells and loss on EfficientNet-Lite0 without its fully connected layers, for the blood cells of BCCD, in an hour of one core.

    python datasets/fetch_bccd.py data/bccd
    python tools/train.py configs/yolov1_by_cell_lite0_bccd.py
    python tools/evaluate.py runs/yolov1_by_cell_lite0_bccd-1 --data data/bccd --split test

Cells, boxes, loss, images and budget are those of yolov1_lite0_bccd.py, so that the two tell what the fully connected layer costs where
images are few. Here the same two layers read each of the 8 x 10 cells from its own place of the map. They are small, so the map has 256
channels in place of 32, and the rates are those of the other detectors: 5e-4, a third of it for the backbone, in place of 1e-4 for all.

Result: test AP 0.447, AP50 0.799, AP75 0.487 after 60.0 core-minutes (14,680 images seen); val AP 0.469.
"""

from pathlib import Path

from detkit.config_classes import Experiment, YOLOv1HeadConfig, YOLOv1NeckConfig, load_config

lite0 = load_config(Path(__file__).with_name("faster_rcnn_lite0_bccd.py"), Experiment)
base = load_config(Path(__file__).with_name("yolov1_lite0_bccd.py"), Experiment)

config = base.replace(
    name="yolov1_by_cell_lite0_bccd",
    model=base.model.replace(
        neck=YOLOv1NeckConfig(channels=(256, 256)),
        head=YOLOv1HeadConfig(by_cell=True, hidden=(256,), dropout=0.0),
    ),
    optimizer=lite0.optimizer,
)
