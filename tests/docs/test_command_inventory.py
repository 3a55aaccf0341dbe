"""Every command in the documents is run by a test, or it is known what it needs that a test has not."""

from __future__ import annotations

import re

from documented import NEEDS, RUN_BY, Command, every_command, is_training, need, other_tests, runs_here

from detkit import zoo
from detkit.cli.train.command import split_words

COMMANDS = every_command()


def is_classified(command: Command) -> bool:
    """Whether it is known how a command is tested, or why not."""
    return need(command) is not None or bool(other_tests(command)) or is_training(command) or runs_here(command)


def test_every_command_is_classified() -> None:
    unknown = [f"{command.page}: {command.text}" for command in COMMANDS if not is_classified(command)]
    assert not unknown, "add what it needs to NEEDS, or the test that runs it to RUN_BY, in tests/docs/documented.py"


def test_an_unknown_command_is_noticed() -> None:
    assert not is_classified(Command("a.md", 0, "make everything"))
    assert is_classified(Command("a.md", 0, "detkit detect photo.jpg"))
    assert runs_here(Command("a.md", 0, "detkit detect photo.jpg"))
    assert not runs_here(Command("a.md", 0, "detkit models download dfine_s"))


def test_every_rule_is_used() -> None:
    unused = [pattern for pattern in (*NEEDS.values(), *RUN_BY) if not any(re.search(pattern, command.text) for command in COMMANDS)]
    assert not unused


def is_used(flag: str, text: str) -> bool:
    """Whether a test has a flag, or the argument of the same name."""
    return f'"{flag}"' in text or re.search(rf"\b{flag.removeprefix('--').replace('-', '_')}=", text) is not None


def test_the_other_tests_use_the_flags() -> None:
    missing = []
    for command in COMMANDS:
        if need(command) is None and not is_training(command) and (tests := other_tests(command)):
            text = "".join(path.read_text("utf-8") for path in tests)
            flags = [word for word in command.words if word.startswith("--")]
            missing += [f"{command.text}: {flag}" for flag in flags if not is_used(flag, text)]
    assert not missing, "in none of the tests that RUN_BY in tests/docs/documented.py names"


def test_trainings_are_of_configs_that_are_smoke_tested() -> None:
    """``tests/end_to_end/test_smoke.py`` trains every config of the zoo, or one of the same parts, two steps."""
    for command in COMMANDS:
        if is_training(command) and "--resume" not in command.words and need(command) is None:
            target = split_words([word for word in command.words[1:] if not word.startswith("--")][:1])[0]
            is_folder = target is not None and ("/" in target or target.endswith(".json") or target.startswith(("my_", "shards")))
            assert is_folder or target in zoo.names(), command.text
