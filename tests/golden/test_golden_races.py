"""Conflicts that no token orders are refused, naming both; their ordered twins are accepted."""

import re

import numpy as np
import pytest

from spusim.golden import RaceError
from spusim.program import OutputPort

FRAMES = np.arange(1, 13).reshape(3, 4)


def two_threads(hand, first, second, ordered, give=(), take=(), **image):
    """Return a program whose `front` arms both threads at once, or the second by the first.

    `front` does `give` first, `last` does `take` after both; thread 4 does nothing.
    """
    op = hand.op
    front = [op.recv(dst=0), *give, op.post(core=0, thread=1)]
    both = [*first, op.post(core=0, thread=3)]
    (both if ordered else front).append(op.post(core=0, thread=2))
    return hand.program(
        hand.core(
            hand.thread("front", front),
            hand.thread("first", both),
            hand.thread("second", [*second, op.post(core=0, thread=3)]),
            hand.thread("last", [*take, op.send(src=0)], tokens=2),
            hand.thread("sink", []),
            **image,
        )
    )


def actions(hand, text):
    """Return instructions for a short text, with addresses that conflict with nothing else."""
    mnemonic, *given = text.split()
    operands = {name: int(value) for name, value in (pair.split("=") for pair in given)}
    op = hand.op
    defaults = {
        "vfill": {"d": 80, "value": 1},
        "vmov": {"d": 80, "a": 84},
        "spmv": {"m": 0, "src": 90, "acc": 40},
        "spmva": {"m": 0, "src": 90, "acc": 40},
        "vqs": {"d": 94, "acc": 40, "table": 63},
        "vqm": {"d": 94, "acc": 44, "scale": 25, "table": 63},
        "send": {"dest": 1, "channel": 1, "src": 70, "words": 1, "thread": 4},
        "recv": {"channel": 0, "dst": 71},
    }
    return [op.vset(len=8), getattr(op, mnemonic)(**(defaults[mnemonic] | operands))]


# name -> what first and second do, where the conflict is, and what the first did there
CONFLICTS = {
    "write then write": ("vfill d=20", "vfill d=20", "writes core 0 word 20", "writes"),
    "write then read": ("vfill d=20", "vmov a=20", "reads core 0 word 20", "writes"),
    "read then write": ("vmov a=20", "vfill d=20", "writes core 0 word 20", "reads"),
    "last word of a vector": ("vfill d=19", "vfill d=20", "writes core 0 word 20", "writes"),
    "operand of a product": ("vfill d=20", "spmv src=20", "reads core 0 word 20", "writes"),
    "accumulators": ("spmv acc=0", "spmv acc=1", "writes core 0 accumulator row 1", "writes"),
    "requantising": ("spmv acc=0", "vqs acc=1", "reads core 0 accumulator row 1", "writes"),
    "going on": ("vqs acc=0", "spmva acc=0", "writes core 0 accumulator row 0", "reads"),
    "scales": ("vfill d=60", "vqm scale=15", "reads core 0 word 60", "writes"),
    "sending": ("vfill d=20", "send src=20", "reads core 0 word 20", "writes"),
}


@pytest.mark.parametrize("name", CONFLICTS)
def test_conflicts_are_races_unless_tokens_order_them(hand, name):
    first, second, what, before = CONFLICTS[name]
    matrices = (hand.matrix(np.ones((8, 8), np.int64)),)
    apart, together = (
        two_threads(hand, actions(hand, first), actions(hand, second), order, matrices=matrices)
        for order in (True, False)
    )
    hand.run(apart, FRAMES, [0])
    with pytest.raises(RaceError) as caught:
        hand.run(together, FRAMES, [0])
    message = str(caught.value)
    assert re.search(rf"core 0 thread 2 \(second\) instruction \d+ `.*`: {what}, which", message)
    assert re.search(rf"core 0 thread 1 \(first\) instruction \d+ `.*` {before};", message)
    hand.run(together, FRAMES, [0], check_races=False)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("vmov d=40 a=20", "vmov d=50 a=20"),  # both read
        ("vfill d=20", "vfill d=22"),  # neighbours
        ("spmv acc=0", "spmv acc=8"),
        ("vfill d=61", "vqm scale=15"),  # vqm reads one entry, one word
    ],
)
def test_what_does_not_conflict_needs_no_order(hand, first, second):
    matrices = (hand.matrix(np.ones((8, 8), np.int64)),)
    bodies = actions(hand, first), actions(hand, second)
    memory = {60: np.array([1, 0], np.int64)}  # a scale entry: multiplier 1, shift 0
    whole = two_threads(hand, *bodies, ordered=False, matrices=matrices, memory=memory)
    hand.run(whole, FRAMES, [0])


def test_words_conflict_even_where_their_bytes_do_not(hand):
    op = hand.op
    left = [op.vset(len=2), op.vfill(d=20, value=1)]
    right = [op.vset(len=4, wa=8), op.vmov(d=40, a=20)]
    with pytest.raises(RaceError, match="word 20"):
        hand.run(two_threads(hand, left, right, ordered=False), FRAMES, [0])


def test_a_later_access_is_checked_against_every_reader(hand):
    op = hand.op
    # `last` is ordered after both readers, the front of the next frame after `last`
    reads = [[op.vset(len=4), op.vmov(d=d, a=0)] for d in (40, 50)]
    hand.run(two_threads(hand, *reads, ordered=False), FRAMES, [0])
    write = [op.vset(len=4), op.vfill(d=0, value=1)]
    with pytest.raises(RaceError, match=r"writes core 0 word 0, which .*\(first\) .* reads"):
        hand.run(two_threads(hand, reads[0], write, ordered=False), FRAMES, [0])


@pytest.mark.parametrize(
    ("mine", "other"), [("vmov a=20", "vfill d=20"), ("vfill d=20", "vmov d=90 a=20")]
)
def test_a_token_orders_what_is_before_its_post_and_not_the_very_next_instruction(
    hand, mine, other
):
    op = hand.op
    setup, action = actions(hand, mine)

    def build(*body):
        front = hand.thread("front", [op.recv(dst=0), setup, *body])
        rest = hand.thread("rest", [*actions(hand, other), op.send(src=0)])
        return hand.program(hand.core(front, rest))

    post = op.post(core=0, thread=1)
    hand.run(build(action, post), FRAMES, [0])
    with pytest.raises(RaceError, match="word 20"):
        hand.run(build(post, action), FRAMES, [0])


def test_a_channels_senders_must_be_ordered(hand):
    send = actions(hand, "send")
    take = [hand.op.recv(channel=1, dst=dst) for dst in (30, 31)]
    hand.run(two_threads(hand, send, send, ordered=True, take=take), FRAMES, [0])
    with pytest.raises(
        RaceError, match=r"uses the send end of core 0 channel 1, and so does .*first"
    ):
        hand.run(two_threads(hand, send, send, ordered=False, take=take), FRAMES, [0])


def test_a_channels_receivers_must_be_ordered(hand):
    give = actions(hand, "send") * 2
    take = [actions(hand, f"recv channel=1 dst={dst}") for dst in (30, 31)]
    hand.run(two_threads(hand, *take, ordered=True, give=give), FRAMES, [0])
    with pytest.raises(
        RaceError, match=r"uses the recv end of core 0 channel 1, and so does .*first"
    ):
        hand.run(two_threads(hand, *take, ordered=False, give=give), FRAMES, [0])


def test_cores_have_words_of_their_own(hand):
    op = hand.op
    fill = [op.vset(len=4), op.vfill(d=9, value=0)]
    send = op.send(dest=2, channel=0, src=0, words=1, thread=0)
    zero = hand.thread("zero", [op.recv(dst=0), send, *fill])
    one = hand.thread("one", [op.recv(dst=0), *fill, op.send(src=0)])
    whole = hand.program(hand.core(zero), hand.core(one), outputs=(OutputPort(1, 0, 0, 4, 16),))
    assert hand.run(whole, FRAMES, [0]).outputs.tolist() == FRAMES.tolist()


def test_what_a_frame_leaves_undone_races_with_the_next_one(hand):
    op = hand.op
    late = [op.vset(len=4), op.vadd(d=10, a=10, b=0)]
    arm = [op.recv(dst=0), op.post(core=0, thread=1)]
    before = hand.program(
        hand.core(hand.thread("front", arm), hand.thread("rest", [*late, op.send(src=0)]))
    )
    after = hand.program(
        hand.core(hand.thread("front", [*arm, op.send(src=0)]), hand.thread("rest", late))
    )
    hand.run(before, FRAMES, [0])
    hand.run(after, FRAMES[:1], [0])
    hand.run(after, FRAMES, [0, 1, 2])  # a file waits for all threads of the one before
    with pytest.raises(RaceError, match=r"`recv .*writes core 0 word 0, which .*\(rest\) .* reads"):
        hand.run(after, FRAMES, [0])


def test_a_recv_is_ordered_after_the_send_even_if_the_token_goes_elsewhere(hand):
    op = hand.op
    put = [op.recv(dst=0), op.vset(len=4), op.vfill(d=20, value=5)]
    tell = op.send(dest=1, channel=1, src=0, words=1, thread=2)
    use = [op.recv(channel=1, dst=30), op.vset(len=4), op.vmov(d=31, a=20), op.send(src=31)]
    sink = hand.thread("sink", [])

    def build(*front):
        threads = hand.thread("front", [*front]), hand.thread("use", use), sink
        return hand.program(hand.core(*threads), init=((0, 1),))

    assert hand.run(build(*put, tell), FRAMES[:1], [0]).outputs.tolist() == [[5] * 4]
    with pytest.raises(RaceError, match=r"`vmov .*reads core 0 word 20, which .*\(front\)"):
        hand.run(build(put[0], tell, *put[1:]), FRAMES[:1], [0])


def test_tokens_that_may_take_each_others_place_are_a_race(hand):
    op = hand.op

    def build(credit):
        # `pair` takes one token of each worker; without credit, `fast` may bring both of them
        front = [op.recv(dst=0), op.post(core=0, thread=1), op.post(core=0, thread=2)]
        fast = [op.post(core=0, thread=3)]
        twice = [*fast, op.post(core=0, thread=4)]
        return hand.program(
            hand.core(
                hand.thread("front", front),
                hand.thread("fast", fast if credit else twice),
                hand.thread("slow", fast),
                hand.thread("pair", [op.send(src=0)] if credit else [op.nop()], tokens=2),
                hand.thread("out", [op.send(src=0)]),
            )
        )

    hand.run(build(credit=True), FRAMES, [0])
    with pytest.raises(
        RaceError, match=r"\(fast\) .*posts a token to core 0 thread 3 \(pair\) .*\(slow\)"
    ):
        hand.run(build(credit=False), FRAMES, [0])


def test_many_frames_of_long_vectors_are_checked_in_reasonable_time(hand):
    op = hand.op
    words = [op.vset(len=800), op.loop(count=10, body=1, bump=0), op.vadd(d=1000, a=1000, b=2000)]
    whole = two_threads(hand, words, words, ordered=True)
    result = hand.run(whole, np.zeros((30, 4), int), [0])
    assert result.counts["vadd"] == 30 * 2 * 10
