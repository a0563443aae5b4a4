"""What a worker does: computes points, and says everything about each as one JSON text.

Imported by the processes of a pool and by Dask's workers; nothing here knows which.
"""

import dataclasses
import math
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from spusim.api import load_network, load_stream, retime, simulate, simulate_recorded
from spusim.arch import ArchError
from spusim.compiler import CompileError
from spusim.errors import SpusimError
from spusim.experiments.case import clipping_notes, with_files
from spusim.experiments.conv_layers import RandomConv, record_conv, retime_conv
from spusim.experiments.fidelity import float_outputs, signal_to_noise_db
from spusim.experiments.layers import RandomLinear, record_linear, retime_linear
from spusim.experiments.record import result_record
from spusim.experiments.sweep.columns import Row, measured
from spusim.experiments.sweep.file import SweepError
from spusim.experiments.sweep.identity import (
    Versions,
    network_content,
    plan_content,
    stream_content,
    versions,
)
from spusim.experiments.sweep.jobs import Job, NetworkRef
from spusim.experiments.sweep.pointfile import DONE, FAILED, point_bytes
from spusim.experiments.sweep.recordings import Recordings
from spusim.frontend import find_network
from spusim.frontend.fqir import Plan, check_numerics, is_plan, open_plan
from spusim.frontend.topology_file import load_topology
from spusim.machine import Recording, RecordingError
from spusim.network.records import Network, Stream
from spusim.numerics import numerics_of
from spusim.result import RunResult

OPEN_NETWORKS = OPEN_STREAMS = 8  # that a worker keeps
RECORDINGS = Recordings()


@dataclass(frozen=True)
class Outcome:
    """What came of a job: the bytes of its file, and who computed it how long."""

    key: str
    status: str
    impossible: bool
    data: bytes
    seconds: float
    versions: Versions
    where: str  # worker, for messages
    error: str | None = None
    row: Row = field(default_factory=dict)  # columns of what was measured


def run_jobs(jobs: Sequence[Job], patience_s: float = math.inf) -> list[Outcome]:
    """Compute jobs one after the other; one that fails does not stop the others.

    After so many seconds no further one is begun: of the last ones nothing is told.
    """
    outcomes: list[Outcome] = []
    end = time.perf_counter() + patience_s
    for job in jobs:
        outcomes.append(run_job(job))
        if time.perf_counter() > end:
            break
    return outcomes


def _where() -> str:
    """Name this process, which may have been forked from one that had loaded this file."""
    return f"{socket.gethostname()}:{os.getpid()}"


def run_job(job: Job) -> Outcome:
    """Compute a job; what goes wrong is told in the outcome."""
    began = time.perf_counter()
    status, content, impossible = DONE, {}, False
    row: Row = {}
    try:
        content = _content(job, measure(job))
        row = measured(content)
    except (ArchError, CompileError) as error:
        status, content, impossible = FAILED, {"error": str(error)}, True
    except SpusimError as error:
        status, content = FAILED, {"error": str(error)}
    except MemoryError:
        status, content = FAILED, {"error": "out of memory; use fewer jobs, or a smaller point"}
    except Exception as error:  # a mistake of ours must not cost the other points
        status, content = FAILED, {"error": f"unexpected {type(error).__name__}: {error}"}
    data = point_bytes(job.key, job.identity, status, content)
    why, seconds = content.get("error"), time.perf_counter() - began
    return Outcome(job.key, status, impossible, data, seconds, versions(), _where(), why, row)


def measure(job: Job) -> RunResult:
    """Return what a job's machine does. Raises SpusimError."""
    if job.layer is not None:
        return _lone_result(job, job.layer)
    assert job.network is not None and job.stream is not None
    network = open_network(job.network)
    if is_plan(job.network.path):
        check_numerics(open_plan_file(job.network), numerics_of(job.arch.numerics))
    stream = open_stream(job.stream, job.network, job.identity["stream"])
    result = _network_result(job, network, stream)
    if job.sqnr:
        wanted = _float_outputs(job.network, job.stream, job.identity["stream"])
        told = {"sqnr_db": signal_to_noise_db(wanted, result.outputs)}
        result = dataclasses.replace(result, details={**result.details, **told})
    notes = (*result.notes, *clipping_notes(stream, network))
    return with_files(dataclasses.replace(result, notes=notes), job.stream, stream)


def _lone_result(job: Job, layer: RandomLinear | RandomConv) -> RunResult:
    arch, baseline = job.arch, job.baseline

    def full() -> tuple[RunResult, Recording]:
        if isinstance(layer, RandomConv):
            return record_conv(layer, arch, baseline=baseline)
        return record_linear(layer, arch, baseline=baseline)

    def again(recording: Recording) -> RunResult:
        if isinstance(layer, RandomConv):
            return retime_conv(layer, arch, recording, baseline=baseline)
        return retime_linear(layer, arch, recording, baseline=baseline)

    return RECORDINGS.result(job.group, full, again)


def _network_result(job: Job, network: Network, stream: Stream) -> RunResult:
    def full() -> tuple[RunResult, Recording | None]:
        if job.input_period is None:
            try:
                return simulate_recorded(network, job.arch, stream, baseline=job.baseline)
            except RecordingError:  # such as a matrix that is used more than once a frame
                pass
        period, baseline = job.input_period, job.baseline
        return simulate(network, job.arch, stream, input_period=period, baseline=baseline), None

    def again(recording: Recording) -> RunResult:
        period, baseline = job.input_period, job.baseline
        return retime(network, job.arch, recording, input_period=period, baseline=baseline)

    return RECORDINGS.result(job.group, full, again)


@lru_cache(maxsize=OPEN_NETWORKS)
def open_network(ref: NetworkRef) -> Network:
    """Open a network; raises SweepError if its files are not those that the sweep was made for."""
    if is_plan(ref.path):
        return open_plan_file(ref).network
    path = find_network(ref.path)
    topology = load_topology(path, ref.settings)
    if network_content(topology, str(path.parent), ref.checkpoint) != ref.content:
        raise SweepError(
            f"{ref.path}: it or a file that it names has changed since the sweep began, or is "
            "another one on this worker; run the sweep again"
        )
    return load_network(path, checkpoint=ref.checkpoint, settings=ref.settings)


@lru_cache(maxsize=OPEN_NETWORKS)
def open_plan_file(ref: NetworkRef) -> Plan:
    """Open an FQIR plan, as `open_network` does a network file."""
    if plan_content(ref.path) != ref.content:
        raise SweepError(f"{ref.path}: has changed since the sweep began; run the sweep again")
    return open_plan(ref.path)


@lru_cache(maxsize=OPEN_STREAMS)
def open_stream(spec: str, ref: NetworkRef, content: str) -> Stream:
    """Open a stream; raises SweepError if it is not the one that the sweep was made for."""
    if stream_content(spec) != content:
        raise SweepError(f"{spec}: has changed since the sweep began; run the sweep again")
    return load_stream(spec, open_network(ref))


@lru_cache(maxsize=1)  # machines of one network come one after the other
def _float_outputs(ref: NetworkRef, spec: str, content: str) -> np.ndarray:
    path = find_network(ref.path)
    topology = load_topology(path, ref.settings)
    network, stream = open_network(ref), open_stream(spec, ref, content)
    return float_outputs(path, topology, ref.checkpoint, network, stream)


def start_process() -> None:
    """Make a process of a local pool ready: deaf to Ctrl-C, and gone with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and ends the pool
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _content(job: Job, result: RunResult) -> dict[str, Any]:
    names = {
        "arch": job.arch.name,
        "dataflow": job.arch.core.dataflow,
        "network": job.network.name if job.network else None,
    }
    return {
        **result_record(result),
        "names": names,
        "clock_mhz": result.clock_mhz,
        **({"sqnr_db": result.details["sqnr_db"]} if job.sqnr else {}),
        "peak_macs_per_cycle": int(result.peak_macs_per_cycle),
    }
