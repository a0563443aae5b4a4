"""Points that share their values compute them once: the recordings that a worker keeps.

Network, stream and `numerics:` decide values and activation patterns; the first point of such a
group is run in full and recorded, every further one is only timed, with an equal result.
"""

from collections import OrderedDict
from collections.abc import Callable

from spusim.machine import Recording, RecordingError
from spusim.result import RunResult

MOST_KEPT = 8
Full = Callable[[], tuple[RunResult, Recording | None]]
Again = Callable[[Recording], RunResult]


class Recordings:
    """Recordings by group, the latest used ones."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._kept: OrderedDict[str, Recording] = OrderedDict()

    def result(self, group: str, full: Full, again: Again) -> RunResult:
        """Return a point's result: timed from the group's recording, else run in full.

        full: runs, and records what can be recorded; again: times a recording's values on the
        point's machine, or raises RecordingError where they are not its own.
        """
        kept = self._kept.pop(group, None)
        if kept is not None:
            try:
                result = again(kept)
            except RecordingError:
                kept = None
        if kept is None:
            result, kept = full()
        if kept is not None:
            self._kept[group] = kept
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return result
