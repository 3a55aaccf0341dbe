"""Published weights of RT-DETR, RT-DETRv2 and D-FINE, in the conversions on the Hugging Face hub, whose checksums are not stated.

The files of the original repositories load as well; their names are in the README files of those repositories.
"""

from __future__ import annotations

from detkit.weights.entry import NOT_STATED, WeightEntry

_COCO = "COCO train2017"
_OBJECTS365 = "Objects365"
_BOTH = f"{_OBJECTS365}, then {_COCO}"
_APACHE = "Apache-2.0"
_ACADEMIC = "Apache-2.0 by its model card; Objects365 is for academic use (github.com/Peterande/D-FINE/issues/357)"
_README = "parameters counted by us; AP: README.md of github.com/"


def _entry(name: str, repository: str, parameters: int, ap: float | None, data: str = _COCO) -> WeightEntry:
    """Return the entry of a file on the Hugging Face hub.

    Args:
        name: The name by which users refer to it.
        repository: ``owner/name`` on the hub.
        parameters: Number of parameters; without those of frozen norms.
        ap: On COCO val2017, in percent; None if it is not stated or was measured on other images.
        data: The training data.
    """
    owner, _, stem = repository.partition("/")
    original = "lyuwenyu/RT-DETR" if owner == "PekingU" else "Peterande/D-FINE"
    return WeightEntry(
        name=name,
        kind="detector",
        model=name.removesuffix("_obj365").removesuffix("_obj2coco"),
        file_name=f"{stem}.safetensors",
        url=f"https://huggingface.co/{repository}/resolve/main/model.safetensors",
        size=None,
        sha256=NOT_STATED,
        training_data=data,
        parameters=parameters,
        source=f"huggingface.co/{repository}; {_README}{original}",
        metrics={} if ap is None else {"AP": ap},
        license=_APACHE if data == _COCO else _ACADEMIC,
    )


QUERY_DETECTORS = (
    _entry("rtdetr_r18", "PekingU/rtdetr_r18vd", 20184464, 46.5),
    _entry("rtdetr_r34", "PekingU/rtdetr_r34vd", 31441668, 48.9),
    _entry("rtdetr_r50", "PekingU/rtdetr_r50vd", 42891372, 53.1),
    _entry("rtdetr_r101", "PekingU/rtdetr_r101vd", 76556268, 54.3),
    _entry("rtdetr_r18_obj2coco", "PekingU/rtdetr_r18vd_coco_o365", 20184464, 49.2, _BOTH),
    _entry("rtdetr_r50_obj2coco", "PekingU/rtdetr_r50vd_coco_o365", 42891372, 55.3, _BOTH),
    _entry("rtdetr_r101_obj2coco", "PekingU/rtdetr_r101vd_coco_o365", 76556268, 56.2, _BOTH),
    _entry("rtdetr_v2_r18", "PekingU/rtdetr_v2_r18vd", 20184464, 48.1),
    _entry("rtdetr_v2_r34", "PekingU/rtdetr_v2_r34vd", 31441668, 49.9),
    _entry("rtdetr_v2_r50", "PekingU/rtdetr_v2_r50vd", 42891372, 53.4),
    _entry("rtdetr_v2_r101", "PekingU/rtdetr_v2_r101vd", 76556268, 54.3),
    _entry("dfine_n", "ustc-community/dfine-nano-coco", 3782693, 42.8),
    _entry("dfine_s", "ustc-community/dfine-small-coco", 10321877, 48.5),
    _entry("dfine_m", "ustc-community/dfine-medium-coco", 19590064, 52.3),
    _entry("dfine_l", "ustc-community/dfine-large-coco", 31244152, 54.0),
    _entry("dfine_x", "ustc-community/dfine-xlarge-coco", 62621560, 55.8),
    # AP on Objects365 itself: 31.0, 38.6, not stated, 49.5.
    _entry("dfine_s_obj365", "ustc-community/dfine-small-obj365", 10689101, None, _OBJECTS365),
    _entry("dfine_m_obj365", "ustc-community/dfine-medium-obj365", 20030790, None, _OBJECTS365),
    _entry("dfine_l_obj365", "ustc-community/dfine-large-obj365", 31831882, None, _OBJECTS365),
    _entry("dfine_x_obj365", "ustc-community/dfine-xlarge-obj365", 63209290, None, _OBJECTS365),
    _entry("dfine_s_obj2coco", "ustc-community/dfine-small-obj2coco", 10321877, 50.7, _BOTH),
    _entry("dfine_m_obj2coco", "ustc-community/dfine-medium-obj2coco", 19590064, 55.1, _BOTH),
    _entry("dfine_l_obj2coco", "ustc-community/dfine-large-obj2coco-e25", 31244152, 57.3, _BOTH),
    _entry("dfine_x_obj2coco", "ustc-community/dfine-xlarge-obj2coco", 62621560, 59.3, _BOTH),
)
