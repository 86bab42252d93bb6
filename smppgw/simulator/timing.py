"""What waits for its time: constant delays in a queue each, all else in one agenda.

Pure: `now` is handed in, in monotonic seconds.
"""

import heapq
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class DelayLine(Generic[_T]):
    """What waits for one constant delay: first in is first out."""

    def __init__(self, delay_s: float) -> None:
        """Keep things for `delay_s`."""
        self.delay_s = delay_s
        self._items: deque[tuple[float, _T]] = deque()

    @property
    def deadline(self) -> float | None:
        """Monotonic seconds at which the first is due."""
        return self._items[0][0] if self._items else None

    def push(self, item: _T, now: float) -> None:
        """Keep one more."""
        self._items.append((now + self.delay_s, item))

    def take_due(self, now: float) -> list[_T]:
        """Return what is due, in order."""
        due = []
        while self._items and self._items[0][0] <= now:
            due.append(self._items.popleft()[1])
        return due


class Agenda:
    """What is to be done at any time; of two at the same time, the one noted first."""

    def __init__(self) -> None:
        """Begin with nothing to do."""
        self._actions: list[tuple[float, int, Callable[[], None]]] = []
        self._noted = 0

    @property
    def deadline(self) -> float | None:
        """Monotonic seconds at which the first is due."""
        return self._actions[0][0] if self._actions else None

    def note(self, at: float, action: Callable[[], None]) -> None:
        """Keep one more."""
        self._noted += 1
        heapq.heappush(self._actions, (at, self._noted, action))

    def take_due(self, now: float) -> list[Callable[[], None]]:
        """Return what is due, in order."""
        due = []
        while self._actions and self._actions[0][0] <= now:
            due.append(heapq.heappop(self._actions)[2])
        return due
