"""A verdict a line, and a clock that ends the checks in time."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check.

    Attributes:
        name: What was checked.
        outcome: ``pass``, ``fail`` or ``skip``.
        figures: What was measured, in words.
        seconds: Wall time.
    """

    name: str
    outcome: str
    figures: str
    seconds: float


@dataclass
class Report:
    """Collects verdicts and prints each as it comes.

    Attributes:
        minutes: Checks that would begin later are skipped.
        verdicts: The verdicts so far.
    """

    minutes: float
    verdicts: list[Verdict] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def run(self, name: str, check: Callable[[], tuple[bool | None, str]]) -> None:
        """Run a check, which returns whether it passed (None: it does not apply here) and its figures."""
        before = time.monotonic()
        if before - self.started > 60 * self.minutes:
            self._add(Verdict(name, "skip", f"the limit of {self.minutes:g} minutes is over", 0.0))
            return
        try:
            passed, figures = check()
        except Exception as error:  # one broken check must not hide the others
            where = traceback.extract_tb(error.__traceback__)[-1]
            passed, figures = False, f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
        outcome = "skip" if passed is None else "pass" if passed else "fail"
        self._add(Verdict(name, outcome, " ".join(figures.split()), time.monotonic() - before))

    def _add(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)
        print(f"{verdict.outcome:4}  {verdict.name:34}  {verdict.seconds:6.1f} s  {verdict.figures}", flush=True)

    @property
    def failed(self) -> int:
        """Number of checks that failed."""
        return sum(verdict.outcome == "fail" for verdict in self.verdicts)

    def write(self, path: Path, machine: dict[str, object]) -> None:
        """Write the verdicts as JSON."""
        content = {
            **machine,
            "seconds": round(time.monotonic() - self.started, 1),
            "checks": [asdict(verdict) for verdict in self.verdicts],
        }
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


@contextmanager
def exact_products() -> Iterator[None]:
    """Compute fp32 products in fp32, not in TF32."""
    import torch

    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
