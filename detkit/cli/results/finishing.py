"""The end of a command that processes inputs for a long time: what it did is written also after an interruption or an error."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType

from detkit.cli.drawing_writer import DrawingWriter
from detkit.cli.outputs import Outputs
from detkit.cli.process import announce_stop
from detkit.printable import printable


class Finishing(AbstractContextManager["Finishing"]):
    """Writes the results when the block ends, also after an interruption, which is held back, and after an error, which is not.

    Args:
        write: Writes the results.
        announcement: What is still done after an interruption; None: nothing is announced.
    """

    def __init__(self, write: Callable[[], None], announcement: str | None) -> None:
        self._write, self._announcement = write, announcement
        self._interruption: KeyboardInterrupt | None = None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        if isinstance(error, KeyboardInterrupt):
            self._interruption = error
            if self._announcement is not None:
                announce_stop(self._announcement)
        self._write()
        return self._interruption is not None

    def raise_interruption(self) -> None:
        """Raise the interruption that was held back, if there was one."""
        if self._interruption is not None:
            raise self._interruption


def print_written(outputs: Outputs, drawings: DrawingWriter | None) -> None:
    """Print the written files, and the folder of drawings, if any."""
    written = [*outputs.written, *([] if drawings is None else [f"{drawings.folder}/"])]
    if written:
        print(f"written: {', '.join(map(printable, written))}")
