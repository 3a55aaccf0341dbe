"""One case of the fuzz suite, and the verdict on its outcome."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from detkit.printable import printable_message

MAX_SECONDS = 5.0
"""Processor time from which a case counts as a hang."""
USER_ERRORS = (ValueError, OSError, RuntimeError, ImportError)
"""Exceptions that the command line turns into one line, as ``detkit.cli.main`` has it."""


@dataclass(frozen=True)
class Case:
    """Files that were written, and how they are read.

    Attributes:
        read: Reads the files and checks the result; raises :class:`WrongResult` if it is impossible.
        names: A refusal must contain at least one of these: the name of the file, or the key of a setting.
    """

    read: Callable[[], object]
    names: tuple[str, ...]


MakeCase = Callable[[Random, Path], Case]
"""Writes the files of one case to an empty folder."""


class WrongResult(Exception):
    """A file was read without an error, into something that cannot be right."""


def expect(condition: object, message: str) -> None:
    """Raise a :class:`WrongResult` unless the condition holds."""
    if not condition:
        raise WrongResult(message)


@dataclass(frozen=True)
class Fault:
    """What is wrong with an outcome.

    Attributes:
        kind: ``wrong result``, ``traceback``, ``names no file`` or ``too slow``.
        place: The exception's type and the innermost function of detkit that raised it; cases with the same kind and place have one cause.
        text: The message.
    """

    kind: str
    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.place}: {self.text}"


def verdict(case: Case, refusals: list[str] | None = None) -> Fault | None:
    """Run a case; return None if the outcome is right or one sentence that names the file, else what is wrong.

    Args:
        case: The case.
        refusals: Gets the sentence if its files were refused.
    """
    start = time.process_time()
    fault = _run(case, [] if refusals is None else refusals)
    seconds = time.process_time() - start
    return Fault("too slow", fault.place if fault else "", f"{seconds:.1f} s of processor time") if seconds > MAX_SECONDS else fault


def _run(case: Case, refusals: list[str]) -> Fault | None:
    try:
        case.read()
    except KeyboardInterrupt:
        raise
    except WrongResult as error:
        return _fault("wrong result", error)
    except USER_ERRORS as error:
        line = printable_message(error)  # as the command line shows it: shortened, with control characters as escapes
        refusals.append(line)
        return None if any(" ".join(name.split()) in line for name in case.names) else _fault("names no file", error)
    except BaseException as error:
        return _fault("traceback", error)
    return None


def _fault(kind: str, error: BaseException) -> Fault:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/detkit/" in frame.filename.replace("\\", "/")]
    where = f"{frames[-1].filename.replace(chr(92), '/').rpartition('/detkit/')[2]}:{frames[-1].name}" if frames else "its result"
    return Fault(kind, f"{type(error).__name__} in {where}", ascii(" ".join(str(error).split())[:300])[1:-1])


def random_of(target: str, number: int, seed: int = 0) -> Random:
    """Return the generator of one case; the same on every machine."""
    return Random(f"{seed}/{target}/{number}")
