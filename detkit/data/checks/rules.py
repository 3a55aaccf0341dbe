"""The rules for labels and image headers: name, severity, description and advice of every kind of problem."""

from __future__ import annotations

from collections.abc import Iterable

from detkit.data.checks.findings import Rule, Severity
from detkit.data.report import ReadIssue

_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

UNREADABLE_PART = Rule("unreadable_part", _ERROR, "labels that cannot be read", "mend the labels; nothing of this part was checked")
NO_TRAINING_OBJECTS = Rule(
    "no_training_objects",
    _ERROR,
    "images of a part without any object to learn from",
    "label objects that are not crowds, or check the path",
)
LEAK = Rule(
    "leak", _ERROR, "training images that are also used to measure", "keep each image in one part: the metrics are too high otherwise"
)
SAME_PARTS = Rule(
    "same_parts",
    _WARNING,
    "parts that have the same images",
    "measure on other images: the metrics show what was memorized, not what was learned",
)
DIVIDED_COPY = Rule(
    "divided_copy",
    _WARNING,
    "training images with a copy among the images held out for validation",
    "remove the copies, or divide the data with detkit data split, which keeps copies together: the metrics are too high otherwise",
)
SHARED_IMAGE = Rule(
    "shared_image",
    _WARNING,
    "images that are also in another part",
    "keep each image in one part: the metrics of the two are not independent",
)
UNCOMPARED_FILES = Rule(
    "uncompared_files",
    _NOTE,
    "parts that are so large that only the paths of their images were compared, not the bytes of their files",
    "compare their content with detkit data check --pixels",
)
NO_OBJECTS = Rule(
    "no_objects",
    _WARNING,
    "images of a part without any object",
    "label this part, or use another: no metric can be measured on it, and the first evaluation counts as the best",
)
MOSTLY_EMPTY = Rule(
    "mostly_empty", _WARNING, "images without objects, more than half of the part", "check that no labels are missing; remove images if not"
)
EMPTY_IMAGE = Rule("empty_image", _NOTE, "images without objects", "nothing to do if they show no objects: they teach what is background")
CROWDED_IMAGE = Rule(
    "crowded_image",
    _WARNING,
    "images with many times as many objects as is usual in this data",
    "look at them: labels of several images in one file cause this",
)
DUPLICATE_BOX = Rule(
    "duplicate_box", _WARNING, "boxes that repeat a box of the same class", "remove them: the second one counts as a missed object"
)
CLASS_CONFLICT = Rule("class_conflict", _WARNING, "boxes on an object that has a box of another class", "keep the box of the right class")
TINY_BOX = Rule("tiny_box", _WARNING, "boxes less than 2 pixels wide or high", "look at them: such boxes are mostly slips of the mouse")
THIN_BOX = Rule("thin_box", _WARNING, "boxes with a side over 50 times as long as the other", "look at them: few objects have this shape")
WHOLE_IMAGE_BOX = Rule(
    "whole_image_box", _NOTE, "boxes that cover their whole image", "look at some of them: the object may be smaller than its box"
)
MASK_OFF_BOX = Rule(
    "mask_off_box",
    _WARNING,
    "boxes that differ from the box around their mask by over 3 pixels and a tenth of a side",
    "look at them: the box or the mask may be of another object",
)
EMPTY_MASK = Rule("empty_mask", _WARNING, "masks without a pixel in their image", "draw them again, or remove them")
INVALID_MASK = Rule(
    "invalid_mask",
    _WARNING,
    "masks that cannot be used, so that no model with masks can be trained on their images",
    "export them again, from images of the size that they have now",
)
MISSING_MASK = Rule(
    "missing_mask", _NOTE, "objects without a mask, in data with masks", "nothing to do for boxes: nothing is learned of their masks"
)
MISSING_CLASS = Rule(
    "missing_class",
    _WARNING,
    "classes without an object to learn from",
    "add images of them, or remove the classes: they are never detected",
)
UNMEASURED_CLASS = Rule(
    "unmeasured_class", _WARNING, "classes without an object, so that their AP is not measured", "add images of them to this part"
)
RARE_CLASS = Rule(
    "rare_class", _WARNING, "classes with fewer than 10 objects to learn from", "label more objects of them, or remove the classes"
)
SIMILAR_CLASSES = Rule(
    "similar_classes",
    _WARNING,
    "groups of class names that differ only by case, spaces, dashes or underscores",
    "give the classes one name, if they are one: detkit data rename",
)
CLASS_IMBALANCE = Rule(
    "class_imbalance",
    _NOTE,
    "classes with less than 1 % of the objects of the most frequent class",
    "read the AP of each class: the average hides those that are rare",
)
UNCHECKED_SIZES = Rule(
    "unchecked_sizes",
    _NOTE,
    "images whose headers were not read to compare their sizes with the labels",
    "nothing to do if the labels state sizes correctly; --pixels compares those of all images",
)

_LOOK = "look at the named files"
_ADVICE = {
    "missing_image": (_WARNING, "add the files, or remove them from the labels; --images names another image folder"),
    "unreadable_image": (_WARNING, "replace or remove the files"),
    "not_an_image": (_NOTE, "nothing to do if they are no images"),
    "size_mismatch": (_WARNING, "use the images that were labeled, or scale the labels with them"),
    "unlisted_image": (_WARNING, "list their images, or remove the boxes"),
    "unknown_class": (_WARNING, "add the class to the list of classes: the objects are learned as background"),
    "class_not_selected": (_NOTE, "nothing to do if the classes were left out on purpose"),
    "not_finite": (_WARNING, "correct the coordinates, or remove the boxes"),
    "degenerate": (_WARNING, "remove the boxes, or draw them again"),
    "outside": (_WARNING, "check whether the labels belong to these images, at this size"),
    "clipped": (_NOTE, "nothing to do if the boxes exceed their images only a little"),
    "polygon": (_NOTE, "nothing to do: a detector learns boxes"),
    "turned": (_NOTE, "nothing to do: a detector learns upright boxes"),
    "turned_view": (_WARNING, "look at the boxes of the named images, for instance with --html"),
    "ellipse": (_NOTE, "nothing to do: a detector learns boxes"),
    "mask": (_NOTE, "nothing to do: a detector learns boxes"),
    "no_label_map": (_NOTE, "nothing to do if they are not meant to be learned; otherwise add label maps of their names"),
    "unused_class_list": (_NOTE, "nothing to do if the list belongs to other labels"),
    "confidence": (_WARNING, "check that these are labels and not the detections of a model"),
    "no_box": (_WARNING, "draw the boxes, or remove the annotations"),
    "found_by_name": (_NOTE, "nothing to do if the labels were made on another machine"),
    "shared_label_file": (_WARNING, "rename images so that each has a label file of its own"),
    "other_image": (_WARNING, "rename images so that each has a label file of its own"),
    "unread_key": (_NOTE, "nothing to do if the keys hold no labels"),
    "unnamed_split": (_WARNING, "add the folders to the description, if they belong to the data"),
    "ignored_class": (_NOTE, "nothing to do if nothing should be learned or counted there"),
    "ignored_difficult": (_NOTE, "nothing to do: data.train.difficult=object makes them ordinary objects"),
    "other_annotation": (_NOTE, "nothing to do if one annotation of each image is the right one"),
    "prediction": (_NOTE, "nothing to do: predictions are no labels"),
    "depiction": (_NOTE, "nothing to do if drawings and interiors should be learned"),
    "unread_shape": (_WARNING, "draw the objects as boxes or polygons"),
    "ignore_flag": (_NOTE, "nothing to do if the objects should be learned"),
    "rotated": (_NOTE, "nothing to do here: other programs may read the boxes on the image that is not rotated"),
    "missing_size": (_NOTE, "nothing to do: the sizes of the files are used"),
    "no_label_file": (_WARNING, "label them; if they show no objects, give them empty label files"),
    "duplicate_annotation_id": (_NOTE, "nothing to do here: other programs may keep one of the annotations only"),
    "duplicate_image": (_NOTE, "nothing to do: each is read once"),
    "duplicate_file": (_WARNING, "list each file once, with all its boxes: boxes of the other entry count as background"),
}
READER_RULES = {
    issue: Rule(issue.name.lower(), severity, issue.value, advice)
    for issue in ReadIssue
    for severity, advice in [_ADVICE.get(issue.name.lower(), (_NOTE, _LOOK))]
}
"""The rule of each issue that a reader reports."""


def _table(rules: Iterable[Rule]) -> dict[str, Rule]:
    return {rule.name: rule for rule in rules}


LABEL_RULES = _table(
    (
        UNREADABLE_PART,
        NO_TRAINING_OBJECTS,
        LEAK,
        SAME_PARTS,
        DIVIDED_COPY,
        SHARED_IMAGE,
        UNCOMPARED_FILES,
        NO_OBJECTS,
        MOSTLY_EMPTY,
        EMPTY_IMAGE,
        CROWDED_IMAGE,
        DUPLICATE_BOX,
        CLASS_CONFLICT,
        TINY_BOX,
        THIN_BOX,
        WHOLE_IMAGE_BOX,
        MASK_OFF_BOX,
        EMPTY_MASK,
        INVALID_MASK,
        MISSING_MASK,
        MISSING_CLASS,
        UNMEASURED_CLASS,
        RARE_CLASS,
        SIMILAR_CLASSES,
        CLASS_IMBALANCE,
        UNCHECKED_SIZES,
        *READER_RULES.values(),
    )
)
"""All rules for labels and headers, by name."""
