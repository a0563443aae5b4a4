"""Programs with convolutions and poolings, drawn at random as source texts."""

import random

from convolution_agreement import random_sizes
from convolution_case import ConvCase

FORMATS = ("bitmap", "bitmap", "pencil", "run_length", "n_of_m")
TABLES = ("none", "none", "relu", "curve")
WORD_BITS = 64
SENT = 40  # words


def machine_lines(rng: random.Random, dataflow: str, filters: int) -> tuple[list[str], str, int]:
    """Return the settings of a small machine, a format, and the bits of activations."""
    weights = rng.choice(["skip", "skip", "skip", "dense", "decompress"])
    form = "dense" if weights == "dense" else rng.choice(FORMATS)
    pes, lanes, bits = rng.choice([1, 2, 3, 5]), rng.choice([1, 2, 4]), rng.choice([8, 8, 16, 4])
    rate = rng.choice([1, 1, 2])
    each = lanes * rate if dataflow == "pixel" else 1
    pencil = rng.choice([2, 4])
    group = {"pencil": pencil, "n_of_m": 4}.get(form, 1)
    owned = min(filters, -(-filters // group // pes) * group)  # by the PE with most
    settings = {
        "pes": pes, "lanes": lanes, "dataflow": dataflow, "layer_activation_bits": bits,
        "precisions": f"{{8x{bits}: {rate}}}",
        "accumulators": max(4, owned * each * rng.choice([1, 1, 2, 3])),
        "feeder.words": rng.choice([1, 2, 4]), "queue.depth": rng.choice([1, 2, 3, 8]),
        "queue.release": rng.choice(["pop", "done"]), "scanner.width": rng.choice([1, 2, 4]),
        "data_memory.banks": rng.choice([4, 5, 8]), "data_memory.words": 4096,
        "data_memory.word_bits": WORD_BITS, "decoder.entries_per_cycle": 2,
        "sparse.weights": weights, "sparse.activations": rng.choice(["skip", "dense", "gate"]),
        "sparse.format": form, "sparse.formats": "[dense, bitmap, pencil, run_length, n_of_m]",
        "sparse.pencil": pencil, "sparse.n_of_m": "{kept: 2, group: 4}",
        "vector.lanes": rng.choice([1, 3, 8]), "pipeline.vector_stages": rng.choice([1, 3]),
        "pipeline.mac_stages": rng.randint(1, 4), "table_memory.ports": rng.choice([1, 2]),
    }  # fmt: skip
    lines = [".arch row64", *(f".set core.{name}={value}" for name, value in settings.items())]
    numerics = {
        "accumulator_bits": rng.choice([24, 32, 40]), "overflow": rng.choice(["saturate", "wrap"]),
        "rounding": rng.choice(["floor", "half_up", "half_even"]),
        "requantize_overflow": rng.choice(["saturate", "wrap"]), "table_address_bits": 5,
    }  # fmt: skip
    lines += [f".set numerics.{name}={value}" for name, value in numerics.items()]
    return lines, form, bits


def window_line(name: str, case: ConvCase, **settings: object) -> str:
    """Return a `.window` with the sizes of a case and other settings."""
    top, left, bottom, right = case.padding
    sizes = {
        "channels": case.channels, "height": case.height, "width": case.width,
        "kernel_height": case.kernel[0], "kernel_width": case.kernel[1],
        "stride_y": case.stride[0], "stride_x": case.stride[1], "dilation_y": case.dilation[0],
        "dilation_x": case.dilation[1], "top": top, "left": left, "bottom": bottom, "right": right,
    }  # fmt: skip
    words = " ".join(f"{key}={value}" for key, value in {**sizes, **settings}.items())
    return f".window {name} {words}"


def random_text(seed: int) -> str:
    """Return a program: a convolution, then a pooling of its result, and all of it sent back."""
    rng = random.Random(seed)
    dataflow = rng.choice(["row", "pixel"])
    sizes = random_sizes(rng)
    case = ConvCase(**sizes, weight=[], x=[])
    lines, form, bits = machine_lines(rng, dataflow, case.filters)
    planar = "planar" if dataflow == "pixel" else "interleaved"
    out = rng.choice([8, 8, 16, 32])
    first = rng.randrange(case.out[0])
    rows = rng.randint(1, case.out[0] - first)
    scaling, rounding = rng.choice(["shift", "tensor", "filter"]), rng.choice(["arch", "floor"])
    inputs = case.channels // case.groups if form == "dense" else case.channels
    columns = inputs * case.kernel[0] * case.kernel[1]
    lines += [".set link.channel_words=4000", ".scales sc 8"]
    lines += [
        f"  .scale multiplier={rng.randrange(1 << 12)} shift={rng.randint(0, 24)}"
        for _ in range(case.filters)
    ]
    lines += [
        ".table curve function=tanh in=-4 out=-7 bits=8",
        window_line(
            "w", case, groups=case.groups, first_row=first, rows=rows, layout=planar,
            activations=bits, outputs=out, scaling=scaling, shift=rng.randint(-2, 12), scale="sc",
            rounding=rounding,
        ),
        *matrix_lines(rng, case, form, bits, columns, dataflow),
    ]  # fmt: skip
    pooled = ConvCase(
        channels=case.filters, height=rows, width=case.out[1], filters=1, weight=[], x=[],
        kernel=(rng.randint(1, 3), rng.randint(1, 3)), stride=(rng.randint(1, 2), 1),
        padding=(2, 2, 2, 2),
    )  # fmt: skip
    pools = out < 32
    if pools:
        kind, counted = rng.choice(["max", "average"]), rng.randint(0, 1)
        lines.append(window_line(
            "p", pooled, rows=pooled.out[0], layout=planar, activations=out, outputs=16,
            pooling=kind, counted=counted, multiplier=rng.choice([1, 7000, (1 << 27) - 1]),
            shift=rng.randint(-3, 40),
        ))  # fmt: skip
    return "\n".join([*lines, *code_lines(rng, case, bits, pools, planar == "planar")])


def matrix_lines(
    rng: random.Random, case: ConvCase, form: str, bits: int, columns: int, dataflow: str
) -> list[str]:
    """Return the matrix, its weights listed: those of other groups are zero (T36)."""
    density = rng.choice([0.0, 0.1, 0.4, 1.0])
    head = f".matrix m format={form} rows={case.filters} columns={columns} weights=8"
    lines = [f"{head} activations={bits}"]
    places = case.kernel[0] * case.kernel[1]
    for row in range(case.filters):
        values, kept = [], 0
        for column in range(columns):
            stored = columns // places
            channel = column % stored if dataflow == "row" else column // places
            seen = form == "dense" or case.in_group(row, channel)
            drawn = rng.random() < density and (form != "n_of_m" or row % 4 < 2)
            values.append(rng.randint(-128, 127) if seen and drawn else 0)
            kept += values[-1] != 0
        lines.append("  .values " + ", ".join(map(str, values)))
    return [*lines, f"  .random_bias limit=5000 seed={rng.randrange(100)}"] if density else lines


def code_lines(rng: random.Random, case: ConvCase, bits: int, pools: bool, planar: bool) -> list:
    """Return the frames and the code; what is not sent is compared as the memory's end."""
    pixels, word_bits = case.height * case.width, WORD_BITS
    words = -(-pixels * case.channels * bits // word_bits)
    if planar:
        words = case.channels * -(-pixels * bits // word_bits)
    return [
        f".input elements={words * word_bits // bits} bits={bits}",
        f".output elements={SENT * word_bits // 16} bits=16",
        f".frames count=2 density={rng.choice([0.2, 0.7, 1.0])} seed={rng.randrange(99)}",
        ".thread main tokens=1",
        f"  recv channel=0, dst=64, words={words}",
        f"  conv w=w, m=m, d=4000, a=64, table={rng.choice(TABLES)}",
        "  pool w=p, d=9500, a=4000" if pools else "  nop",
        f"  send dest={{host}}, channel=0, src=4000, words={SENT}, thread=0",
        "  end",
    ]  # fmt: skip
