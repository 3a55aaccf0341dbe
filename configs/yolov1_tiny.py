"""Fast YOLO, of nine convolutions (arXiv:1506.02640, section 2.2), for Pascal VOC 2007.

    python datasets/fetch_voc.py data/voc
    python tools/train.py configs/yolov1_tiny.py
    python tools/evaluate.py --data data/voc/VOC2007 --split test --metric voc07

Result: not yet run. The paper has mAP 52.7 on VOC 2007 test, trained on VOC 2007 and 2012.
"""

from pathlib import Path

from detkit.config_classes import Experiment, load_config, presets_yolov1

base = load_config(Path(__file__).with_name("yolov1.py"), Experiment)

config = base.replace(name="yolov1_tiny", model=presets_yolov1.yolov1_tiny())
