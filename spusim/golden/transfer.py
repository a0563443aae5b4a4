"""What the router's instructions mean."""

from spusim.golden.activation import Activation
from spusim.golden.control import Operands
from spusim.golden.errors import MessageError
from spusim.golden.tokens import Message
from spusim.program import HOST


def send(t: Activation, o: Operands) -> None:
    """Send words to a channel of every core in dest, with a token to the thread there."""
    if not o["dest"] or not o["words"]:
        raise MessageError("sends nothing, or to nobody; a bare token is sent with `post`")
    data = t.read_bytes(o["src"], o["words"] * t.core.memory.word_bytes)
    message = Message(data, t.stamp())
    for core in range(HOST):
        if o["dest"] >> core & 1:
            t.chip.deliver(message, core, o["channel"], o["thread"])
    if o["dest"] >> HOST & 1:
        t.chip.host.receive(message, t.number, o["channel"])


def recv(t: Activation, o: Operands) -> None:
    """Take the oldest message of a channel into data memory, waiting for it if need be."""
    message = t.chip.take(t, o["channel"])
    if message is None:
        t.waits_for = o["channel"]
        return
    words = len(message.data) // t.core.memory.word_bytes
    if words != o["words"]:
        raise MessageError(
            f"takes {o['words']} words, but the oldest message of channel {o['channel']} has "
            f"{words}; a recv takes a whole message (T30)"
        )
    t.write_bytes(o["dst"], message.data)
