"""The light detector for the blood cells of BCCD, on a CPU in half an hour.

    python datasets/fetch_bccd.py data/bccd
    python tools/train.py configs/light_lite0_bccd.py
    python tools/evaluate.py runs/light_lite0_bccd-1 --data data/bccd --split test

Result of a first run: val AP 0.420, AP50 0.825 after 60 core-minutes (4,312 pictures seen). It was still learning fast: these numbers are
not tuned, and the test part was not looked at.
"""

from pathlib import Path

from detkit.configs import AdamWConfig, Experiment, load_config, presets_yolox

base = load_config(Path(__file__).with_name("faster_rcnn_lite0_bccd.py"), Experiment)

config = base.replace(
    name="light_lite0_bccd",
    # Pictures of one size need no letterbox.
    model=presets_yolox.light_lite0().replace(preprocess=base.model.preprocess),
    loader=base.loader.replace(batch_size=8),
    optimizer=AdamWConfig(lr=1e-3, reference_batch_size=8, backbone_factor=0.3),
)
