"""The documentation says what there is: every command, option, key and metric, and none besides."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import click
import pytest
from pydantic import BaseModel

from smppgw import config, metrics
from smppgw.cli import commands

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path
    for pattern in ("README.md", "CHANGELOG.md", "docs/**/*.md", "deploy/**/*.md")
    for path in ROOT.glob(pattern)
)
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]
FENCE = re.compile(r"^( *)(```+|~~~+).*?^\1\2 *$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]\[]*(?:\[[^\]]*\][^\]\[]*)*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^(#+) +(.+?) *$", re.MULTILINE)


def read(path: Path) -> str:
    return path.read_text("utf-8")


def prose(path: Path) -> str:
    """Return a page without its fenced blocks."""
    return FENCE.sub("", read(path))


def sections(name: str) -> dict[str, list[list[str]]]:
    """Return the rows of the tables under each heading, cell by cell, without table headings."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    lines = prose(ROOT / name).splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if match := HEADING.fullmatch(line):
            heading = match[2]
            assert heading not in found, f"{name} has two headings {heading!r}"
            found[heading] = []
        elif line.startswith("| ") and not re.fullmatch(r"\|[-:|]+\|", following):
            found[heading].append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return found


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# --- Commands ---


def leaves(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[str, click.Command]]:
    """Give each command that does something, as a person types it, its arguments in capitals."""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from leaves(below, (*words, name))
    else:
        arguments = [p.human_readable_name for p in command.params if isinstance(p, click.Argument)]
        yield " ".join((*words, *map(str.upper, arguments))), command


COMMANDS = dict(leaves(commands, ("smppgw",)))


def options(command: click.Command) -> set[str]:
    return {
        name
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.hidden
        for name in (*parameter.opts, *parameter.secondary_opts)
    }


def documented_options(rows: list[list[str]]) -> set[str]:
    return {name for row in rows for name in quoted(row[0]) if name.startswith("-")}


def test_every_command_is_documented_and_every_documented_command_exists() -> None:
    headings = sections("docs/commands.md")
    documented = {name.strip("`") for name in headings if name.startswith("`smppgw ")}
    assert documented == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_documented_and_every_documented_option_exists(name: str) -> None:
    rows = sections("docs/commands.md").get(f"`{name}`", [])
    assert documented_options(rows) == options(COMMANDS[name])


def test_the_options_of_every_command_are_documented() -> None:
    rows = sections("docs/commands.md")["What holds for all"]
    assert documented_options(rows) == options(commands) | {"--help"}


def test_the_documented_default_of_an_option_is_its_default() -> None:
    for name, command in COMMANDS.items():
        rows = sections("docs/commands.md").get(f"`{name}`", [])
        documented = {quoted(row[0])[0]: quoted(row[1]) for row in rows if quoted(row[0])}
        for parameter in command.params:
            if not isinstance(parameter, click.Option) or parameter.is_flag:
                continue
            if isinstance(parameter.default, str | int):
                assert documented[parameter.opts[0]] == [str(parameter.default)], (name, parameter)


def examples() -> Iterator[tuple[str, str]]:
    """Give each command line of smppgw that stands in a fenced block, with its page."""
    for page, name in zip(PAGES, NAMES, strict=True):
        for block in FENCE.finditer(read(page)):
            joined = re.sub(r"\\\n\s*", "", block[0])
            for line in joined.splitlines():
                match = re.match(r"\s*(?:[$#] )?(smppgw .*)", line)
                if match:
                    yield name, match[1]


def parse(line: str) -> None:
    """Parse a command line as the program does, and run nothing of it.

    Raises:
        click.ClickException: the program would refuse it.
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if word[0] in "|&;<>":
            break
        words.append(word)
    if words[-1] == "2" and ">" in line:
        words.pop()
    command: click.Command = commands
    context = click.Context(commands, info_name="smppgw")
    rest = words[1:]
    while isinstance(command, click.Group):
        if rest[:1] == ["--config"] and command is commands:
            rest = rest[2:]
        if rest == ["--help"]:
            return
        assert rest, f"{line}: which command?"
        below = command.get_command(context, rest[0])
        if below is None:
            raise click.UsageError(f"there is no command {rest[0]}")
        command, rest = below, rest[1:]
    if "--help" not in rest:
        command.make_context(line, rest, parent=context)


EXAMPLES = list(dict.fromkeys(examples()))


@pytest.mark.parametrize(("page", "line"), EXAMPLES)
def test_every_example_is_a_command_line_that_the_program_takes(page: str, line: str) -> None:
    try:
        parse(line)
    except click.ClickException as error:
        pytest.fail(f"{page}: {line}: {error.format_message()}")


def test_there_are_examples_in_the_readme() -> None:
    assert sum(page == "README.md" for page, _ in EXAMPLES) > 5


@pytest.mark.parametrize(
    "line", ["smppgw nothing", "smppgw submit --nothing", "smppgw jobs show x"]
)
def test_an_example_with_a_mistake_would_be_found(line: str) -> None:
    with pytest.raises(click.ClickException):
        parse(line)


def test_every_target_of_make_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", read(ROOT / "Makefile"), re.MULTILINE))
    for page, name in zip(PAGES, NAMES, strict=True):
        text = read(page)
        code = [*quoted(FENCE.sub("", text)), *(block[0] for block in FENCE.finditer(text))]
        pattern = re.compile(r"^(?:\$ )?make ([a-z-]+)", re.MULTILINE)
        named = {target for part in code for target in pattern.findall(part)}
        assert named <= targets, name


# --- Configuration ---

MODELS: dict[str, type[BaseModel]] = {
    "[gateway]": config.GatewaySection,
    "[metrics]": config.MetricsSection,
    "[[smsc]]": config.Smsc,
    "tls": config.Tls,
    "[[tenant]]": config.Tenant,
    "approvals": config.Approval,
    "[class.NAME]": config.ClassRules,
    "[profile.NAME]": config.Profile,
    "[optouts]": config.OptOuts,
    "[ready]": config.Ready,
    "[retention]": config.Retention,
}
REQUIRED: dict[str, dict[str, object]] = {
    "[[smsc]]": {"name": "a", "host": "a", "system_id": "a"},
    "[[tenant]]": {"name": "a", "sender": "A"},
    "approvals": {"state": "approved"},
}


def keys(model: type[BaseModel]) -> dict[str, str]:
    """Return the attribute behind each key of the file."""
    return {field.alias or name: name for name, field in model.model_fields.items()}


def validated(section: str, key: str, cell: str) -> object:
    """Return what the model makes of a cell that shows a value as the file does."""
    value = tomllib.loads(f"value = {quoted(cell)[0]}")["value"]
    model = MODELS[section].model_validate({**REQUIRED.get(section, {}), key: value})
    return getattr(model, keys(MODELS[section])[key])


def rows_of_keys() -> list[tuple[str, str, list[str]]]:
    found = sections("docs/configuration.md")
    return [(section, quoted(row[0])[0], row) for section in MODELS for row in found[section]]


def test_every_section_of_the_configuration_is_documented() -> None:
    files = {field.alias or name for name, field in config.Config.model_fields.items()}
    assert {re.split(r"[.\W]+", name.strip("[]"))[0] for name in MODELS if "[" in name} == files


@pytest.mark.parametrize("section", MODELS)
def test_every_key_is_documented_and_every_documented_key_exists(section: str) -> None:
    documented = [key for name, key, _ in rows_of_keys() if name == section]
    assert sorted(documented) == sorted(keys(MODELS[section]))


def test_the_documented_default_of_a_key_is_its_default() -> None:
    for section, key, row in rows_of_keys():
        field = MODELS[section].model_fields[keys(MODELS[section])[key]]
        if row[1] == "required":
            assert field.is_required(), (section, key)
            continue
        assert not field.is_required(), (section, key)
        default = field.get_default(call_default_factory=True)
        if row[1] == "–":
            assert not default or not default.get_secret_value(), (section, key)
        else:
            assert validated(section, key, row[1]) == default, (section, key)


def test_every_example_of_a_key_is_allowed() -> None:
    for section, key, row in rows_of_keys():
        validated(section, key, row[3])  # raises where it is not


def test_where_classes_have_other_defaults_the_page_says_so() -> None:
    plain = config.ClassRules()
    for name, rules in (
        ("alert", config.AlertRules()),
        ("promotional", config.PromotionalRules()),
    ):
        for section, key, row in rows_of_keys():
            if section == "[class.NAME]":
                attribute = keys(config.ClassRules)[key]
                differs = getattr(rules, attribute) != getattr(plain, attribute)
                assert (f"{name}:" in row[4]) == differs, (name, key)


# --- Metrics ---


def documented_metrics() -> dict[str, list[str]]:
    return {
        quoted(row[0])[0]: row
        for rows in sections("docs/metrics.md").values()
        for row in rows
        if len(row) == 6
    }


def test_every_metric_is_documented_with_its_kind_and_labels_and_the_reverse() -> None:
    there = {
        f"smppgw_{name}": (kind.__name__.lower(), labels)
        for name, (kind, _, labels) in metrics.TABLE.items()
    } | {
        f"smppgw_{name}": ("histogram", () if label is None else (label,))
        for name, (_, _, label) in metrics.HISTOGRAMS.items()
    }
    documented = {
        name: (row[1], tuple(quoted(row[2]))) for name, row in documented_metrics().items()
    }
    assert documented == there


def test_every_metric_has_a_unit_and_a_meaning() -> None:
    for name, row in documented_metrics().items():
        assert row[3], name
        assert row[4], name


def test_every_metric_that_is_named_anywhere_exists() -> None:
    known = {*metrics.TABLE, *metrics.HISTOGRAMS}
    for page, name in zip(PAGES, NAMES, strict=True):
        # What follows a letter, a dash or a slash is a file's name.
        for word in re.findall(r"(?<![\w/-])smppgw_([a-z_]+)\b(?!\.)", read(page)):
            assert re.sub(r"_(bucket|sum|count)$", "", word) in known or word in known, (name, word)


# --- Links ---


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, made as the forges make them."""
    found: set[str] = set()
    for _, heading in HEADING.findall(prose(path)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        anchor, count = slug, 0
        while anchor in found:
            count += 1
            anchor = f"{slug}-{count}"
        found.add(anchor)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name: str) -> None:
    path = ROOT / name
    for target in LINK.findall(re.sub(r"`[^`\n]*`", "", prose(path))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = unquote(target).partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), f"{name}: {target}"
        assert ROOT in (there, *there.parents), f"{name}: {target} is outside"
        if anchor:
            assert anchor in anchors(there), f"{name}: {target}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        path = ahead.pop()
        if path in reached:
            continue
        reached.add(path)
        for target in LINK.findall(prose(path)):
            file = unquote(target).partition("#")[0]
            there = (path.parent / file).resolve()
            if there.suffix == ".md" and there.exists():
                ahead.append(there)
    assert set(PAGES) - reached == set()
