"""Execution over pools whose workers die, lag or lie."""

import os
from collections import Counter
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sweeps import LAYER, points_of, write_sweep

from spusim.experiments.sweep.execution import AHEAD, CHUNK_OF_SLOT_S, Execution
from spusim.experiments.sweep.identity import versions
from spusim.experiments.sweep.pointfile import read_point
from spusim.experiments.sweep.pools import PoolError, local_pool
from spusim.experiments.sweep.worker import Outcome, run_jobs


class Deadly:
    """Kills the process that unpickles it."""

    def __reduce__(self):
        return (os._exit, (9,))


class KilledWorker(Exception):
    """As Dask's, by name."""


class Seat:
    """A worker in this process that computes nothing and fails as told: job number -> errors."""

    def __init__(self, plan=()):
        self.executor = self
        self.plan = list(plan)
        self.chunks, self.restarts, self._broken = [], 0, False
        self.seconds = 0.001  # that a job takes, as it says

    def submit(self, work, jobs):
        future = Future()
        self.chunks.append([job.key for job in jobs])
        error = self.plan.pop(0) if self.plan else None
        if self._broken and error is None:
            error = BrokenProcessPool()
        if isinstance(error, BrokenProcessPool):
            self._broken = True
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result([
                Outcome(j.key, "done", False, b"", self.seconds, versions(), "w") for j in jobs
            ])  # fmt: skip
        return future

    def slots(self):
        return 1

    def restart(self):
        self.restarts += 1
        self._broken = False


class Pool:
    def __init__(self, *seats):
        self.seats = seats

    def check(self): ...


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    text = LAYER.replace("[0.25, 0.5, 1.0]", "{from: 0.1, to: 1, steps: 10}")
    return [p.job for p in points_of(write_sweep(tmp_path_factory.mktemp("jobs"), text))]


def execute(pool, jobs):
    delivered = []
    Execution(pool, delivered.append).run(jobs)
    return delivered


@given(
    plans=st.lists(
        st.lists(
            st.sampled_from([None, None, BrokenProcessPool(), CancelledError(), KilledWorker()]),
            max_size=12,
        ),
        min_size=1,
        max_size=3,
    )
)
@settings(deadline=None, derandomize=True, max_examples=80)
def test_every_job_is_delivered_once_whatever_dies(jobs, plans):
    delivered = execute(Pool(*map(Seat, plans)), jobs)
    assert Counter(o.key for o in delivered) == Counter(job.key for job in jobs)
    for outcome in delivered:
        if outcome.status == "failed":
            assert "its worker died 2 times" in read_point(outcome.key, outcome.data)["error"]


def test_one_death_costs_nobody_a_point_and_two_only_its_own(jobs):
    once = execute(Pool(Seat([BrokenProcessPool()])), jobs)
    assert {o.status for o in once} == {"done"}
    # chunks of the dead are flown again one by one, before anything else
    seat = Seat([BrokenProcessPool(), None, BrokenProcessPool()])
    twice = execute(Pool(seat), jobs)
    assert [o.key for o in twice if o.status == "failed"] == [jobs[0].key]
    assert seat.restarts == 2


def test_groups_stay_with_their_seats(jobs):
    one, two = Seat(), Seat()
    execute(Pool(one, two), jobs)
    groups = {job.key: job.group for job in jobs}
    assert len(set(groups.values())) == 10
    shared = {groups[k] for c in one.chunks for k in c} & {groups[k] for c in two.chunks for k in c}
    assert len(shared) <= 1  # only the last is split, when a seat has nothing else to do


class Hasty(Seat):
    """A worker that loses patience: it does so many jobs of a chunk, and leaves the rest."""

    def __init__(self, most):
        super().__init__()
        self._most = most

    def submit(self, work, jobs):
        future = super().submit(work, jobs)
        kept = Future()
        kept.set_result(future.result()[: self._most])
        return kept


@given(most=st.lists(st.integers(1, 5), min_size=1, max_size=3))
@settings(deadline=None, derandomize=True, max_examples=30)
def test_what_a_worker_leaves_of_a_chunk_is_computed_later(jobs, most):
    seats = [Hasty(count) for count in most]
    delivered = execute(Pool(*seats), jobs)
    assert [seat.restarts for seat in seats] == [0] * len(seats)
    assert Counter(o.key for o in delivered) == Counter(job.key for job in jobs)


def test_a_worker_ends_a_chunk_when_its_time_is_up_but_never_before_the_first_job(jobs):
    assert [o.key for o in run_jobs(jobs[:3], 0.0)] == [jobs[0].key]
    assert [o.key for o in run_jobs(jobs[:3], 60.0)] == [job.key for job in jobs[:3]]


def test_chunks_are_as_long_as_the_latest_jobs_say(jobs):
    seat = Seat()
    seat.seconds = 0.004
    execute(Pool(seat), jobs[:1] * 400)
    sizes = [len(chunk) for chunk in seat.chunks]
    assert sizes[:AHEAD] == [1] * AHEAD  # until the first is back
    assert max(sizes) == CHUNK_OF_SLOT_S / seat.seconds == sizes[AHEAD]
    assert sizes[-1] < max(sizes)  # so that seats end together


def test_another_version_is_refused_naming_both(jobs):
    class Liar(Seat):
        def submit(self, work, jobs):
            future = Future()
            theirs = replace(versions(), spusim="9.9.9")
            future.set_result([Outcome(jobs[0].key, "done", False, b"", 1.0, theirs, "far:1")])
            return future

    with pytest.raises(PoolError) as error:
        execute(Pool(Liar()), jobs)
    assert "worker far:1 has spusim 9.9.9" in str(error.value)
    assert f"this is spusim {versions().spusim}" in str(error.value)


def test_a_point_that_kills_its_process_twice_fails_and_the_others_are_computed(jobs):
    bad = replace(jobs[3], baseline=Deadly())
    delivered = []
    with local_pool(2) as pool:
        Execution(pool, delivered.append).run([*jobs[:3], bad, *jobs[4:8]])
    assert Counter(o.key for o in delivered) == Counter(job.key for job in jobs[:8])
    assert {o.key: o.status for o in delivered} == {
        job.key: "failed" if job.key == bad.key else "done" for job in jobs[:8]
    }
