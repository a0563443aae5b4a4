"""Directives and code to a Program; everything that the architecture does not hold is a fault."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np

from spusim.arch import Arch, arch_hash
from spusim.errors import SpusimError
from spusim.isa import Assembly, Faults, load_isa
from spusim.numerics import numerics_of
from spusim.placement import external_complaint
from spusim.program import CoreImage, InputPort, OutputPort, Program, Segment, Table, Thread, Window
from spusim.source.directives import START, Given, LineFaultError
from spusim.source.images import (
    CoreGiven,
    Part,
    built_table,
    built_transfer,
    built_window,
    packed_matrix,
    segment,
)
from spusim.source.limits import check_areas, check_code, check_matrices, check_tables
from spusim.source.place import Area, Placed, areas_of, depth_rows, index_words

T = TypeVar("T")
MOST_ELEMENTS = 1 << 16  # of a port; far beyond what a message carries


def build_program(
    faults: Faults,
    name: str,
    arch: Arch,
    program: Sequence[Given],
    cores: Mapping[int, CoreGiven],
    assemblies: Mapping[int, Assembly],
) -> Program | None:
    """Return the program; mistakes go to `faults`, None where they leave none."""
    for number, given in cores.items():
        if number >= arch.cores and given.mentioned:
            mentioned = given.mentioned
            faults.add(
                mentioned.line, mentioned.at("number"),
                f"core {number} does not exist; {arch.name} has {arch.cores}: "
                f"set cores={number + 1}",
            )  # fmt: skip
    images = tuple(
        _CoreBuilder(faults, arch, cores.get(number, CoreGiven())).image(assemblies.get(number))
        for number in range(arch.cores)
    )
    ports = _Ports(faults, arch, images, program)
    first, outputs, init = ports.input(), ports.outputs(), ports.init_threads()
    if faults or first is None:
        return None
    memory = arch.external_memory
    word_bits = arch.core.data_memory.word_bits
    contents = [part for given in cores.values() for part in given.external]
    made = Program(
        name=name,
        isa_version=load_isa().version,
        arch_name=arch.name,
        word_bits=word_bits,
        pes=arch.core.pes,
        accumulators=arch.core.pes * arch.core.accumulators,
        numerics=numerics_of(arch.numerics),
        cores=images,
        input=first,
        outputs=outputs,
        init_threads=init,
        hashes={"arch": arch_hash(arch)},
        external_words=memory.words if memory else 0,
        external=_external_segments(faults, contents, word_bits),
        row_words=0 if arch.core.weight_memory else arch.core.data_memory.banks // arch.core.pes,
    )
    if complaint := external_complaint(made):
        _blame_contents(faults, complaint, [*program, *_heads(cores)])
    return made


def _external_segments(
    faults: Faults, parts: Sequence[Part], word_bits: int
) -> tuple[Segment, ...]:
    """Return the contents of external memory."""
    made = []
    for part in parts:
        with collecting(faults, part.head):
            made.append(segment(part, word_bits))
    return tuple(made)


def _heads(cores: Mapping[int, CoreGiven]) -> Iterator[Given]:
    """Yield the directives of what lies in external memory."""
    for given in cores.values():
        for part in (*given.matrices, *given.external):
            yield part.head


def _blame_contents(faults: Faults, complaint: str, given: Sequence[Given]) -> None:
    """Note what is wrong with external memory at the directive that the complaint begins with."""
    name = complaint.split(" takes ")[0]
    for each in given:
        port = name == "the input port" and each.token.text == ".input"
        if port or each.values.get("name") == name:
            faults.add(each.line, each.at("external" if port else "name"), complaint)
            return
    faults.add(1, START, complaint)


@contextmanager
def collecting(faults: Faults, given: Given) -> Iterator[None]:
    """Note what is wrong with a directive's values at their token, all else at the directive."""
    try:
        yield
    except LineFaultError as fault:
        faults.add(fault.line, fault.token, fault.message)
    except SpusimError as error:
        faults.add(given.line, given.at("name"), str(error))


class _CoreBuilder:
    """One core's image."""

    def __init__(self, faults: Faults, arch: Arch, given: CoreGiven) -> None:
        self.faults, self.arch, self.given = faults, arch, given

    def image(self, assembly: Assembly | None) -> CoreImage:
        """Return the image, without the parts that are wrong."""
        word_bits = self.arch.core.data_memory.word_bits
        filled = [p for p in self.given.places if p.head.token.text != ".space"]
        segments = self.each(filled, lambda part: segment(part, word_bits))
        areas = areas_of(self.given.places, segments)
        tables = self.tables()
        placed = self.matrices(areas, tables)
        check_areas(self.faults, self.arch, [*areas, *(p.area for p in placed if p.area)])
        check_matrices(self.faults, self.arch, placed)
        threads: tuple[Thread, ...] = ()
        code = np.zeros(0, np.uint64)
        if assembly:
            check_code(self.faults, self.arch, assembly)
            code = assembly.words
            threads = tuple(Thread(*thread) for thread in assembly.threads)
        symbols = [(a.name, a.address, a.words) for a in areas]
        symbols += [(p.area.name, p.area.address, p.area.words) for p in placed if p.area]
        return CoreImage(
            code, threads, tuple(p.matrix for p in placed), tables,
            tuple(made for _, made in segments), tuple(symbols),
            windows=tuple(made for _, made in self.windows()),
            transfers=tuple(made for _, made in self.each(self.given.transfers, built_transfer)),
        )  # fmt: skip

    def each(self, parts: Sequence[Part], make: Callable[[Part], T]) -> list[tuple[Part, T]]:
        """Make something of each part, the wrong ones left out."""
        made = []
        for part in parts:
            with collecting(self.faults, part.head):
                made.append((part, make(part)))
        return made

    def matrices(self, areas: Sequence[Area], tables: Sequence[Table]) -> list[Placed]:
        """Pack the matrices, one behind the other and behind the data, if they do not say where."""
        shared = self.arch.core.weight_memory is None
        banks = self.arch.core.data_memory.banks
        end = max((area.address + area.words for area in areas), default=0)
        row, index_base = -(-end // banks) if shared else 0, 0
        placed = []
        for part in self.given.matrices:
            with collecting(self.faults, part.head):
                matrix = packed_matrix(self.arch, part, row, index_base, tables)
                depth = depth_rows(self.arch, matrix)
                area = None
                if shared:
                    area = Area(
                        part.head, part.name, matrix.base * banks, depth * banks,
                        matrix.home is not None,
                    )  # fmt: skip
                placed.append(Placed(part.head, matrix, depth, area))
                row = matrix.base + depth
                index_base = matrix.index_base + index_words(matrix)
        return placed

    def windows(self) -> list[tuple[Part, Window]]:
        """Build the windows."""
        return self.each(self.given.windows, built_window)

    def tables(self) -> tuple[Table, ...]:
        """Build the tables, one behind the other if they do not say where."""
        base, tables = 0, []
        for part in self.given.tables:
            with collecting(self.faults, part.head):
                table = built_table(self.arch, part, base)
                tables.append((part.head, table))
                base = table.base + len(table.entries)
        check_tables(self.faults, self.arch, tables)
        return tuple(table for _, table in tables)


class _Ports:
    """What joins the program and the host."""

    def __init__(
        self, faults: Faults, arch: Arch, images: Sequence[CoreImage], program: Sequence[Given]
    ) -> None:
        self.faults, self.arch, self.images, self.program = faults, arch, images, program

    def given(self, name: str) -> list[Given]:
        """Return the directives of a name."""
        return [given for given in self.program if given.token.text == name]

    def thread(self, given: Given, core: int, number: int) -> None:
        """Check that a thread exists; raises LineFaultError."""
        self.core(given, core, "core" if "core" in given.values else "cores")
        threads = self.images[core].threads
        if not 0 <= number < len(threads):
            raise LineFaultError(
                given, f"core {core} thread {number} does not exist; it has {len(threads)} threads",
                "thread",
            )  # fmt: skip

    def core(self, given: Given, core: int, at: str) -> None:
        """Check that a core exists; raises LineFaultError."""
        if not 0 <= core < self.arch.cores:
            raise LineFaultError(
                given, f"core {core} does not exist; {self.arch.name} has {self.arch.cores}", at
            )

    def input(self) -> InputPort | None:
        """Return the input port; a program has one."""
        found = self.given(".input")
        if len(found) != 1:
            for given in found[1:]:
                self.faults.add(given.line, given.token, "stands twice; a program has one `.input`")
            if not found:
                self.faults.add(1, START, "has no `.input`; a program has one `.input`")
            return None
        (given,) = found
        values = {"cores": (0,), "channel": 0, "thread": 0, "bits": 16, **given.values}
        port = InputPort(**values)
        with collecting(self.faults, given):
            _positive(given, port.elements)
            _check_planes(given, port)
            self.channel(given, port.channel, self.arch.link.channels)
            for core in port.cores:
                self.thread(given, core, port.thread)
            if port.external is None:
                self.room(given, port)
        return port

    def room(self, given: Given, port: InputPort) -> None:
        """Check that a frame enters its channel; raises LineFaultError."""
        pixels, word_bits = port.elements // port.planes, self.arch.core.data_memory.word_bits
        words = port.planes * -(-pixels * port.bits // word_bits)
        if not port.cores or words > self.arch.link.channel_words:
            raise LineFaultError(
                given, f"a frame of {words} words for {len(port.cores)} cores must go to a core "
                f"and fit link.channel_words (={self.arch.link.channel_words})", "elements",
            )  # fmt: skip

    def channel(self, given: Given, channel: int, channels: int) -> None:
        """Check a channel's number; raises LineFaultError."""
        if not 0 <= channel < channels:
            raise LineFaultError(
                given, f"channel (={channel}) must be 0 to {channels - 1}", "channel"
            )

    def outputs(self) -> tuple[OutputPort, ...]:
        """Return the output ports, each behind the last if it does not say where."""
        ports: list[OutputPort] = []
        for given in self.given(".output"):
            end = max((port.offset + port.elements for port in ports), default=0)
            values = {"core": 0, "channel": 0, "bits": 16, "offset": end, **given.values}
            port = OutputPort(**values)
            with collecting(self.faults, given):
                _positive(given, port.elements)
                _check_planes(given, port)
                self.core(given, port.core, "core")
                self.channel(given, port.channel, 16)  # of the instruction's operand
                _separate(given, port, ports)
            ports.append(port)
        if not ports:
            for given in self.given(".input"):
                self.faults.add(given.line, given.token, "needs an `.output` for what comes of it")
        return tuple(ports)

    def init_threads(self) -> tuple[tuple[int, int], ...]:
        """Return the threads that a file's start arms."""
        threads = []
        for given in self.given(".init"):
            core, thread = given.values["core"], given.values["thread"]
            with collecting(self.faults, given):
                self.thread(given, core, thread)
                if (core, thread) in threads:
                    raise LineFaultError(given, "names a thread twice; remove one", "thread")
                threads.append((core, thread))
        return tuple(threads)


def _positive(given: Given, elements: int) -> None:
    if not 1 <= elements <= MOST_ELEMENTS:
        raise LineFaultError(
            given, f"elements (={elements}) must be 1 to {MOST_ELEMENTS}", "elements"
        )


def _check_planes(given: Given, port: InputPort | OutputPort) -> None:
    if port.planes < 1 or port.elements % port.planes:
        raise LineFaultError(
            given, f"planes (={port.planes}) must divide elements (={port.elements})", "planes"
        )


def _separate(given: Given, port: OutputPort, ports: Sequence[OutputPort]) -> None:
    """Check that no other port has its channel or writes its elements; raises LineFaultError."""
    if not 0 <= port.offset <= MOST_ELEMENTS:
        raise LineFaultError(
            given, f"offset (={port.offset}) must be 0 to {MOST_ELEMENTS}", "offset"
        )
    for other in ports:
        if (other.core, other.channel) == (port.core, port.channel):
            raise LineFaultError(
                given, f"core {port.core} channel {port.channel} is another output's; take a free "
                "one", "channel",
            )  # fmt: skip
        if port.offset < other.offset + other.elements and other.offset < (
            port.offset + port.elements
        ):
            raise LineFaultError(
                given, f"offset (={port.offset}) lies in another output, {other.offset} to "
                f"{other.offset + other.elements - 1}; move it", "offset",
            )  # fmt: skip
