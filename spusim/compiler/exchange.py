"""What cores send each other between stages, over one channel a sender."""

from dataclasses import dataclass

from spusim.compiler.stages import Stage

HOST_CHANNEL = 0


def sender_channel(core: int) -> int:
    """Return the channel in which every core finds a core's messages."""
    return 1 + core


@dataclass(frozen=True)
class Message:
    """A core's part on its way: new hidden state, the stage's output, or both in one."""

    hidden: bool
    output: bool
    receivers: tuple[int, ...]


@dataclass(frozen=True)
class Exchange:
    """All-gather after stage `before`: to the cores of `after`, and of a recurrent `before`."""

    before: Stage
    after: Stage | None

    @property
    def number(self) -> int:
        """The number of the stage that it leads to."""
        return self.before.number + 1

    @property
    def name(self) -> str:
        """The name of the thread that it starts."""
        return self.after.name if self.after else f"{self.before.name}.h"

    def needs_hidden(self, core: int) -> bool:
        """Tell whether a core needs the other parts of the hidden state."""
        return self.before.recurrent and core in self.before.cores

    def needs_output(self, core: int) -> bool:
        """Tell whether a core needs the other parts of the output."""
        return self.after is not None and core in self.after.cores

    def messages(self, sender: int) -> tuple[Message, ...]:
        """Return a core's messages, in the order in which they are sent and received."""
        hidden = {c for c in self.before.cores if self.before.recurrent}
        output = set(self.after.cores) if self.after else set()
        kinds = (
            [(True, True, hidden | output)]
            if self.before.gives_hidden
            else [(True, False, hidden), (False, True, output)]
        )
        return tuple(
            Message(h, o, tuple(sorted(receivers - {sender})))
            for h, o, receivers in kinds
            if receivers - {sender}
        )

    def received(self, core: int) -> tuple[tuple[int, Message], ...]:
        """Return (sender, message) of all that a core receives."""
        return tuple(
            (sender, message)
            for sender in self.before.cores
            for message in self.messages(sender)
            if core in message.receivers
        )

    def tokens(self, core: int) -> int:
        """Return the tokens of the thread it starts on a core: messages and the core's own."""
        return len(self.received(core)) + (core in self.before.cores)


def plan_exchanges(stages: tuple[Stage, ...]) -> tuple[Exchange, ...]:
    """Return the exchange after every stage; many of them carry nothing."""
    following = [*stages[1:], None]
    return tuple(Exchange(a, b) for a, b in zip(stages, following, strict=True))
