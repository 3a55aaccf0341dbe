"""The store through which the processes of one start of ``torchrun`` meet, apart from those of the starts before.

``torchrun`` keeps its store when it restarts the processes, with the addresses of those that have ended, for which gloo waits forever and
NCCL fails (PyTorch issue 135712). The restart count does not identify a start: each node has its own, and a change of the nodes is not
counted. So the first process draws a token for each start and answers each of the others once. A token that nobody answers for is old.
"""

from __future__ import annotations

import time
import uuid
from datetime import timedelta
from typing import Any, TypeAlias

Store: TypeAlias = Any
"""A store of ``torch.distributed``, whose class is not there in builds of PyTorch without it."""
_TOKEN = "detkit/token"
POLL_SECONDS, ANSWER_SECONDS = 0.02, 1.0
"""Seconds between two looks into the store, and until a process without an answer takes its token for one of an earlier start."""
LIMIT = timedelta(minutes=10)
"""Longest time until all processes have met; they may read their libraries from a slow disk."""


def round_store() -> tuple[Store, int, int]:
    """Return the store of this start, with the rank of this process and the number of processes, from the environment.

    Raises:
        TimeoutError: If the other processes do not come.
    """
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    store, rank, world = next(iter(rendezvous("env://")))
    return PrefixStore(meet(store, rank, world), store), rank, world


def meet(store: Store, rank: int, world: int, limit: timedelta = LIMIT) -> str:
    """Return the token of this start, the same in all processes, once all have come.

    Raises:
        TimeoutError: If they do not come within the limit.
    """
    deadline = time.monotonic() + limit.total_seconds()
    token = _await_others(store, world, deadline) if rank == 0 else _ask_first(store, rank, deadline)
    if token is None:
        raise TimeoutError(f"process {rank} of {world}: the others did not come within {limit}; are all started, and can they be reached?")
    return token


def _await_others(store: Store, world: int, deadline: float) -> str | None:
    """Publish a token and answer all processes that have read it; None if some have not come in time."""
    token, missing = uuid.uuid4().hex, set(range(1, world))
    store.set(_TOKEN, token)
    while missing and time.monotonic() < deadline:
        for rank in [rank for rank in missing if store.check([_question(token, rank)])]:
            store.set(_answer(token, store.get(_question(token, rank)).decode()), "")
            missing.discard(rank)
        time.sleep(POLL_SECONDS)
    return None if missing else token


def _ask_first(store: Store, rank: int, deadline: float) -> str | None:
    """Read the token until the first process, which alone knows the question, has answered; None if it has not in time."""
    while time.monotonic() < deadline:
        if not store.check([_TOKEN]):
            time.sleep(POLL_SECONDS)
            continue
        token, question = str(store.get(_TOKEN), "ascii"), uuid.uuid4().hex
        store.set(_question(token, rank), question)
        again = min(time.monotonic() + ANSWER_SECONDS, deadline)
        while time.monotonic() < again:
            if store.check([_answer(token, question)]):
                return token
            time.sleep(POLL_SECONDS)
    return None


def _question(token: str, rank: int) -> str:
    return f"detkit/{token}/question/{rank}"


def _answer(token: str, question: str) -> str:
    return f"detkit/{token}/answer/{question}"
