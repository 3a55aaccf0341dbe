"""Waiting before a lost connection is made again: longer each time, with a limit, and with one line at its loss and one at its return."""

from __future__ import annotations

import logging
import random
import threading
import time

RECONNECT_SECONDS = 60.0
"""Time without data after which a source ends with an error."""
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 10.0
"""Seconds before the first attempt to connect again, and before late ones at most."""
_JITTER = 0.25
"""Part of a wait that is random, so that many readers of one camera do not come back at the same moment."""

_log = logging.getLogger(__name__)


class BackingOff:
    """The waits between the attempts to connect to a source again.

    Args:
        name: Name of the source for messages.
        seconds: Time without data after which :meth:`wait` raises; 0: at once.

    Raises:
        ValueError: If ``seconds`` is negative.
    """

    def __init__(self, name: str, seconds: float = RECONNECT_SECONDS) -> None:
        if not seconds >= 0:
            raise ValueError(f"reconnect_seconds: expected 0 seconds or more, got {seconds}")
        self.name, self.seconds = name, seconds
        self._stopped = threading.Event()
        self.start()

    def start(self) -> None:
        """Begin with a new connection."""
        self._stopped.clear()
        self._attempts = 0
        self._last = time.perf_counter()

    @property
    def stopped(self) -> bool:
        """Whether :meth:`stop` was called."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """End a wait in another thread, and all that follow."""
        self._stopped.set()

    def arrived(self) -> float:
        """Take note that data arrived, and return the time."""
        now = time.perf_counter()
        if self._attempts:
            _log.warning("%s: connected again after %.0f s", self.name, now - self._last)
        self._attempts, self._last = 0, now
        return now

    def wait(self, error: OSError) -> None:
        """Wait before the next attempt.

        Args:
            error: The reason for it.

        Raises:
            ConnectionError: If nothing arrived for too long.
        """
        missing = self.seconds - (time.perf_counter() - self._last)
        reason = str(error).removeprefix(f"{self.name}: ")
        if missing <= 0:
            lost = f"nothing arrived for {self.seconds:.0f} s" if self.seconds else "the connection is lost"
            raise ConnectionError(f"{self.name}: {lost} ({reason})") from None
        if not self._attempts:
            _log.warning("%s: the connection is lost (%s); connecting again", self.name, reason)
        wait = min(_FIRST_WAIT * 2 ** min(self._attempts, 16), _LONGEST_WAIT)
        self._attempts += 1
        self._stopped.wait(min(wait * random.uniform(1 - _JITTER, 1 + _JITTER), missing))
