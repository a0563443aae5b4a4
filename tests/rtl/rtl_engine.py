"""Runs one instruction on the Verilated engine and reports it as the stepper does."""

import ctypes
from dataclasses import dataclass

import numpy as np
from generators import Case, packed
from parameter_sets import ParameterSet
from rtl_build import PE_COUNTERS, SCANNER_COUNTERS, counts_of, load
from stepper import StepResult

from spusim.formats import pack_elements, slice_rows

BANK, SLICE, INDEX, ACCUMULATOR = range(4)  # host_target of engine.v
MEMORY_WORDS = 1024  # of a bank, and of a private weight memory: 2**BANK_ADDRESS_BITS
POISON = 0x5A5A5A5A5A5A5A5A

# In the order of engine.v's and pe.v's counters.
SCANNER_CAUSES = ("load", "port", "busy", "queue_full", "pe_wait", "drain")
SCANNER_EVENTS = ("pushes", "windows", "operand_words")
PE_CAUSES = ("load", "port", "busy", "empty_column", "hazard", "drain")
PE_EVENTS = ("mac", "mac_gated", "pops", "words_read", "accumulator_updates", "load_words")
PE_WAITS = ("starved", "imbalance")

# What the cause of a cycle in the record means.
SCANNER_CYCLES = ("load", "port", "busy", "queue_full", "pe_wait", "-", "drain")
PE_CYCLES = ("load", "port", "busy", "empty_column", "waiting", "hazard", "drain")


@dataclass(frozen=True)
class RtlRun:
    """What an instruction did in the RTL."""

    result: StepResult
    causes: list[tuple[str, ...]]  # by cycle: of the scanner, then of every PE


def as_words(rows: np.ndarray) -> np.ndarray:
    """Return words (n, bytes a word) uint8 as (n,) uint64."""
    wide = np.zeros((len(rows), 8), np.uint8)
    wide[:, : rows.shape[1]] = rows
    return wide.view("<u8").reshape(-1)


def operand_words(case: Case) -> np.ndarray:
    """Return the data memory words of the operand (n,) uint64; beyond its end lies poison."""
    bits, word_bits = case.config.activation_bits, case.config.operand_word_bits
    words = pack_elements(np.array(case.x), bits, word_bits)
    used = -(-len(case.x) * bits // 8)
    words.reshape(-1)[used:] = POISON & 0xFF
    return as_words(words)


def slice_words(case: Case) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return every PE's slice, with what is preloaded in front, and its resident indices."""
    matrix = packed(case)
    slices = [as_words(words) for words in matrix.slices]
    indices = [as_words(words) for words in matrix.indices]
    if case.config.preload:
        fronts = zip(indices, slices, strict=True)
        return [np.concatenate(pair) for pair in fronts], [words[:0] for words in indices]
    return slices, indices


def slice_depth(case: Case) -> int:
    """Return the rows of words that the longest slice takes in its PE's memory."""
    config = case.config
    own_banks = 1 if config.private_weight_memory else config.banks // config.pes
    return -(-max(map(len, slice_words(case)[0])) // own_banks)


class RtlEngine:
    """An engine of one parameter set, on which instructions run one after another."""

    def __init__(self, parameter_set: ParameterSet) -> None:
        """Build or load the set's library and power up an engine."""
        self.parameter_set = parameter_set
        self.library = load(parameter_set)
        self.handle = self.library.engine_new()
        self.counts = counts_of(parameter_set)

    def close(self) -> None:
        """Give the engine back."""
        self.library.engine_delete(self.handle)

    def write(self, target: int, unit: int, address: int, words: np.ndarray) -> None:
        """Fill consecutive words of a unit's memory."""
        if not len(words):
            return
        if target in (BANK, SLICE) and address + len(words) > MEMORY_WORDS:
            raise ValueError(f"words {address} to {address + len(words)} of {MEMORY_WORDS}")
        words = np.ascontiguousarray(words, np.uint64)
        self.library.engine_write(self.handle, target, unit, address, len(words), words.ctypes.data)

    def fill_memories(self, case: Case, slice_base: int) -> None:
        """Put operand, slices and indices where the descriptor will say."""
        config = case.config
        slices, indices = slice_words(case)
        self.spread(operand_words(case), config.operand_address, 0, 1, config.banks)
        for pe, (words, index) in enumerate(zip(slices, indices, strict=True)):
            self.write(INDEX, pe, 0, index)
            if config.private_weight_memory:
                self.write(SLICE, pe, slice_base, words)
            else:
                own_banks = config.banks // config.pes
                self.spread(words, slice_base * own_banks, pe, config.pes, own_banks)

    def spread(self, words: np.ndarray, address: int, first: int, stride: int, banks: int) -> None:
        """Write words to consecutive addresses over the banks first, first + stride, ..."""
        for offset in range(min(banks, len(words))):
            row, bank = divmod(address + offset, banks)
            self.write(BANK, first + stride * bank, row, words[offset::banks])

    def fill_accumulators(self, case: Case) -> None:
        """Set what an accumulating form goes on from; poison what the others must overwrite."""
        matrix_rows = slice_rows(len(case.weight), packed(case).layout)
        for pe, rows in enumerate(matrix_rows):
            values = np.full(len(rows), POISON & ((1 << 40) - 1), np.int64)
            if case.accumulate:
                start = case.start_accumulators or [0] * len(case.weight)
                values = np.array(start, np.int64)[rows]
            self.write(ACCUMULATOR, pe, 0, values.view(np.uint64))

    def run(self, case: Case, slice_base: int, taken: list[int], most_cycles: int) -> RtlRun:
        """Run a case to its completion. taken: masks of the banks that others take, by cycle."""
        self.fill_memories(case, slice_base)
        self.fill_accumulators(case)
        descriptor = np.array(
            [len(case.weight), len(case.x), case.config.operand_address, slice_base,
             case.accumulate], np.int32
        )  # fmt: skip
        masks = np.array(taken, np.uint32)
        record = np.zeros((most_cycles, self.counts["RECORD_WORDS"]), np.int32)
        counters = np.zeros(self.counts["COUNTER_WORDS"], np.int32)
        pointers = [a.ctypes.data_as(ctypes.c_void_p) for a in (descriptor, masks)]
        cycles = self.library.engine_run(
            self.handle, *pointers, len(masks), most_cycles,
            record.ctypes.data, counters.ctypes.data,
        )  # fmt: skip
        if cycles < 0:
            record, cycles = record[:most_cycles], most_cycles
        return self.collect(case, record[:cycles], counters.tolist())

    def outputs(self, case: Case) -> list[int]:
        """Read the accumulators, by row of the matrix."""
        values = np.zeros(len(case.weight), np.int64)
        for pe, rows in enumerate(slice_rows(len(values), packed(case).layout)):
            own = np.zeros(len(rows), np.int64)
            self.library.engine_read(self.handle, pe, len(own), own.ctypes.data)
            values[rows] = own
        return values.tolist()

    def collect(self, case: Case, record: np.ndarray, counters: list[int]) -> RtlRun:
        """Name what was recorded and counted as the stepper does."""
        config, state_words = case.config, 2 + 3 * case.config.pes
        scanner, rest = counters[1:SCANNER_COUNTERS], counters[SCANNER_COUNTERS:]
        pes = [rest[PE_COUNTERS * p : PE_COUNTERS * (p + 1)] for p in range(config.pes)]
        banks = np.array(rest[PE_COUNTERS * config.pes :]).reshape(-1, 2).tolist()
        stalls = {"scanner": named(SCANNER_CAUSES, scanner)}
        counts = dict(zip(SCANNER_EVENTS, scanner[len(SCANNER_CAUSES) :], strict=True))
        events = [dict(zip(PE_CAUSES + PE_EVENTS + PE_WAITS, pe, strict=True)) for pe in pes]
        for p, pe in enumerate(events):
            stalls[f"pe{p}"] = {c: pe[c] for c in PE_CAUSES + PE_WAITS if pe[c]}
        counts |= {event: sum(pe[event] for pe in events) for event in PE_EVENTS}
        result = StepResult(
            outputs=self.outputs(case),
            cycles=counters[0],
            stalls=stalls,
            counts=counts,
            words_read=[pe["words_read"] for pe in events],
            banks={b: row for b, pair in enumerate(banks) if (row := named(BANK_CAUSES, pair))},
            trace=[tuple(word) for word in record[:, :state_words].tolist()],
        )
        causes = [
            (SCANNER_CYCLES[word[0]], *(PE_CYCLES[cause] for cause in word[1:]))
            for word in record[:, state_words:].tolist()
        ]
        return RtlRun(result, causes)


BANK_CAUSES = ("busy", "held")


def named(causes: tuple[str, ...], cycles: list[int]) -> dict[str, int]:
    """Return the causes that occurred; further cycles are ignored."""
    return {cause: n for cause, n in zip(causes, cycles, strict=False) if n}
