"""The host, T31: posts init tokens, sends frames, takes outputs, file after file."""

from collections import Counter

from chip_errors import ChipError
from chip_numbers import element_of, put_element
from chip_router import Message, Network

from spusim.program import HOST, OutputPort, Program


class Host:
    """Frames in, outputs back. Frames are numbered over all files."""

    def __init__(
        self, program: Program, network: Network, frames: list[list[int]], period: int | None
    ) -> None:
        self.program, self.network, self.frames, self.period = program, network, frames, period
        self.ports = {(port.core, port.channel): port for port in program.outputs}
        features = max(int(port.places.max()) + 1 for port in program.outputs)
        self.outputs = [[0] * features for _ in frames]
        self.began: list[int] = []
        self.ended: list[int] = []
        self.stalls = {"host.out": Counter[str](), "host.in": Counter[str]()}
        self.message: Message | None = None  # the frame requested or moving
        self.incoming: list[Message] = []  # outputs whose words move

    def start_file(self, now: int, first: int, end: int) -> None:
        """Begin the file of frames [first, end)."""
        self.start, self.first, self.end = now, first, end
        self.next = first  # to be requested
        self.next_at: int | None = now
        self.served = dict.fromkeys(self.ports, first)  # port -> frame that it serves next

    def file_ended(self) -> bool:
        """Tell whether the file's last output is here."""
        return len(self.ended) == self.end

    def waits_for_a_time(self, now: int) -> bool:
        """Tell whether a frame will be requested at a time to come."""
        return self.next_at is not None and self.next_at > now

    # --- out

    def request(self, now: int) -> None:
        """Request the next frame when it is due."""
        if self.next == self.end or self.next_at is None or now < self.next_at:
            return
        port, frame = self.program.input, self.frames[self.next]
        data = bytearray()
        for plane in range(port.planes):
            data += self.packed(frame[plane :: port.planes])
        words = len(data) * 8 // self.program.word_bits
        cores = port.cores if port.external is None else ()
        self.message = Message(HOST, cores, port.channel, words, port.thread, now, data)
        self.message.external = port.external
        self.network.requests.append(self.message)
        self.next += 1
        self.next_at = None

    def packed(self, values: list[int]) -> bytearray:
        """Return elements of the input as whole words."""
        port = self.program.input
        words = -(-len(values) * port.bits // self.program.word_bits)
        data = bytearray(words * self.program.word_bits // 8)
        for k in range(8 * len(data) // port.bits if port.bits > 1 else len(values)):
            value = values[k] if k < len(values) else port.fill
            put_element(data, k * port.bits, port.bits, value)
        return data

    def granted(self, now: int) -> None:
        """See whether the frame was granted at the end of this cycle; with a period, plan on."""
        if self.message is None or self.message.granted != now:
            return
        self.began.append(now + 1)
        if self.period is not None and self.next < self.end and not self.outside():
            due = self.start + (self.next - self.first) * self.period
            self.next_at = max(due, now + 1)

    def outside(self) -> bool:
        """Tell whether frames go to external memory, where none is overwritten in use, T60."""
        return self.program.input.external is not None

    # --- in

    def receive(self, now: int, message: Message) -> None:
        """Take an output; with a frame's last, and without a period, the next is due."""
        key = (message.sender, message.channel)
        if key not in self.ports or self.served[key] >= self.next:
            raise ChipError(f"output of (core, channel) {key} is not waited for")
        frame = self.served[key]
        self.store(self.ports[key], self.outputs[frame], message)
        self.served[key] += 1
        if all(served > frame for served in self.served.values()):
            self.ended.append(now)
            if self.next < self.end and (self.period is None or self.outside()):
                due = self.start + (self.next - self.first) * (self.period or 0)
                self.next_at = max(due, now)

    def store(self, port: OutputPort, row: list[int], message: Message) -> None:
        """Put a port's elements at their places of the frame."""
        pixels = port.elements // port.planes
        plane_words = -(-pixels * port.bits // self.program.word_bits)
        if message.words != port.planes * plane_words:
            raise ChipError(f"output of {message.words} words, where {port} takes others")
        for k in range(port.elements):
            pixel, plane = divmod(k, port.planes)
            bit = plane * plane_words * self.program.word_bits + pixel * port.bits
            place = port.offset + pixel * (port.stride or port.planes) + plane
            row[place] = element_of(message.data, bit, port.bits)

    # --- cycle

    def state(self, now: int) -> tuple[str, str]:
        """Return what the ports out and in do in a cycle."""
        incoming = any(
            message.moves_in(now) and HOST in message.destinations
            for _, message in self.network.moving
        )
        return self.out_state(now), "busy" if incoming else "idle"

    def out_state(self, now: int) -> str:
        """Return what the port out does: it moves words, or its request waits for a grant."""
        message = self.message
        frames = (m for _, m in self.network.moving if m.sender == HOST)
        if any(frame.moves_in(now) for frame in frames):
            return "busy"
        if message is None or message.requested == now:
            return "idle"
        return "blocked" if message.granted is None else "idle"

    def cycle(self, now: int) -> tuple[str, str]:
        """Attribute the cycle."""
        states = self.state(now)
        for unit, state in zip(self.stalls, states, strict=True):
            self.stalls[unit][state] += 1
        return states
