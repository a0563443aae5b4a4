"""Computing jobs on a pool: in chunks, to the end, whatever dies on the way."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial

from spusim.experiments.sweep.identity import versions
from spusim.experiments.sweep.jobs import Job
from spusim.experiments.sweep.pointfile import FAILED, point_bytes
from spusim.experiments.sweep.pools import Pool, PoolError, Seat, check_versions
from spusim.experiments.sweep.worker import Outcome, run_jobs

CHUNK_S = 0.25  # what a chunk should take: long against its overhead, short against patience
CHUNK_OF_SLOT_S = 0.1  # less where few workers share us: 10 chunks a second are cheap
MOST_JOBS = 64  # of a chunk
AHEAD = 2  # chunks in flight for each slot, so that no worker waits for us
DEATHS = 2  # of workers, by which a job is given up
LOOK_S = 0.5  # between looks at the pool

Chunk = tuple[Job, ...]
Group = deque[Job]


@dataclass
class _Place:
    """A seat, the chunks in flight there in order, and the group that it is working on."""

    seat: Seat
    flying: dict[Future[list[Outcome]], Chunk] = field(default_factory=dict)
    group: Group = field(default_factory=deque)


class Execution:
    """Jobs on their way through a pool; each is delivered once.

    deliver: takes an outcome; idle: is called when workers have their jobs and there is nothing to
    do but to wait, at least every LOOK_S. Jobs of one group (the same network and stream) go to one
    seat as long as there are other groups for the others. A chunk is as many jobs as should take
    CHUNK_S by the latest ones; a worker that meets slower ones hands the rest of it back.
    """

    def __init__(
        self,
        pool: Pool,
        deliver: Callable[[Outcome], None],
        idle: Callable[[], None] = lambda: None,
    ):
        self._pool, self._deliver, self._idle = pool, deliver, idle
        self._places = [_Place(seat) for seat in pool.seats]
        self._groups: deque[Group] = deque()
        self._suspects: Group = deque()  # whose worker died: each flies in a chunk of its own
        self._deaths: Counter[str] = Counter()
        self._left, self._chunk_s = 0, CHUNK_S
        self._job_s: float | None = None  # what one of the latest took

    def run(self, jobs: Iterable[Job]) -> None:
        """Compute all jobs. Raises PoolError if the pool is gone, and what `deliver` raises."""
        self._groups = _grouped(jobs)
        self._left = sum(map(len, self._groups))
        while self._left:
            self._launch()
            self._idle()
            flying = [future for place in self._places for future in place.flying]
            done, _ = wait(flying, timeout=LOOK_S, return_when=FIRST_COMPLETED)
            self._pool.check()
            for place in self._places:
                self._land(place, done)

    # out

    def _launch(self) -> None:
        slots = sum(place.seat.slots() for place in self._places)
        self._chunk_s = min(CHUNK_S, CHUNK_OF_SLOT_S * slots)
        for place in self._places:
            while len(place.flying) < AHEAD * place.seat.slots():
                chunk = self._next_chunk(place, slots)
                if not chunk:
                    break
                place.flying[self._submit(place.seat, chunk)] = chunk

    def _submit(self, seat: Seat, chunk: Chunk) -> Future[list[Outcome]]:
        work = partial(run_jobs, patience_s=self._chunk_s)
        try:
            return seat.executor.submit(work, chunk)
        except BrokenProcessPool:  # it died with nothing to do
            seat.restart()
            return seat.executor.submit(work, chunk)

    def _next_chunk(self, place: _Place, slots: int) -> Chunk:
        if self._suspects:
            return (self._suspects.popleft(),)
        if not place.group:
            place.group = self._next_group()
        size = min(self._chunk_size(slots), len(place.group))
        return tuple(place.group.popleft() for _ in range(size))

    def _next_group(self) -> Group:
        """Return a group that nobody works on, else the second half of the longest one."""
        if self._groups:
            return self._groups.popleft()
        longest = max((place.group for place in self._places), key=len)
        half = [longest.pop() for _ in range((len(longest) + 1) // 2)]
        return deque(reversed(half))

    def _chunk_size(self, slots: int) -> int:
        """Return how many jobs fill a chunk, fewer near the end so that all slots end together."""
        if self._job_s is None:
            return 1
        fitting = int(self._chunk_s / max(self._job_s, 1e-6))
        flying = sum(len(chunk) for place in self._places for chunk in place.flying.values())
        return max(1, min(fitting, MOST_JOBS, (self._left - flying) // (AHEAD * slots)))

    # and back

    def _land(self, place: _Place, done: Iterable[Future[list[Outcome]]]) -> None:
        for future in [future for future in place.flying if future in done]:
            if future not in place.flying:
                continue  # fell with one before it
            try:
                outcomes = future.result()
            except BrokenProcessPool:
                self._fall(place)
            except CancelledError:  # by a scheduler that lost it
                self._groups.append(deque(place.flying.pop(future)))
            except Exception as error:
                if type(error).__name__ != "KilledWorker":  # Dask's, which may not be installed
                    raise PoolError(f"workers failed ({type(error).__name__}: {error})") from error
                self._blame(place.flying.pop(future))
            else:
                rest = place.flying.pop(future)[len(outcomes) :]
                place.group.extendleft(reversed(rest))
                self._keep(outcomes)

    def _keep(self, outcomes: Sequence[Outcome]) -> None:
        self._job_s = sum(outcome.seconds for outcome in outcomes) / len(outcomes)
        for outcome in outcomes:
            check_versions("results", {outcome.where: outcome.versions})
            self._finish(outcome)

    def _fall(self, place: _Place) -> None:
        """Start a seat anew, whose one worker died over the first chunk that it had not done."""
        place.seat.restart()
        blamed = False
        for future, chunk in list(place.flying.items()):
            if future.done() and not future.cancelled() and future.exception() is None:
                continue  # done before: it lands next time
            del place.flying[future]
            if blamed:
                self._groups.appendleft(deque(chunk))
            else:
                self._blame(chunk)
            blamed = True

    def _blame(self, chunk: Chunk) -> None:
        for job in chunk:
            self._deaths[job.key] += 1
            if self._deaths[job.key] < DEATHS:
                self._suspects.append(job)
                continue
            error = (
                f"its worker died {DEATHS} times while computing it, perhaps for lack of memory; "
                "use fewer jobs or a smaller point"
            )
            data = point_bytes(job.key, job.identity, FAILED, {"error": error})
            self._finish(Outcome(job.key, FAILED, False, data, 0.0, versions(), "here"))

    def _finish(self, outcome: Outcome) -> None:
        self._left -= 1
        self._deliver(outcome)


def _grouped(jobs: Iterable[Job]) -> deque[Group]:
    """Return jobs by what their values depend on, in order."""
    groups: dict[str, Group] = {}
    for job in jobs:
        groups.setdefault(job.group, deque()).append(job)
    return deque(groups.values())
