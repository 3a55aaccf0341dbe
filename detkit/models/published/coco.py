"""Class names of COCO and their category ids."""

from __future__ import annotations

_ROWS = """
person bicycle car motorcycle airplane bus train truck boat traffic_light
fire_hydrant - stop_sign parking_meter bench bird cat dog horse sheep
cow elephant bear zebra giraffe - backpack umbrella - -
handbag tie suitcase frisbee skis snowboard sports_ball kite baseball_bat baseball_glove
skateboard surfboard tennis_racket bottle - wine_glass cup fork knife spoon
bowl banana apple sandwich orange broccoli carrot hot_dog pizza donut
cake chair couch potted_plant bed - dining_table - - toilet
- tv laptop mouse remote keyboard cell_phone microwave oven toaster
sink refrigerator - book clock vase scissors teddy_bear hair_drier toothbrush
"""

COCO_SLOTS: tuple[str | None, ...] = tuple(None if name == "-" else name.replace("_", " ") for name in _ROWS.split())
"""90 names, indexed by category id - 1, with None for the ten ids that were never used. Source: COCO's instances_train2017.json."""

COCO_CLASSES: tuple[str, ...] = tuple(name for name in COCO_SLOTS if name is not None)
"""The 80 names in the order of their ids."""
