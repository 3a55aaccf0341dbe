from __future__ import annotations

import torch

from detkit.ops.match import BACKGROUND, IGNORE
from detkit.ops.sample import generator_for, sample


def assignment(positive: int, negative: int, between: int = 3) -> torch.Tensor:
    rows = torch.tensor([2] * positive + [BACKGROUND] * negative + [IGNORE] * between)
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]


def test_as_many_as_asked_for_and_no_more_positives_than_the_fraction() -> None:
    found = assignment(300, 1000)
    positive, negative = sample(found, 256, 0.5, generator_for(1))
    assert (len(positive), len(negative)) == (128, 128)
    assert (found[positive] >= 0).all()
    assert (found[negative] == BACKGROUND).all()
    assert len(set(positive.tolist())) == 128


def test_background_fills_up_and_positives_do_not() -> None:
    assert [len(rows) for rows in sample(assignment(3, 1000), 256, 0.5, generator_for(1))] == [3, 253]
    assert [len(rows) for rows in sample(assignment(300, 5), 256, 0.5, generator_for(1))] == [128, 5]
    assert [len(rows) for rows in sample(assignment(0, 0), 256, 0.5, generator_for(1))] == [0, 0]


def test_the_seed_decides_and_nothing_else() -> None:
    found = assignment(300, 1000)
    torch.manual_seed(5)
    first = sample(found, 64, 0.25, generator_for(9, 1))
    torch.manual_seed(6)
    again = sample(found, 64, 0.25, generator_for(9, 1))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    others = [sample(found, 64, 0.25, generator_for(seed, salt))[1] for seed, salt in ((9, 0), (10, 1), (2**62 - 1, 1))]
    assert not any(torch.equal(first[1], other) for other in others)


def test_every_row_has_the_same_chance() -> None:
    found = torch.full((20,), BACKGROUND)
    counts = torch.zeros(20)
    for seed in range(2000):
        counts[sample(found, 5, 0.5, generator_for(seed))[1]] += 1
    assert (counts - 500).abs().max() < 100
