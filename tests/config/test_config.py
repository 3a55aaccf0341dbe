from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from detkit.config import Config, ConfigError, apply_overrides, load_config, one_of_kinds
from detkit.config.explain import describe_type
from detkit.registry import Registry


class Sgd(Config):
    kind: Literal["sgd"] = "sgd"
    lr: float = 0.1


class Adam(Config):
    kind: Literal["adam"] = "adam"
    lr: float = Field(0.2, gt=0)
    betas: tuple[float, float] = (0.9, 0.99)


class Base(Config):
    kind: str = ""


class Net(Base):
    kind: Literal["net"] = "net"
    sizes: tuple[int, ...] = (1, 2)
    name: str | None = None


class Source(Config):
    shorthand = "path"
    path: str = "here"
    split: str = "train"


sys.modules["detkit_test_config"] = sys.modules[__name__]
NETS = Registry("model", "detkit.test", {"net": "detkit_test_config:Net"})


class Whole(Config):
    optimizer: Annotated[Sgd | Adam, Field(discriminator="kind")] = Sgd()
    model: one_of_kinds(Base, NETS) = Net()  # type: ignore[valid-type]
    source: Source | None = None
    stages: tuple[Sgd, ...] = (Sgd(), Sgd(lr=0.2))
    flag: bool = False
    limit: float = float("inf")
    text: str = "3"


@pytest.mark.parametrize(
    "whole", [Whole(), Whole(optimizer=Adam(betas=(0.1, 0.2)), model=Net(sizes=()), source=Source(), limit=-float("inf"))]
)
def test_json_round_trip_is_exact(whole: Whole) -> None:
    again = Whole.from_json(whole.to_json())
    assert again == whole
    assert type(again.optimizer) is type(whole.optimizer)
    assert again.to_json() == whole.to_json()


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("optimizer.lr=3", lambda c: c.optimizer.lr == 3.0),
        ("optimizer.lr=1e-3", lambda c: c.optimizer.lr == 1e-3),
        ("optimizer=adam", lambda c: c.optimizer == Adam()),
        ("optimizer.kind=adam", lambda c: c.optimizer == Adam()),
        ("model=net", lambda c: c.model == Net()),
        ("model.sizes=4,5", lambda c: c.model.sizes == (4, 5)),
        ("model.sizes=(4, 5)", lambda c: c.model.sizes == (4, 5)),
        ("model.sizes=7", lambda c: c.model.sizes == (7,)),
        ("model.name=none", lambda c: c.model.name is None),
        ("model.name=abc", lambda c: c.model.name == "abc"),
        ("source=folder", lambda c: c.source == Source(path="folder")),
        ("source.split=val", lambda c: c.source == Source(split="val")),
        ("stages.1.lr=9", lambda c: c.stages == (Sgd(), Sgd(lr=9.0))),
        ("flag=true", lambda c: c.flag is True),
        ("limit=inf", lambda c: c.limit == float("inf")),
        ("text=3", lambda c: c.text == "3"),
        ("text=a=b", lambda c: c.text == "a=b"),
    ],
)
def test_overrides(override: str, expected: Any) -> None:
    assert expected(apply_overrides(Whole(), [override]))


def test_overrides_apply_from_left_to_right() -> None:
    whole = apply_overrides(Whole(), ["optimizer=adam", "optimizer.betas=.8,.9", "optimizer.lr=1", "optimizer.lr=2"])
    assert whole.optimizer == Adam(lr=2.0, betas=(0.8, 0.9))


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["optimizer.betas=.8,.9", "optimizer=adam"], Whole(optimizer=Adam(betas=(0.8, 0.9)))),
        (["optimizer.betas=.8,.9", "flag=true", "optimizer.kind=adam"], Whole(optimizer=Adam(betas=(0.8, 0.9)), flag=True)),
        (["source.split=val", "source=there"], Whole(source=Source(path="there", split="val"))),
        (["source.split=val", "source=there", "source=other", "source.split=test"], Whole(source=Source(path="other", split="test"))),
        (["optimizer.kind=adam", "optimizer=sgd"], Whole()),
    ],
)
def test_a_group_is_replaced_before_its_keys_are_set(overrides: list[str], expected: Whole) -> None:
    assert apply_overrides(Whole(), overrides) == expected


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.lrr=1", "unknown key 'optimizer.lrr': did you mean 'lr'?"),
        ("optimizr.lr=1", "unknown key 'optimizr': did you mean 'optimizer'?"),
        ("optimizer.lr=abc", "optimizer.lr: expected a number, got 'abc'"),
        ("optimizer=zz", "unknown kind 'zz': expected one of: adam, sgd"),
        ("model=nett", "unknown model 'nett': did you mean 'net'?"),
        ("flag=7", "flag: expected true or false, got '7'"),
        ("optimizer=adam optimizer.betas=.8,x", "optimizer.betas: expected 2 values separated by commas, each a number, got '.8,x'"),
        ("optimizer", "expected key=value"),
        ("source.path.x=1", "'path' is a single value"),
        ("stages.3.lr=2", "expected an index from 0 to 1, got '3'"),
        ("stages.0=2", "give the whole tuple, or a key of its member 0"),
        ("stages.²=2", "expected an index from 0 to 1, got '²'"),
        ("optimizer.lr=" + "(" * 3000, "optimizer.lr: expected a number, got"),
    ],
)
def test_invalid_overrides_have_actionable_errors(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        apply_overrides(Whole(), override.split())
    assert message in str(error.value)


def test_out_of_range_error_names_the_full_key() -> None:
    with pytest.raises(ConfigError, match=r"optimizer\.lr: expected greater than 0, got -1\.0"):
        apply_overrides(Whole(optimizer=Adam()), ["optimizer.lr=-1"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Whole(flagg=True), "unknown key 'flagg': did you mean 'flag'?"),
        (lambda: Whole(flag=1), "flag: expected true or false, got 1 (int)"),
        (lambda: Whole(stages=[Sgd()]), "stages: expected a tuple"),
        (lambda: Adam(lr="x"), "lr: expected a number, got 'x' (str)"),
        (lambda: Net(sizez=(1,)), "did you mean 'sizes'?"),
        (lambda: Whole.from_json('{"optimizer": {"kind": "adam", "lrr": 1}}'), "unknown key 'optimizer.lrr'"),
        (lambda: Whole.from_json('{"model": {"kind": "net", "sises": [1]}}'), "model: unknown key 'sises'"),
        (lambda: Whole.from_json('{"model": {"kind": "zz"}}'), "model: unknown model kind 'zz'"),
        (lambda: Whole.from_json("{"), "not JSON"),
    ],
)
def test_errors_from_python_and_json(make: Any, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        make()
    assert message in str(error.value)


def test_configs_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Whole().flag = True


def test_load_config(tmp_path: Path) -> None:
    path = tmp_path / "good.py"
    path.write_text("from detkit_test_config import Whole\nconfig = Whole(flag=True)\n")
    assert load_config(path, Whole) == Whole(flag=True)
    saved = tmp_path / "good.json"
    saved.write_text(Whole(flag=True).to_json(), "utf-8-sig")
    assert load_config(saved, Whole) == Whole(flag=True)


def test_invalid_files_have_actionable_errors(tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("x = 1\n")
    (tmp_path / "other.py").write_text("config = 3\n")
    (tmp_path / "typo.py").write_text("from detkit_test_config import Whole\nconfig = Whole(flagg=True)\n")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ConfigError, match=r"empty.py: expected the file to bind config = Whole\(...\), got nothing"):
        load_config(tmp_path / "empty.py", Whole)
    with pytest.raises(ConfigError, match="got int"):
        load_config(tmp_path / "other.py", Whole)
    with pytest.raises(ConfigError, match=r"typo.py: unknown key 'flagg'"):
        load_config(tmp_path / "typo.py", Whole)
    with pytest.raises(ConfigError, match=r"expected a .py or .json file, got '.txt'"):
        load_config(tmp_path / "notes.txt", Whole)
    with pytest.raises(FileNotFoundError, match="nothing.py: no such file; the folder contains: empty.py, other.py, typo.py"):
        load_config(tmp_path / "nothing.py", Whole)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\nconfig = undefined\n", r"wrong\.py, line 2: NameError: name 'undefined' is not defined"),
        ("def f():\n    return 1 / 0\n\n\nconfig = f()\n", r"wrong\.py, line 2: ZeroDivisionError: division by zero"),
        ("config = (\n", r"wrong\.py, line 1: SyntaxError: '\(' was never closed"),
    ],
)
def test_errors_raised_by_a_config_file(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "wrong.py").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(tmp_path / "wrong.py", Whole)
    (tmp_path / "wrong.py").write_text("import no_such_library\n")
    with pytest.raises(ImportError, match="no_such_library"):
        load_config(tmp_path / "wrong.py", Whole)


@pytest.mark.parametrize(
    ("annotation", "description"),
    [
        (float | None, "a number or none"),
        (Literal["auto"] | int, "auto or a whole number"),
        (Literal["rgb", "bgr"], "rgb or bgr"),
        (tuple[str, ...], "values separated by commas, each text"),
        (tuple[tuple[float, ...], ...], "tuples such as ((1, 2), (3, 4))"),
        (Annotated[bool, "on"], "true or false"),
    ],
)
def test_describe_type(annotation: Any, description: str) -> None:
    assert describe_type(annotation) == description


@pytest.mark.parametrize("value", ["NaN", "[1.0, NaN]"])
def test_nan_is_no_setting(value: str) -> None:
    class Numbers(Config):
        plain: float = 1.0
        several: tuple[float, ...] = (float("inf"),)

    key = "several" if value.startswith("[") else "plain"
    with pytest.raises(ConfigError, match=f"{key}: expected a number, got nan"):
        Numbers.from_json(f'{{"{key}": {value}}}')
    assert Numbers.from_json(Numbers().to_json()) == Numbers()
