"""T51 to T60 worked out by hand, a test a rule; the stepper does the same (`programs.run`)."""

from dataclasses import replace

import numpy as np
import pytest
from programs import (
    AROUND,
    IN,
    PRIVATE,
    body_cycles,
    causes,
    core,
    frames,
    hand_arch,
    lone,
    matrix,
    nops,
    program,
    run,
    segment,
    vset,
)

from spusim.machine import DeadlockError, MachineError
from spusim.program import InputPort, OutputPort, Transfer

LATENCY = 10


def memory(bytes_per_cycle: float = 8, latency: int = LATENCY, port: str = "banks") -> str:
    """Return the setting of an external memory of 256 words."""
    return (
        f"external_memory={{words: 256, bytes_per_cycle: {bytes_per_cycle}, "
        f"latency_cycles: {latency}, data_port: {port}}}"
    )


def alone(body, transfers=(), matrices=(), settings=(), count=1, **contents):
    """Run one thread: recv of the frame, `body`, send of it."""
    text = f"""
    .thread main tokens=1
        recv channel=0, dst={IN}, words=1
        {body}
        send dest={{host}}, channel=0, src={IN}, words=1, thread=0
        end
    """
    return threads(text, transfers, matrices, settings, count, **contents)


def threads(text, transfers=(), matrices=(), settings=(), count=1, **contents):
    """Run the threads of one core."""
    arch = hand_arch(*(settings or (memory(),)))
    image = replace(core(text, tuple(matrices)), transfers=tuple(transfers))
    row_words = 0 if arch.core.weight_memory else arch.core.data_memory.banks // arch.core.pes
    whole = replace(program(image, arch=arch), external_words=256, row_words=row_words, **contents)
    return run(whole, arch, frames(count), (0,))


@pytest.mark.parametrize(
    ("words", "bytes_per_cycle", "takes"),
    [
        (8, 8, 8), (8, 16, 4), (8, 32, 2), (8, 1000, 2),  # two words of each of four banks
        (8, 2.4, 27), (1, 0.3, 27), (9, 24, 3), (10, 24, 4),
    ],
)  # fmt: skip
def test_T55_T56_a_transfer_takes_request_latency_and_words(words, bytes_per_cycle, takes):
    settings = (memory(bytes_per_cycle),)
    for line in ("xld d=0, external=3, t=0", "xst a=0, external=3, t=0"):
        result = alone(line, [Transfer("t", words)], settings=settings)
        assert result.cycles == AROUND + 1 + LATENCY + takes, line
        assert causes(result, "core0.dma") == {
            "busy": 1 + takes, "latency": LATENCY, "idle": AROUND,
        }  # fmt: skip
        assert causes(result, "core0.sequencer")["dma"] == LATENCY + takes


def test_T55_words_in_one_bank_go_one_a_cycle():
    # five runs of a word, four words apart: all in bank 1 of four
    column = Transfer("t", 1, 5, 4, 1)
    result = alone("xld d=1, external=0, t=0", [column], settings=(memory(64),))
    assert result.cycles == AROUND + 1 + LATENCY + 5
    assert causes(result, "core0.data_memory.bank1") == {
        "busy": 5, "held": 11, "idle": result.cycles - 16,
    }  # fmt: skip
    assert "held" not in causes(result, "core0.data_memory.bank0")


@pytest.mark.parametrize(("port", "waits"), [("banks", True), ("own", False)])
def test_T57_a_transfer_holds_its_banks_unless_they_have_a_port_for_it(port, waits):
    # the vector instruction writes a word of bank 2, into which a word of the transfer goes, too
    side = vset(4) + "vfill d=6, value=1\n"
    text = f"""
    .thread main tokens=1
        recv channel=0, dst={IN}, words=1
        post core=0, thread=1
        xld d=10, external=0, t=0
        post core=0, thread=2
        end
    .thread side tokens=1
        {side}
        post core=0, thread=2
        end
    .thread out tokens=2
        send dest={{host}}, channel=0, src={IN}, words=1, thread=0
        end
    """
    result = threads(text, [Transfer("t", 1)], settings=(memory(8, LATENCY, port),))
    held = causes(result, "core0.data_memory.bank2")
    # xld: a word after the request and the latency; vfill: a beat and three stages
    assert held.get("held", 0) == (LATENCY + 1 + 3 if waits else 3)
    assert held["busy"] == (2 if waits else 1)


def test_T55_the_lowest_core_has_the_channel_first_and_latencies_overlap():
    arch = hand_arch("cores=3", memory(8, LATENCY, "own"))
    text = """
    .thread main tokens=1
        recv channel=0, dst=63, words=1
        xld d=0, external=0, t=0
        send dest={host}, channel=0, src=63, words=1, thread=0
        end
    """
    image = replace(core(text), transfers=(Transfer("t", 20),))
    whole = replace(
        program(
            image, image, image, arch=arch, input=InputPort((0, 1, 2), 0, 0, 4, 16),
            outputs=tuple(OutputPort(c, 0, 4 * c, 4, 16) for c in range(3)),
        ),
        external_words=256,
    )  # fmt: skip
    result = run(whole, arch, frames(1), (0,))
    for c in range(3):
        assert causes(result, f"core{c}.dma").get("channel", 0) == 20 * c
        assert causes(result, f"core{c}.dma")["busy"] == 21
        assert causes(result, f"core{c}.dma")["latency"] == LATENCY


WEIGHT = np.arange(1, 25).reshape(6, 4)


@pytest.mark.parametrize(("resident", "pes"), [(True, 1), (False, 1), (True, 2)])
def test_T53_T55_a_fetch_takes_its_image_or_its_slowest_port(resident, pes):
    mode = "resident" if resident else "preload"
    one = matrix(WEIGHT, format="bitmap", pes=pes, preload=not resident)
    one = replace(one, home=5)
    sizes = [len(words) for words in one.packed.slices]
    index = [len(words) for words in one.packed.indices]
    image = sum(sizes) + sum(index)
    settings = (*PRIVATE, f"core.pes={pes}", f"core.index_memory.mode={mode}")
    for bandwidth in (8, 4096):
        result = alone("fetch m=0, external=5", matrices=[one],
                       settings=(*settings, memory(bandwidth)))  # fmt: skip
        ports = max(*sizes, *index) if resident else max(map(sum, zip(sizes, index, strict=True)))
        takes = image if bandwidth == 8 else ports
        assert result.cycles == AROUND + 1 + LATENCY + takes
        assert result.counts["external_memory.read"] == image
        assert result.counts["weight_memory.write"] == image - resident * sum(index)
        assert result.counts["index_memory.write"] == resident * sum(index)


def test_T57_a_fetch_runs_beside_products_with_another_matrix():
    stays, comes = matrix(WEIGHT), replace(matrix(WEIGHT), base=50, home=0)
    text = f"""
    .thread main tokens=1
        recv channel=0, dst={IN}, words=1
        post core=0, thread=1
        fetch m=1, external=0
        post core=0, thread=2
        end
    .thread side tokens=1
        {nops(3)} spmv_here
        post core=0, thread=2
        end
    .thread out tokens=2
        send dest={{host}}, channel=0, src={IN}, words=1, thread=0
        end
    """.replace("spmv_here", "dmv m=0, src=0, acc=0")
    private = threads(text, (), [stays, comes], (*PRIVATE, memory(1)))
    assert causes(private, "core0.sequencer").get("banks", 0) == 0
    # where the data banks hold weights, the product waits for the fetch
    comes = replace(comes, base=100)
    shared = threads(text, (), [replace(stays, base=50), comes], (memory(1),))
    # it begins behind the two cycles in which the older thread posts its token and ends
    alone_cycles = body_cycles("dmv m=0, src=0, acc=0", hand_arch(), matrices=(stays,))
    assert shared.cycles == private.cycles + 2 + alone_cycles
    assert shared.counts["data_memory.write"] == 1 + sum(map(len, comes.packed.slices)) + sum(
        map(len, comes.packed.indices)
    )


def test_T59_yield_frees_the_context_as_end_does():
    def cycles(instruction: str) -> int:
        text = f"""
        .thread main tokens=1
            recv channel=0, dst={IN}, words=1
            send dest={{host}}, channel=0, src={IN}, words=1, thread=0
            {instruction}
            {"recv channel=0, dst=63, words=1" if instruction == "yield" else "nop"}
            {"send dest={host}, channel=0, src=63, words=1, thread=0" * (instruction == "yield")}
            end
        """
        return threads(text, count=4).cycles

    assert cycles("yield") == cycles("end")


def test_T59_a_thread_goes_on_behind_its_yield_and_a_file_begins_at_its_entry():
    text = f"""
    .thread main tokens=1
        recv channel=0, dst={IN}, words=1
        send dest={{host}}, channel=0, src={IN}, words=1, thread=0
        yield
        recv channel=0, dst={IN}, words=1
        {vset(4)} vfill d={IN}, value=70
        send dest={{host}}, channel=0, src={IN}, words=1, thread=0
        end
    """
    arch = hand_arch()
    result = run(program(core(text), arch=arch), arch, frames(5), (0, 3))
    came = frames(5).tolist()
    assert result.outputs.tolist() == [came[0], [70] * 4, came[2], came[3], [70] * 4]


def test_T60_a_frame_waits_for_the_one_before_whatever_the_period():
    text = """
    .thread main tokens=1
        xld d=63, external=8, t=0
        send dest={host}, channel=0, src=63, words=1, thread=0
        end
    """
    arch = hand_arch(memory())
    image = replace(core(text), transfers=(Transfer("t", 1),))
    port = InputPort((0,), 0, 0, 4, 16, external=8)
    whole = replace(program(image, arch=arch, input=port), external_words=16)
    # request at 0, its word in cycle 1, there at 4; dispatched at the end of 4, xld at 5 for 12
    # cycles, send at 17, output there at 21: the next frame is requested in that cycle
    for period, total in ((None, 2 * 21), (1, 2 * 21), (21, 2 * 21), (30, 30 + 21)):
        assert run(whole, arch, frames(2), (0,), period).cycles == total
    assert run(whole, arch, frames(2), (0, 1)).cycles == 2 * 21 + 1


# --- what is refused


REFUSED = {
    "beyond": ("xld d=0, external=250, t=0", "external memory words 250 to 256 lie beyond the 256"),
    "beyond data": ("xst a=8186, external=0, t=0", "data memory words 8186 to 8192 lie beyond the"),
    "transfer": ("xld d=0, external=0, t=2", "the program has no such transfer; it has 2"),
    "on itself": ("xld d=0, external=0, t=1", r"local_stride \(=1\) must be at least its 2 words"),
    "never fetched": ("dmv m=0, src=0, acc=0", "matrix m is not in weight memory: it was never fe"),
    "elsewhere": ("fetch m=0, external=1", "matrix m from external memory word 1, and it has its"),
    "no matrix": ("fetch m=2, external=1", "the program has no such matrix"),
    "no home": ("fetch m=1, external=1", "and it has no home; fetch matrices from their homes"),
    "home": (
        "xst a=0, external=99, t=0",
        "of which 100 to 10[0-9] are a matrix's image, which sta",
    ),
    "overwritten": (
        "fetch m=0, external=100\ndmv m=1, src=0, acc=0",
        "matrix n is not in weight memory: the fetch of m overwrote it; keep it apart",
    ),
    "loop": ("loop count=2, body=1, bump=0\nyield", "stands inside a loop, which a yield does not"),
}


@pytest.mark.parametrize(("body", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_the_rules_do_not_allow_ends_the_run(body, message):
    one = matrix(WEIGHT)
    matrices = (replace(one, home=100), replace(one, name="n", base=4))
    transfers = (Transfer("t", 7), Transfer("again", 2, 2, 1, 2))
    with pytest.raises(MachineError, match=message) as refused:
        alone(body, transfers, matrices, settings=(*PRIVATE, memory()))
    assert "thread main, instruction" in str(refused.value)


def test_a_yielded_thread_that_is_never_armed_again_is_a_deadlock():
    text = f"""
    .thread main tokens=1
        recv channel=0, dst={IN}, words=1
        yield
        send dest={{host}}, channel=0, src={IN}, words=1, thread=0
        end
    """
    with pytest.raises(DeadlockError, match="outputs missing"):
        threads(text)


def test_segments_come_from_the_program():
    contents = (segment(4, [7, 8, 9, 10]),)
    text = f"xld d={IN}, external=4, t=0"
    result = alone(text, [Transfer("t", 1)], external=contents)
    assert result.outputs.tolist() == [[7, 8, 9, 10]]
    assert lone("", hand_arch()).cycles == AROUND
