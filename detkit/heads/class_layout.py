"""Layout by class of the parameters that grow with the number of classes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClassLayout:
    """Class layout of the first dimension of a parameter: ``groups`` x (``before`` + K * ``per_class`` + ``after``).

    A softmax layer with background last has ``after=1``; a dense head with 9 anchors has ``groups=9``; a layer with a box for every class
    has ``per_class=4``.
    """

    groups: int = 1
    per_class: int = 1
    before: int = 0
    after: int = 0

    def rows(self, num_classes: int) -> int:
        """Return the length of the dimension for ``num_classes`` classes."""
        return self.groups * (self.before + num_classes * self.per_class + self.after)
