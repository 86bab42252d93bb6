"""`config init` and `config show`: a configuration to begin with, and the one that is in effect."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import date, time
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel, SecretStr

from smppgw.cli.output import json_option, out, show_json, told
from smppgw.config import load
from smppgw.errors import OperationError

MASK = "********"


@click.group()
def config() -> None:
    """Write a configuration to begin with; show the one that is in effect."""


@config.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.pass_obj
def init(config_path: Path | None, file: Path | None) -> None:
    """Write the commented example to FILE, which must not exist.

    FILE is what --config names, or config.toml, if it is not given. It is readable by its owner
    alone, since it is going to hold a password.
    """
    file = file or config_path or Path("config.toml")
    example = files("smppgw").joinpath("example.toml").read_bytes()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as made:
            made.write(example)
    except FileExistsError as error:
        raise OperationError(
            f"{file} exists, and nothing is ever replaced. Name another file, or remove it first."
        ) from error
    except OSError as error:
        raise OperationError(
            f"{file}: {error.strerror}. Check the path, its owner and its mode."
        ) from error
    out.print(f"{told(file)} is written. As it stands it works with `smppgw simulate`.")
    out.print("For an operator of your own write what its contract says, then `smppgw check`.")


@config.command()
@json_option
@click.pass_obj
def show(config_path: Path | None, as_json: bool) -> None:
    """Print the configuration in effect: each key with its value, given or by default.

    Passwords are masked. What is printed is a configuration that can be read again.
    """
    effective = load(config_path, secrets=False)
    tables = _tables(effective)
    if as_json:
        show_json(json.loads(json.dumps(tables, default=str)))  # days and prices are text
        return
    click.echo(f"# In effect from {_toml(str(effective.source))}; passwords are masked.")
    for line in _lines(tables):
        click.echo(line)


# From the models back to the tables of the file


def _tables(model: BaseModel) -> dict[str, Any]:
    """Return what a model holds under the file's own keys, without what nothing is said about."""
    fields = type(model).model_fields.items()
    values = {field.alias or name: (name, getattr(model, name)) for name, field in fields}
    if any(values.get(key, (key, None))[1] for key in ("password_file", "password_env")):
        del values["password"]  # it was read from there, and only one of them may be given
    return {
        key: _duration(value) if name.endswith("_s") else _plain(value)
        for key, (name, value) in values.items()
        if value is not None
    }


def _plain(value: Any) -> Any:
    match value:
        case BaseModel():
            return _tables(value)
        case SecretStr():
            return MASK
        case Path():
            return str(value)
        case time():
            return value.strftime("%H:%M")
        case (date() as begins, dict() as prices):  # an entry of dated prices
            return ({} if begins == date.min else {"from": begins}) | prices
        case tuple():
            return [_plain(one) for one in value]
        case dict():
            return {key: _plain(one) for key, one in value.items()}
        case _:
            return value


_UNITS_S = {"y": 31_536_000, "d": 86_400, "h": 3600, "m": 60, "s": 1}


def _duration(seconds: Any) -> Any:
    """Write seconds, or several, as durations, each in the largest unit that leaves no fraction."""
    if isinstance(seconds, tuple):
        return [_duration(one) for one in seconds]
    for unit, length_s in _UNITS_S.items():
        if seconds % length_s == 0:
            return f"{seconds / length_s:.0f}{unit}"
    return f"{seconds * 1000:.6f}".rstrip("0").rstrip(".") + "ms"


# tomllib only reads, and a library that writes knows neither which tables stand in a line nor how
# to keep the digits of a price: what is left are these lines.


def _lines(tables: Mapping[str, Any]) -> Iterator[str]:
    for key, table in tables.items():
        if isinstance(table, list):
            for one in table:
                yield from ("", f"[[{key}]]", *_pairs(one))
        elif table and all(isinstance(one, dict) for one in table.values()):
            for name, one in table.items():
                yield from ("", f"[{key}.{_key(name)}]", *_pairs(one))
        elif table:
            yield from ("", f"[{key}]", *_pairs(table))


def _pairs(table: Mapping[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        yield f"{_key(key)} = {_toml(value)}"


def _toml(value: Any) -> str:
    """Write a value in one line."""
    match value:
        case bool():
            return str(value).lower()
        case str():  # as JSON does, which lets one octet pass that TOML does not
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case dict():
            pairs = ", ".join(_pairs(value))
            return f"{{ {pairs} }}" if pairs else "{}"
        case _:  # numbers and days stand as they are
            return str(value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)
