"""The order within a cycle, on top of simpy: deliveries, then cores, then the router.

What a unit sends reaches another in a later cycle, so everything that concerns a core in cycle t
has been delivered before the core looks, whatever the order in which processes were created.
"""

from collections.abc import Callable

import simpy

DELIVERY = 1  # messages and tokens arrive
CORES = 2  # end of cycle: each core issues, applies tokens, dispatches
ROUTER = 3  # after all cores have asked, the router's arbiter grants
HOST = 4


def at(
    env: simpy.Environment, time: int, priority: int, action: Callable[[], None]
) -> simpy.Event:
    """Call action in cycle `time`, among those of its priority in order of scheduling."""
    event = simpy.Event(env)
    event._ok, event._value = True, None
    assert event.callbacks is not None
    event.callbacks.append(lambda _: action())
    env.schedule(event, priority=priority, delay=time - int(env.now))  # type: ignore[arg-type]
    return event


class Alarm:
    """Wakes one unit at the end of the earliest cycle asked for; later wishes are forgotten."""

    def __init__(self, env: simpy.Environment, priority: int, action: Callable[[], None]):
        self._env, self._priority, self._action = env, priority, action
        self._when: int | None = None
        self._event: simpy.Event | None = None

    def set(self, time: int | None) -> None:
        """Ring at `time`, and not before (None: not at all)."""
        if self._when == time:
            return
        if self._event is not None:
            self._event.callbacks = []
        self._when = time
        self._event = None if time is None else at(self._env, time, self._priority, self._ring)

    def sooner(self, time: int) -> None:
        """Ring at `time` unless it rings earlier anyway."""
        if self._when is None or time < self._when:
            self.set(time)

    def _ring(self) -> None:
        self._when, self._event = None, None
        self._action()
