"""Describe this machine, a config, a data set, or a checkpoint.

    detkit info                  versions, devices and threads, and problems with the installation
    detkit info DATA             images, classes and box sizes of labeled data: a COCO JSON file, a Pascal VOC folder, or a YOLO data.yaml
    detkit info CONFIG           parameters, operations and feature maps of a config, by name or file, and how well its anchors fit the data
    detkit info MODEL            class names, metrics, config and size of a checkpoint, a run, or published weights

With --receptive-fields, the maps of a config or model are listed with the pixels of the input on which a cell depends, and the width that
holds 95.45 % of its gradient (Luo et al., arXiv:1701.04128), next to the sizes of the boxes of --data or of the config's data. It takes
seconds, with a large model up to a minute.

A config file (.py) is executed, as by `detkit train`; a .json file is only read.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from detkit.cli.flags import add_flags
from detkit.cli.info.options import InfoOptions
from detkit.cli.options import bind
from detkit.cli.subjects import kind_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``detkit info``."""
    parser.add_argument("subject", nargs="?", metavar="SUBJECT", help="data, a config or a model (default: this machine)")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="for a config: keys to override")
    add_flags(parser, "--size", help="image size for the profile (default: 480x640)")
    add_flags(parser, "--data", help="for a config or a model: labeled data; report how well the anchors fit its boxes")
    add_flags(parser, "--images")
    add_flags(parser, "--split", help="only this part of the data")
    parser.add_argument("--receptive-fields", action="store_true", help="for a config or a model: measure the receptive fields of its maps")
    add_flags(parser, "--json", help="for a config or a model: write its numbers as JSON")
    bind(parser, InfoOptions, run)


def run(options: InfoOptions) -> int:
    """Determine the kind of the subject, and describe it.

    Raises:
        FileNotFoundError: If there is no such file, config or model.
        ValueError: If overrides are given for something that is not a config.
    """
    if options.subject is None:
        _check_flags(options, "this machine")
        from detkit.cli.info.machine import print_machine

        print_machine()
    else:
        _print_subject(options, options.subject)
    return 0


def _print_subject(options: InfoOptions, subject: str) -> None:
    kind = kind_of(Path(subject))
    if kind != "config" and options.overrides:
        thing = "data" if kind == "data" else f"a {kind}"
        raise ValueError(f"{' '.join(options.overrides)}: only a config takes KEY=VALUE, and {subject} is {thing}; leave it out")
    if kind == "data":
        _check_flags(options, f"the data {subject}")
        from detkit.cli.info.data import print_data

        print_data(subject, options.images, options.split)
    elif kind == "config":
        from detkit.cli.info.model import print_config

        print_config(subject, options)
    else:
        from detkit.cli.info.model import print_checkpoint

        print_checkpoint(subject, options)


def _check_flags(options: InfoOptions, subject: str) -> None:
    """Refuse flags that are for networks.

    Raises:
        ValueError: If one is given.
    """
    given = [flag for flag, value in (("--receptive-fields", options.receptive_fields), ("--json", options.json)) if value]
    if given:
        raise ValueError(f"{given[0]}: expected a config or a model, got {subject}; name one, such as embedded")
