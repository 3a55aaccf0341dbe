"""The flags of ``detkit train``, and the options that they fill."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from detkit.cli.evaluate.report import add_report_flags
from detkit.cli.flags import add_flags
from detkit.cli.values import devices, positive


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of ``detkit train``.

    Attributes:
        words: Labeled data or a config, and config keys to override.
        data: Data to train on instead of the config's.
        images: Folder of the images of the data.
        split: Part of the data.
        val_fraction: Fraction of the training images kept for validation.
        budget: Core-minutes that the run may use.
        smoke: Whether to test the installation instead.
        show_batches: Number of batches to write as images instead; None: train.
        resume: Folder of the run to resume; empty: the newest run; None: start a new run.
        stage: The only stage to run.
        output: Folder of the run; None: a new one.
        yes: Whether to download the recommended weights without asking.
        device: Name of the device.
        devices: Number of processes on this machine, or the GPUs to use; None: this process alone.
        precision: Number format; None: the config's.
        report: File of the HTML report; None: in the folder of the run.
        no_report: Whether to write no report.
    """

    words: tuple[str, ...] = ()
    data: str | None = None
    images: str | None = None
    split: str | None = None
    val_fraction: float | None = None
    budget: float | None = None
    smoke: bool = False
    show_batches: int | None = None
    resume: str | None = None
    stage: str | None = None
    output: str | None = None
    yes: bool = False
    device: str = "auto"
    devices: str | None = None
    precision: str | None = None
    report: str | None = None
    no_report: bool = False

    def key_overrides(self) -> list[str]:
        """Return the flags that set config keys as ``key=value``."""
        pairs = (
            ("data.train", self.data),
            ("data.train.images", self.images),
            ("data.train.split", self.split),
            ("data.val_fraction", self.val_fraction),
            ("training.budget", self.budget),
            ("training.precision", self.precision),
            ("output", self.output),
        )
        reset_val = ["data.val=none"] if self.data is not None else []
        return [*reset_val, *(f"{key}={value}" for key, value in pairs if value is not None)]


def add_train_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``detkit train``."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="FOLDER|CONFIG [key=value ...]",
        help="labeled data, the name of a config, or a config file (.py or .json); then config keys to override, in any order",
    )
    add_flags(parser, "--data", help="data to train on, instead of the config's; the same as data.train=PATH")
    add_flags(parser, "--images", "--split", "--val-fraction")
    add_flags(parser, "--budget", help="core-minutes that the run may use, validation included; sets training.budget")
    parser.add_argument(
        "--smoke", action="store_true", help="run two steps on generated data on the CPU, evaluate, save, reload and detect"
    )
    parser.add_argument(
        "--show-batches",
        type=positive,
        metavar="N",
        help="write the first N batches as images, as the model sees them, with their boxes, and do not train; --output is their folder "
        "(default: train_batches)",
    )
    add_flags(parser, "--resume", help="resume the run in this folder (default: your newest run)")
    parser.add_argument("--stage", metavar="NAME", help="run only this stage, such as svm; with --resume, rerun it")
    add_flags(parser, "--output", help="folder of the run (default: runs/NAME-N)")
    add_flags(parser, "--yes", help="download the recommended starting weights without asking")
    add_flags(parser, "--device")
    parser.add_argument(
        "--devices",
        type=devices,
        metavar="N",
        help="train in N processes on this machine, one for each GPU, or N on the CPU; or name the GPUs: cuda:0,cuda:2. The images of a "
        "batch are divided among them (default: one process)",
    )
    add_flags(parser, "--precision", help="number format of the training; sets training.precision (default: auto)")
    add_report_flags(parser, "report.html in the folder of the run")
