"""The commands of a group, each imported when somebody asks for it.

To import all of them takes 0.45 s, one of them 0.25: whoever submits a job for each appointment
waits for nothing else. This is the one place that imports by name.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module

import click


class LazyCommands(MutableMapping[str, click.Command]):
    """Commands by name: those that were added, and those that stand in modules of this package."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        """Import nothing yet.

        Args:
            modules: by command, the module that holds it under the same name.
        """
        self._added: dict[str, click.Command] = {}
        self._modules = dict(modules)

    def __getitem__(self, name: str) -> click.Command:
        if name in self._added:
            return self._added[name]
        command: click.Command = getattr(import_module(f"smppgw.cli.{self._modules[name]}"), name)
        return command

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._added[name] = command

    def __delitem__(self, name: str) -> None:
        del self._added[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._added
        yield from self._modules

    def __len__(self) -> int:
        return len(self._added) + len(self._modules)
