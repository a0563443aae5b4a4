"""What the dma's instructions mean: copies to and from external memory (T51 to T53)."""

from spusim.formats import stored_words
from spusim.golden.activation import Activation
from spusim.golden.control import Operands
from spusim.golden.errors import CodeError, UnknownError
from spusim.golden.state import decoded
from spusim.program import Transfer


def xld(t: Activation, o: Operands) -> None:
    """Copy a transfer's runs from external memory to data memory."""
    transfer = _transfer(t, o, into_data=True)
    outside = transfer.spans(o["external"], transfer.external_stride)
    inside = transfer.spans(o["d"], transfer.local_stride)
    data = [t.read_external(*span) for span in outside]
    for (address, _), run in zip(inside, data, strict=True):
        t.write_bytes(address, run)


def xst(t: Activation, o: Operands) -> None:
    """Copy a transfer's runs from data memory to external memory."""
    transfer = _transfer(t, o, into_data=False)
    outside = transfer.spans(o["external"], transfer.external_stride)
    inside = transfer.spans(o["a"], transfer.local_stride)
    size = transfer.words * t.core.memory.word_bytes
    data = [t.read_bytes(address, size) for address, _ in inside]
    for (address, _), run in zip(outside, data, strict=True):
        t.write_external(address, run)


def fetch(t: Activation, o: Operands) -> None:
    """Copy a matrix's image from its home to its place."""
    matrices = t.core.image.matrices
    if o["m"] >= len(matrices):
        raise UnknownError(
            f"matrix {o['m']} does not exist; core {t.number} has {len(matrices)} descriptors"
        )
    matrix = matrices[o["m"]]
    if matrix.home != o["external"]:
        home = "no home" if matrix.home is None else f"its home in word {matrix.home}"
        raise CodeError(
            f"fetches matrix {matrix.name} from external memory word {o['external']}, and it has "
            f"{home}; fetch matrices from their homes"
        )
    memory = t.chip.external
    words = stored_words(matrix.packed, 8 * memory.word_bytes)
    data = memory.read_bytes(matrix.home, words * memory.word_bytes)
    t.fetch_matrix(o["m"], data)
    t.core.matrices[o["m"]] = decoded(matrix, t.core.image.tables, data)


def _transfer(t: Activation, o: Operands, into_data: bool) -> Transfer:
    """Return the transfer that `t` names; raises UnknownError, CodeError."""
    transfers = t.core.image.transfers
    if o["t"] >= len(transfers):
        raise UnknownError(
            f"transfer {o['t']} does not exist; core {t.number} has {len(transfers)} descriptors"
        )
    transfer = transfers[o["t"]]
    if complaint := transfer.complaint(into_data):
        raise CodeError(complaint)
    return transfer
