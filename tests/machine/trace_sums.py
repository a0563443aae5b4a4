"""What a trace says about cycles, summed up anew: by unit and cause, without its own code."""

from collections import Counter, defaultdict

from spusim.machine.trace import Span, Trace


def self_times(spans: list[Span]) -> dict[str | None, int]:
    """Return cycles by cause of one unit's spans, without those of spans inside; they must nest."""
    found: Counter[str | None] = Counter()
    stack: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, span.depth)):
        assert span.start < span.end
        while stack and stack[-1].end <= span.start:
            stack.pop()
        assert len(stack) == span.depth, f"{span} lies in {stack}"
        if stack:
            assert span.end <= stack[-1].end, f"{span} ends after {stack[-1]}"
            found[stack[-1].cause] -= span.end - span.start
        found[span.cause] += span.end - span.start
        stack.append(span)
    return found


def cycles_by_cause(trace: Trace) -> dict[str, dict[str, int]]:
    """Return unit -> cause -> cycles of the units that a result's `stalls` have too."""
    found: dict[str, dict[str, int]] = {}
    for signal in trace.signals:
        assert signal.cycles[0] == trace.first
        assert (signal.cycles[1:] > signal.cycles[:-1]).all()
        assert (signal.values[1:] != signal.values[:-1]).all()
        if signal.causes is not None:
            sums: Counter[str] = Counter()
            ends = [*signal.cycles[1:].tolist(), trace.end]
            for begin, end, value in zip(
                signal.cycles.tolist(), ends, signal.values.tolist(), strict=True
            ):
                sums[signal.causes[value]] += end - begin
            found[signal.unit] = dict(sums)
    of_unit: dict[str, list[Span]] = defaultdict(list)
    for span in trace.spans:
        of_unit[span.unit].append(span)
    for unit in trace.units:
        sums_ = self_times(of_unit[unit])
        if unit.endswith((".router", ".dma", "host.out", "host.in")):
            known = {cause: cycles for cause, cycles in sums_.items() if cause is not None}
            found[unit] = {**known, "idle": trace.cycles - sum(known.values())}
        if unit.endswith(".vector") and unit in found:
            assert sums_["busy"] == found[unit].get("busy", 0) + found[unit].get("port", 0)
    return {unit: {c: n for c, n in causes.items() if n} for unit, causes in found.items()}
