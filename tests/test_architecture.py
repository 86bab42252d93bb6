"""The import law: arrows go to a smaller layer only, and some packages stand in one place alone."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import smppgw

ROOT = Path(smppgw.__file__).parent

# Longest name first decides; a package's layer is that of all its modules.
LAYERS = {
    "smppgw": 0,  # the version
    "smppgw.errors": 0,
    "smppgw.smpp": 1,
    "smppgw.sms": 1,
    "smppgw.pace": 1,
    "smppgw.health": 1,
    "smppgw.shares": 1,
    "smppgw.alarm": 3,
    "smppgw.config": 2,
    "smppgw.notify": 2,
    "smppgw.ledger": 2,
    "smppgw.campaign": 3,
    "smppgw.metrics": 3,
    "smppgw.account": 3,
    "smppgw.render": 3,
    "smppgw.opening": 4,
    "smppgw.caretaker": 4,
    "smppgw.link": 4,
    "smppgw.gateway": 5,
    "smppgw.simulator": 5,
    "smppgw.demo": 5,
    "smppgw.bench": 6,
    "smppgw.cli": 7,
    "smppgw.__main__": 8,
}

# Who may use what, however it is imported.
ONLY_IN = {
    "sqlite3": ("smppgw.ledger",),
    "aiosqlite": ("smppgw.ledger",),
    "tomllib": ("smppgw.config",),
    "phonenumbers": ("smppgw.sms",),
    "python_calamine": ("smppgw.campaign",),
}
# What the pure layers do without.
IMPURE = frozenset(
    (
        "asyncio",
        "socket",
        "sqlite3",
        "aiosqlite",
        "logging",
        "structlog",
        "random",
        "time",
        "os",
        "subprocess",
        "threading",
        "selectors",
        "ssl",
    )
)


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield name, ast.parse(path.read_text("utf-8"))


MODULES = dict(modules())


def layer_of(name: str) -> int:
    while name not in LAYERS:
        name, _, _ = name.rpartition(".")
    return LAYERS[name]


def imported(tree: ast.Module) -> Iterator[tuple[ast.stmt, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            assert node.module is not None
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield node, whole if whole in MODULES else node.module


def package_of(name: str) -> str:
    return ".".join(name.split(".")[:2])


@pytest.mark.parametrize("name", MODULES)
def test_arrows_go_to_a_smaller_layer_only(name: str) -> None:
    for node, target in imported(MODULES[name]):
        if target.split(".")[0] != "smppgw" or package_of(target) == package_of(name):
            continue
        assert layer_of(target) < layer_of(name) or target == "smppgw", (
            f"{name}, line {node.lineno}: layer {layer_of(name)} imports {target}, "
            f"layer {layer_of(target)}"
        )


@pytest.mark.parametrize("name", MODULES)
def test_every_import_stands_at_the_top_of_its_module(name: str) -> None:
    top = MODULES[name].body
    for node, target in imported(MODULES[name]):
        assert node in top, f"{name}, line {node.lineno}: {target} is imported inside"


@pytest.mark.parametrize("name", [name for name in MODULES if layer_of(name) <= 1])
def test_pure_packages_know_no_clock_socket_database_log_or_chance(name: str) -> None:
    for node, target in imported(MODULES[name]):
        assert target.split(".")[0] not in IMPURE, f"{name}, line {node.lineno}: {target}"


@pytest.mark.parametrize("package", ONLY_IN)
def test_a_package_of_one_room_stays_there(package: str) -> None:
    users = {
        name
        for name, tree in MODULES.items()
        for _, target in imported(tree)
        if target.split(".")[0] == package
    }
    assert users, f"nothing uses {package} any more"
    strangers = {
        name
        for name in users
        if not any(name == room or name.startswith(f"{room}.") for room in ONLY_IN[package])
    }
    assert not strangers


def test_modules_are_imported_by_name_in_one_place_alone() -> None:
    importers = {
        name
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id in ("import_module", "__import__"))
        or (isinstance(node, ast.Attribute) and node.attr == "import_module")
    }
    assert importers == {"smppgw.cli.lazy"}


def test_sql_is_spoken_in_the_ledger_alone() -> None:
    verbs = ("SELECT ", "INSERT ", "UPDATE ", "DELETE ", "PRAGMA ")
    speakers = {
        name
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith(verbs)
    }
    assert {package_of(name) for name in speakers} == {"smppgw.ledger"}


def test_only_the_link_and_the_simulator_have_a_transport() -> None:
    owners = {
        name
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("create_connection", "create_server")
    }
    assert owners == {"smppgw.link", "smppgw.simulator.server"}


def test_nothing_imports_the_command_line() -> None:
    users = {
        name
        for name, tree in MODULES.items()
        for _, target in imported(tree)
        if package_of(target) == "smppgw.cli" and package_of(name) != "smppgw.cli"
    }
    assert not users - {"smppgw.__main__"}
