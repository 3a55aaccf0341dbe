"""``detkit data filter``."""

from __future__ import annotations

import argparse

Actions = argparse._SubParsersAction


def add(actions: Actions[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
