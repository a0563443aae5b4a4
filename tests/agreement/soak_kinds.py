"""What `make soak` runs: a program from a seed, on all implementations that can run it."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import tally
from chip_agreement import disagreements
from chip_generators import Case, random_case
from compiler_networks import NetworkBuilder, arch_of, reference
from generators import random_case as random_product
from generators import random_ports
from parameter_sets import SETS
from result_differences import differences
from rtl_build import missing_tool
from rtl_engine import RtlEngine
from rtl_machine import check
from rtl_programs import Program, choices, random_program
from soak_graphs import GraphCase, graph_case, smaller_graphs
from soak_graphs import machine_of as graph_machine
from soak_images import ImageCase, image_case, machine_of, smaller_cases
from stepper import step
from test_stepper_machine import loaded, random_windows, same, stepped

from spusim import api, machine
from spusim.compiler import compile_network
from spusim.errors import SpusimError
from spusim.isa import decode_all, encode, load_isa
from spusim.kernels.engine import run_matvec
from spusim.machine import RecordingError
from spusim.network import Stream

# what only other words make a machine read, or that only one machine multiplies
UNRECORDED = ("since words begin elsewhere", "is not in the recording")
UNTOLD = "the program does not tell where they lie"  # which it does, whatever its parts
MOST_SHRINKS = 300  # runs spent on making a failure small


class Differs(AssertionError):
    """Implementations that disagree, and how."""


class Kind(ABC):
    """A kind of program; `batch`: how many make about a second's work."""

    name: str
    batch: int

    @abstractmethod
    def draw(self, seed: int) -> Any:
        """Return the program of a seed."""

    @abstractmethod
    def compare(self, program: Any) -> None:
        """Run a program everywhere; raises AssertionError where implementations disagree."""

    def smaller(self, program: Any) -> list[Any]:
        """Return simpler programs to look for the same failure in, the simplest first."""
        return []

    def missing(self) -> str | None:
        """Say why this kind cannot be run here; None if it can."""
        return None

    def failure(self, program: Any) -> str:
        """Return how a program fails, "" if it does not."""
        try:
            self.compare(program)
        except (AssertionError, SpusimError, ValueError, IndexError, KeyError) as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def report(self, seed: int) -> str:
        """Return how the program of a seed fails, made as small as it gets; "" if it passes."""
        program = self.draw(seed)
        failure = self.failure(program)
        if not failure:
            return ""
        smaller, runs = program, 0
        candidates = self.smaller(program)
        while candidates and runs < MOST_SHRINKS:
            candidate, runs = candidates.pop(0), runs + 1
            found = self.failure(candidate)
            if found.partition(":")[0] == failure.partition(":")[0]:
                smaller, failure = candidate, found
                candidates = self.smaller(candidate)
        tally.take()  # what passed while shrinking is no new program
        return f"{failure}\nsmallest program with this failure ({runs} tried):\n{smaller!r}"


class WholePrograms(Kind):
    """Programs for a whole chip, of one to three cores, with either kind of ports."""

    name, batch = "programs", 12

    def draw(self, seed: int) -> Case:
        """Return a case on corners, from the generator that hypothesis draws through, too."""
        return random_case(np.random.default_rng(seed))

    def compare(self, program: Case) -> None:
        """Compare stepper, machine and golden."""
        found = disagreements(*vars(program).values())
        if found:
            raise Differs(found)

    def smaller(self, program: Case) -> list[Case]:
        """Return the case with fewer frames, without a period, with a `nop` in some places."""
        fewer = []
        if len(program.frames) > 1:
            fewer.append(replace(program, frames=program.frames[:1], starts=(0,)))
        if program.input_period is not None:
            fewer.append(replace(program, input_period=None))
        for c, image in enumerate(program.program.cores):
            instructions = decode_all(load_isa(), image.code)
            places = [k for k, i in enumerate(instructions) if i.unit in ("engine", "vector")]
            halves = [places[: len(places) // 2], places[len(places) // 2 :]]
            groups = [places, *halves, *([k] for k in places)]
            fewer += [without(program, c, group) for group in groups if group]
        return fewer


def without(case: Case, c: int, places: list[int]) -> Case:
    """Return a case with `nop` instead of some of a core's instructions."""
    cores = [*case.program.cores]
    code = cores[c].code.copy()
    code[places] = encode(load_isa(), "nop", {})
    cores[c] = replace(cores[c], code=code)
    return replace(case, program=replace(case.program, cores=tuple(cores)))


class Networks(Kind):
    """Random networks, compiled for random machines."""

    name, batch = "networks", 2

    def draw(self, seed: int) -> Any:
        """Return network, machine, frames, starts and period."""
        rng = np.random.default_rng(seed)
        builder = NetworkBuilder(seed, int(rng.integers(1, 20)), int(rng.choice((8, 16))))
        for _ in range(rng.integers(1, 4)):
            LAYERS[rng.integers(len(LAYERS))](builder, rng)
        private = rng.random() < 0.4
        weight = rng.choice(("skip", "skip", "decompress", "dense"))
        settings = [
            f"cores={rng.integers(1, 4)}",
            f"core.ports={rng.choice(('reserved', 'shared'))}",
            f"core.hazard={rng.choice(('bypass', 'stall'))}",
            f"core.queue.depth={rng.integers(1, 9)}",
            f"core.queue.release={rng.choice(('pop', 'done'))}",
            f"core.sparse.weights={weight}",
            f"core.sparse.activations={rng.choice(('skip', 'gate', 'dense'))}",
            f"core.sparse.format={'dense' if weight == 'dense' else 'auto'}",
            f"core.lanes={rng.integers(1, 5)}",
            f"core.sequencer.contexts={rng.integers(1, 4)}",
        ]
        if private:
            settings.append("core.weight_memory={words: 8192, word_bits: 64}")
        network, frames = builder.build(), builder.frames(int(rng.integers(2, 5)))
        return network, settings, frames, (0, int(rng.integers(1, len(frames))))

    def compare(self, program: Any) -> None:
        """Compare stepper, machine, golden, and the plain integer reference."""
        network, settings, frames, starts = program
        arch = arch_of(*settings)
        whole = compile_network(network, arch)
        found = disagreements(whole, arch, frames, starts, kind="compiled networks")
        if found:
            raise Differs(found)
        outputs = machine.run(whole, arch, frames, starts).outputs
        if outputs.tolist() != reference(network, arch, frames, starts).tolist():
            raise Differs("outputs are not the integer reference's")


def lstm(builder: NetworkBuilder, rng: np.random.Generator) -> None:
    """Append an LSTM."""
    builder.lstm(int(rng.integers(2, 16)), str(rng.choice(("shift", "tensor", "channel"))))


def linear(builder: NetworkBuilder, rng: np.random.Generator) -> None:
    """Append a linear layer."""
    requant = str(rng.choice(("shift", "tensor", "channel")))
    builder.linear(int(rng.integers(1, 40)), requant=requant, biased=bool(rng.random() < 0.5))


def activation(builder: NetworkBuilder, rng: np.random.Generator) -> None:
    """Append an activation."""
    builder.activation(str(rng.choice(("relu", "sigmoid", "tanh"))))


def pool(builder: NetworkBuilder, rng: np.random.Generator) -> None:
    """Append pooling over time."""
    builder.pool(str(rng.choice(("mean", "max", "last"))))


LAYERS: tuple[Callable[[NetworkBuilder, np.random.Generator], None], ...] = (
    linear, linear, lstm, activation, pool,
)  # fmt: skip


class EnginePrograms(Kind):
    """One matrix-vector instruction on a parameter set of the RTL."""

    name, batch = "engine", 40

    def missing(self) -> str | None:
        """Say which of the RTL's tools is missing."""
        return missing_tool()

    def draw(self, seed: int) -> tuple[int, Program]:
        """Return a parameter set's number and a program for it."""
        number = seed % len(SETS)
        return number, random_program(SETS[number], seed // len(SETS))

    def compare(self, program: tuple[int, Program]) -> None:
        """Compare RTL, stepper and machine."""
        check(engine(program[0]), program[1])

    def smaller(self, program: tuple[int, Program]) -> list[tuple[int, Program]]:
        """Return the program with one of its choices plainer: the plainest, or half as far."""
        number, chosen = program
        fewer = []
        for name, of in choices(SETS[number]).items():
            at = list(of).index(getattr(chosen, name))
            fewer += [
                (number, replace(chosen, **{name: of[to]}))
                for to in sorted({0, at // 2, max(at - 1, 0)})
                if to < at
            ]
        return fewer


@cache
def engine(number: int) -> RtlEngine:
    """Return a set's engine, in which programs run one after another."""
    return RtlEngine(SETS[number])


class SingleProducts(Kind):
    """One matrix-vector instruction on any machine, alone or against other units."""

    name, batch = "products", 60

    def draw(self, seed: int) -> Any:
        """Return a case and who takes which banks, None for reserved ports."""
        rng = random.Random(seed)
        if rng.random() < 0.5:
            return random_product(rng), None
        case = random_product(rng, ports="shared")
        return case, random_ports(rng, case.config.banks)

    def compare(self, program: Any) -> None:
        """Compare stepper and machine."""
        case, ports = program
        expected, core = step(**vars(case), port_requests=ports), loaded(case)
        if ports is None:
            src = case.config.operand_address
            cycles = int(run_matvec(core.state, 0, src, 0, case.accumulate)[0])
        else:
            cycles = stepped(core, case, ports, random_windows(random.Random(case.config.pes)))
        same(case, core, cycles, expected)
        tally.compared("single products", expected.cycles)


class Images(Kind):
    """Random networks over images, on machines of both dataflows and with memories too small."""

    name, batch = "images", 1

    def draw(self, seed: int) -> ImageCase:
        """Return network, frames, and two machines."""
        return image_case(seed)

    def compare(self, program: ImageCase) -> None:
        """Compare stepper, machine, golden, the integer reference, and the other's recording."""
        network, codes = program.network()
        arch, other = machine_of(program.settings), machine_of(program.recorder)
        whole = compile_network(network, arch)
        found = disagreements(whole, arch, codes.frames, codes.starts, kind="networks over images")
        if found:
            raise Differs(found)
        result = api.simulate(network, arch, codes)
        if result.outputs.tolist() != reference(network, arch, codes.frames, codes.starts).tolist():
            raise Differs("outputs are not the integer reference's")
        try:
            again = api.retime(network, arch, api.record_values(network, other, codes))
        except RecordingError as refused:
            if UNTOLD in str(refused):
                raise Differs(f"refused is the other machine's recording: {refused}") from refused
            return  # such as copies that only one of them makes, or an order of sums (T35)
        if fields := differences(result, again):
            raise Differs(f"timed from the other machine's recording differ {fields}")

    def smaller(self, program: ImageCase) -> list[ImageCase]:
        """Return the case with fewer layers, frames or settings."""
        return smaller_cases(program)


class Graphs(Kind):
    """Random graphs of integer operations on machines of every format, width and memory."""

    name, batch = "graphs", 1

    def draw(self, seed: int) -> GraphCase:
        """Return graph, frames, and two machines."""
        return graph_case(seed)

    def compare(self, program: GraphCase) -> None:
        """Compare stepper, machine, golden, the integer reference, and the other's recording."""
        network, frames = program.network()
        arch, other = graph_machine(program.settings), graph_machine(program.recorder)
        starts, period = program.starts, program.period
        whole = compile_network(network, arch)
        found = disagreements(whole, arch, frames, starts, period, kind="graphs of operations")
        if found:
            raise Differs(found)
        names = tuple(f"file{number}" for number in range(len(starts)))
        codes = Stream(frames, starts, names)
        result = api.simulate(network, arch, codes, input_period=period)
        if result.outputs.tolist() != reference(network, arch, frames, starts).tolist():
            raise Differs("outputs are not the integer reference's")
        try:
            recording = api.record_values(network, other, codes)
            again = api.retime(network, arch, recording, input_period=period)
        except RecordingError as refused:
            if not any(reason in str(refused) for reason in UNRECORDED):
                raise Differs(f"refused is the other's recording: {refused}") from refused
            return
        if fields := differences(result, again):
            raise Differs(f"timed from the other machine's recording differ {fields}")

    def smaller(self, program: GraphCase) -> list[GraphCase]:
        """Return the case with fewer nodes, frames or settings."""
        return smaller_graphs(program)


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        WholePrograms(), Networks(), Graphs(), Images(), EnginePrograms(), SingleProducts(),
    )
}  # fmt: skip
