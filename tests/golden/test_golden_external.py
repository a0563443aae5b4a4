"""External memory and threads that yield: T51 to T53, T59 and T60 as golden has them."""

from dataclasses import replace

import numpy as np
import pytest

from spusim.golden import AccessError, CodeError, RaceError
from spusim.placement import external_complaint
from spusim.program import InputPort, OutputPort, Segment, Transfer

FRAMES = np.arange(1, 13).reshape(3, 4)
SEND = {"dest": 1 << 15, "channel": 0, "src": 0, "words": 1, "thread": 0}


def words(*values):
    """Return words of 64 bits, each an integer."""
    return np.array(values, "<i8").view(np.uint8).reshape(-1, 8)


def copied(hand, body, transfers, external=(), size=64, outputs=4):
    """Run one thread over one frame: it takes it to word 0, does `body`, and sends word 0."""
    op = hand.op
    image = hand.core(hand.thread("only", [op.recv(dst=0), *body, op.send(src=0)]))
    program = replace(
        hand.program(replace(image, transfers=tuple(transfers))),
        external=tuple(external), external_words=size,
    )  # fmt: skip
    return hand.run(program, FRAMES[:1], [0])


def external(result):
    """Return external memory as integers."""
    return result.external_memory.reshape(-1).view("<i8").tolist()


def data(result, address, count):
    """Return words of core 0's data memory as integers."""
    return result.data_memory[0][address : address + count].reshape(-1).view("<i8").tolist()


def test_T52_runs_lie_a_stride_apart_on_both_sides(hand):
    op = hand.op
    shape = Transfer("t", words=2, runs=3, local_stride=5, external_stride=4)
    start = Segment("s", 10, words(*range(100, 112)))
    result = copied(hand, [op.xld(d=20, external=10, t=0), op.xst(a=20, external=40, t=0)],
                    [shape], [start])  # fmt: skip
    assert data(result, 20, 2) + data(result, 25, 2) + data(result, 30, 2) == [
        100, 101, 104, 105, 108, 109,
    ]  # fmt: skip
    moved = external(result)[40:50]
    assert [moved[k] for k in (0, 1, 4, 5, 8, 9)] == [100, 101, 104, 105, 108, 109]
    assert moved[2] == moved[3] == int.from_bytes(b"\xa5" * 8, "little", signed=True)


def test_T52_what_is_read_may_overlap_itself_and_what_is_written_may_not(hand):
    op = hand.op
    again = Transfer("t", words=2, runs=2, local_stride=2, external_stride=1)
    result = copied(
        hand, [op.xld(d=20, external=0, t=0)], [again], [Segment("s", 0, words(7, 8, 9))]
    )
    assert data(result, 20, 4) == [7, 8, 8, 9]
    with pytest.raises(CodeError, match=r"external_stride \(=1\) must be at least its 2 words"):
        copied(hand, [op.xst(a=20, external=0, t=0)], [again])
    empty = Transfer("none", words=0)
    with pytest.raises(CodeError, match=r"transfer none: words \(=0\) and runs \(=1\)"):
        copied(hand, [op.xst(a=20, external=0, t=0)], [empty])


@pytest.mark.parametrize(
    ("first", "size", "message"),
    [
        (60, 64, "external memory words 60 to 67 lie beyond the 64 words"),
        (0, 0, "external memory words 0 to 7 lie beyond the 0 words"),
    ],
)
def test_T51_accesses_beyond_the_last_word_are_refused(hand, first, size, message):
    op, eight = hand.op, Transfer("t", 8)
    for body in ([op.xld(d=20, external=first, t=0)], [op.xst(a=0, external=first, t=0)]):
        with pytest.raises(AccessError, match=message):
            copied(hand, body, [eight], size=size)


def test_loops_move_the_data_address_and_not_the_external_one(hand):
    op = hand.op
    body = [op.loop(count=3, body=1, bump=2), op.xld(d=20, external=1, t=0)]
    result = copied(hand, body, [Transfer("t", 1)], [Segment("s", 0, words(5, 6))])
    assert [data(result, at, 1) for at in (20, 22, 24)] == [[6]] * 3


def test_contents_that_lie_on_each_other_are_refused(hand):
    program = hand.program(hand.core(hand.thread("only", [])))
    two = (Segment("one", 0, words(1, 2, 3)), Segment("two", 2, words(4)))
    program = replace(program, external=two, external_words=8)
    assert "two takes words 2 to 2 of external memory, and one words 0 to 2" in (
        external_complaint(program)
    )
    assert not external_complaint(replace(program, external=(two[0],)))
    assert "and the program has 2" in external_complaint(replace(program, external_words=2))


# matrices at home


def at_home(hand, body, bases=(0, 0), homes=(0, 16), frames=FRAMES[:1]):
    """Run one thread with two matrices of 2 x 4, which overlap where their bases are equal."""
    op = hand.op
    one, two = np.array([[1, 2, 3, 4]] * 2), np.array([[-1, 0, 5, 1]] * 2)
    matrices = tuple(
        replace(hand.matrix(weight), name=name, base=base, home=home)
        for name, weight, base, home in zip("ab", (one, two), bases, homes, strict=True)
    )
    store = [op.vset(len=2, wd=32), op.vqs(d=0, acc=0, table=63)]
    image = hand.core(
        hand.thread("only", [op.recv(dst=8), *body, *store, op.send(src=0)]), matrices=matrices
    )
    program = hand.program(image, outputs=(OutputPort(0, 0, 0, 2, 32),))
    return hand.run(replace(program, external_words=32), frames, [0]).outputs.tolist()


def product(hand, m):
    """Return the product with a matrix."""
    return hand.op.spmv(m=m, src=8, acc=0)


def test_T53_products_use_what_was_fetched_last(hand):
    op = hand.op
    a, b = op.fetch(m=0, external=0), op.fetch(m=1, external=16)
    assert at_home(hand, [a, product(hand, 0)]) == [[30, 30]]
    assert at_home(hand, [a, b, product(hand, 1)]) == [[18, 18]]
    assert at_home(hand, [a, b, a, product(hand, 0)]) == [[30, 30]]
    assert at_home(hand, [a, b, product(hand, 0)], bases=(0, 9)) == [[30, 30]]


def test_T53_a_matrix_that_is_not_resident_is_refused(hand):
    op = hand.op
    a, b = op.fetch(m=0, external=0), op.fetch(m=1, external=16)
    with pytest.raises(CodeError, match=r"matrix a is not in weight memory: it was never fetched"):
        at_home(hand, [product(hand, 0)])
    with pytest.raises(CodeError, match=r"matrix a is .*: the fetch of b overwrote it; fetch it"):
        at_home(hand, [a, b, product(hand, 0)])
    with pytest.raises(CodeError, match=r"matrix a is .*overwrote it; keep it apart"):
        at_home(hand, [b, product(hand, 0)], homes=(None, 16))
    with pytest.raises(
        CodeError, match=r"matrix a from external memory word 4, and it has its home"
    ):
        at_home(hand, [op.fetch(m=0, external=4)])
    with pytest.raises(CodeError, match="and it has no home"):
        at_home(hand, [op.fetch(m=0, external=0)], homes=(None, 16))


def test_T51_images_are_never_written(hand):
    op = hand.op
    one = hand.matrix(np.ones((2, 4), int))
    image = hand.core(hand.thread("only", [op.recv(dst=0), op.xst(a=0, external=9, t=0)]),
                      matrices=(replace(one, home=8),))  # fmt: skip
    program = hand.program(replace(image, transfers=(Transfer("t", 1),)))
    with pytest.raises(AccessError, match=r"are the image of matrix m, which stays"):
        hand.run(replace(program, external_words=32), FRAMES[:1], [0])


# races


def raced(hand, first, second, ordered, matrices=(), transfers=()):
    """Run two threads that a front one arms both, or the second by the first."""
    op = hand.op
    front = [op.recv(dst=0), op.post(core=0, thread=1)]
    both = [*first, op.post(core=0, thread=3)]
    (both if ordered else front).append(op.post(core=0, thread=2))
    image = hand.core(
        hand.thread("front", front),
        hand.thread("first", both),
        hand.thread("second", [*second, op.post(core=0, thread=3)]),
        hand.thread("last", [op.send(src=0)], tokens=2),
        matrices=tuple(matrices),
    )
    program = hand.program(replace(image, transfers=tuple(transfers)))
    hand.run(replace(program, external_words=4096), FRAMES[:1], [0])


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (("xst", {"a": 40, "external": 1030}), ("xld", {"d": 50, "external": 1031}),
         "reads external memory word 1031, which core 0 thread 1 .* writes"),
        (("xld", {"d": 40, "external": 1030}), ("xst", {"a": 50, "external": 1029}),
         "writes external memory word 1030, which .* reads"),
        (("xst", {"a": 40, "external": 1023}), ("xst", {"a": 50, "external": 1024}),
         "writes external memory word 1024, which .* writes"),
        (("xld", {"d": 40, "external": 0}), ("xst", {"a": 41, "external": 9}),
         "reads core 0 word 41, which .* writes"),
    ],
)  # fmt: skip
def test_transfers_that_no_token_orders_are_races(hand, first, second, message):
    bodies = [[getattr(hand.op, name)(**operands, t=0)] for name, operands in (first, second)]
    with pytest.raises(RaceError, match=message):
        raced(hand, *bodies, False, transfers=(Transfer("t", 2),))
    raced(hand, *bodies, True, transfers=(Transfer("t", 2),))


def test_a_fetch_over_a_matrix_in_use_is_a_race(hand):
    op = hand.op
    one = hand.matrix(np.ones((2, 4), int))
    matrices = (replace(one, name="a"), replace(one, name="b", base=0, home=8))
    bodies = [op.spmv(m=0, src=60, acc=0)], [op.fetch(m=1, external=8)]
    where = r"writes core 0 weight memory row 0, which .*first.*`spmv m=0 .*` reads"
    with pytest.raises(RaceError, match=where):
        raced(hand, *bodies, False, matrices)
    raced(hand, *bodies, True, matrices)
    apart = (matrices[0], replace(matrices[1], base=7))
    raced(hand, *bodies, False, apart)


# yield


def test_T59_a_thread_goes_on_behind_its_yield_and_begins_anew_after_its_end(hand):
    op = hand.op
    body = [
        op.recv(dst=0), op.vset(len=1, wd=64 // 2), op.vfill(d=1, value=1), op.send(src=1),
        op.yield_(),
        op.recv(dst=0), op.vset(len=1, wd=32), op.vfill(d=1, value=2), op.send(src=1),
    ]  # fmt: skip
    program = hand.program(
        hand.core(hand.thread("only", body)), outputs=(OutputPort(0, 0, 0, 1, 32),)
    )
    frames = np.tile(FRAMES, (2, 1))
    assert hand.run(program, frames, [0]).outputs.ravel().tolist() == [1, 2] * 3
    # a file begins with every thread at its entry
    assert hand.run(program, frames, [0, 1]).outputs.ravel().tolist() == [1, 1, 2, 1, 2, 1]


def test_T59_nothing_outlasts_a_yield(hand):
    op = hand.op
    body = [
        op.recv(dst=0), op.vset(len=4, wd=16), op.zset(operand=3), op.send(src=0),
        op.yield_(), op.recv(dst=0), op.vfill(d=0, value=7), op.send(src=0),
    ]  # fmt: skip
    program = hand.program(hand.core(hand.thread("only", body)))
    # a length of 0: the second vfill fills nothing
    assert hand.run(program, FRAMES[:2], [0]).outputs.tolist() == FRAMES[:2].tolist()


def test_T59_a_yield_inside_a_loop_is_refused(hand):
    op = hand.op
    body = [op.recv(dst=0), op.loop(count=2, body=1, bump=0), op.yield_()]
    program = hand.program(hand.core(hand.thread("only", body)))
    with pytest.raises(CodeError, match="stands inside a loop, which a yield does not keep"):
        hand.run(program, FRAMES[:1], [0])


# the host


def test_T60_frames_arrive_in_external_memory(hand):
    op = hand.op
    image = hand.core(hand.thread("only", [op.xld(d=0, external=5, t=0), op.send(src=0)]))
    program = hand.program(
        replace(image, transfers=(Transfer("t", 1),)),
        input=InputPort((0,), 0, 0, 4, 16, external=5),
    )
    program = replace(program, external_words=6)
    assert hand.run(program, FRAMES, [0]).outputs.tolist() == FRAMES.tolist()
    with pytest.raises(CodeError, match="the input port takes words 5 to 5 of external memory"):
        hand.run(replace(program, external_words=5), FRAMES, [0])
