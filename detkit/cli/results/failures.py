"""Inputs that could not be read, or not completely; each is printed when it occurs, and counted at the end."""

from __future__ import annotations

import sys

from detkit.cli.report import count
from detkit.printable import printable_message


class Failures:
    """Messages about inputs, by their names.

    Attributes:
        messages: The message about each input that could not be read completely.
        lost: Number of damaged or missing frames of each video or stream that has any.
    """

    def __init__(self) -> None:
        self.messages: dict[str, str] = {}
        self.lost: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self.messages)

    def add(self, name: str, error: Exception | None) -> None:
        """Keep and print the error of an input."""
        message = printable_message(error) if error is not None else "not readable"
        self.messages[name] = message
        print(f"detkit: {message}", file=sys.stderr, flush=True)

    def add_lost_frames(self, name: str, lost: int, read: int, advice: str = "export the video again") -> None:
        """Report frames that could not be decoded, or that a truncated file lacks.

        Args:
            name: The video or stream.
            lost: Number of these frames.
            read: Number of frames that were decoded.
            advice: Advice to the user.
        """
        self.lost[name] = lost
        self.add(name, ValueError(f"{name}: {lost} of {count(lost + read, 'frame')} are damaged or missing and were skipped; {advice}"))

    def conclude(self, inputs: int, unit: str) -> None:
        """Print how many of the inputs could not be read, if any."""
        if self.lost:
            print("note: damaged frames that the decoder completes from others are not counted, as OpenCV does not report them")
        if self.messages:
            completely = " completely" if self.lost else ""
            print(f"detkit: {len(self.messages)} of {count(inputs, unit)} could not be read{completely}", file=sys.stderr)
