from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import torch.distributed as dist

from detkit.training.process import round_store
from detkit.training.process.round_store import meet


def start(store: dist.Store, ranks: list[int], world: int) -> list[str]:
    """Return the tokens of processes, stood for by threads, that come in this order."""
    with ThreadPoolExecutor(world) as pool:
        futures = []
        for rank in ranks:
            futures.append(pool.submit(meet, store, rank, world, timedelta(seconds=60)))
            time.sleep(0.1)
        return [future.result() for future in futures]


@pytest.mark.parametrize("ranks", [[0, 1, 2], [2, 1, 0]])
def test_all_processes_of_a_start_have_its_token(ranks: list[int]) -> None:
    store = dist.HashStore()
    tokens = start(store, ranks, 3)
    assert len(set(tokens)) == 1


def test_no_process_takes_the_token_of_an_earlier_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(round_store, "ANSWER_SECONDS", 0.2)
    store = dist.HashStore()
    first = start(store, [0, 1], 2)[0]
    second = start(store, [1, 0], 2)  # process 1 finds the old token, with its old question answered, before the first one comes
    assert len(set(second)) == 1
    assert second[0] != first
    assert start(store, [0], 1) != first


def test_a_process_that_does_not_come_is_an_error() -> None:
    store, errors = dist.HashStore(), []

    def wait(rank: int) -> None:
        try:
            meet(store, rank, 3, timedelta(seconds=0.3))
        except TimeoutError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=wait, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert any("process 0 of 3: the others did not come within 0:00:00.3" in error for error in errors)
