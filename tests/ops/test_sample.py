from __future__ import annotations

import torch

from detkit.ops.match import BACKGROUND, IGNORE
from detkit.ops.sample import generator_for, sample


def random_assignment(positive: int, negative: int, ignored: int = 3) -> torch.Tensor:
    rows = torch.tensor([2] * positive + [BACKGROUND] * negative + [IGNORE] * ignored)
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]


def test_counts_and_the_positive_fraction() -> None:
    assignment = random_assignment(300, 1000)
    positive, negative = sample(assignment, 256, 0.5, generator_for(1))
    assert (len(positive), len(negative)) == (128, 128)
    assert (assignment[positive] >= 0).all()
    assert (assignment[negative] == BACKGROUND).all()
    assert len(set(positive.tolist())) == 128


def test_background_fills_the_sample_but_positives_do_not() -> None:
    assert [len(rows) for rows in sample(random_assignment(3, 1000), 256, 0.5, generator_for(1))] == [3, 253]
    assert [len(rows) for rows in sample(random_assignment(300, 5), 256, 0.5, generator_for(1))] == [128, 5]
    assert [len(rows) for rows in sample(random_assignment(0, 0), 256, 0.5, generator_for(1))] == [0, 0]


def test_only_seed_and_salt_determine_the_sample() -> None:
    assignment = random_assignment(300, 1000)
    torch.manual_seed(5)
    first = sample(assignment, 64, 0.25, generator_for(9, 1))
    torch.manual_seed(6)
    second = sample(assignment, 64, 0.25, generator_for(9, 1))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    others = [sample(assignment, 64, 0.25, generator_for(seed, salt))[1] for seed, salt in ((9, 0), (10, 1), (2**62 - 1, 1))]
    assert not any(torch.equal(first[1], other) for other in others)


def test_all_rows_are_equally_likely() -> None:
    assignment = torch.full((20,), BACKGROUND)
    counts = torch.zeros(20)
    for seed in range(2000):
        counts[sample(assignment, 5, 0.5, generator_for(seed))[1]] += 1
    assert (counts - 500).abs().max() < 100
