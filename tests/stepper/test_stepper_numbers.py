"""docs/numbers.md: every mix of precisions, by golden, machine, stepper and plain integers."""

from collections.abc import Sequence

from chip_agreement import disagreements
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim import golden
from spusim.arch.spec import Precision
from spusim.source.read import read_source

MIXES = Precision.__args__
TINY = ("4x8", "4x16", "8x8", "8x16", "16x8", "16x16")
BOOKS = {"c8": (0, -128, -7, -1, 1, 3, 90, 127), "c16": (0, -32768, -300, -1, 2, 129, 32767)}
SIGN = st.sampled_from((1, -1))
FORMATS = ("dense", "bitmap", "run_length", "pencil")


def weight_values(weights: str) -> list[int]:
    """Return the weights of a format that are worth trying; 0 first where there is one."""
    if weights in BOOKS:
        return [*BOOKS[weights]]
    bits = int(weights)
    half = 1 << (bits - 1)
    return [0, 1, -1] if bits <= 2 else [0, 1, -1, -half, half - 1, half // 2]


def activation_values(bits: int) -> list[int]:
    half = 1 << (bits - 1)
    return [1, -1] if bits == 1 else [0, 1, -1, -half, half - 1]


def fold(value: int, bits: int, mode: str) -> int:
    half = 1 << (bits - 1)
    if mode == "saturate":
        return max(-half, min(half - 1, value))
    return (value + half) % (1 << bits) - half


@st.composite
def products(draw: st.DrawFn) -> dict[str, object]:
    """Draw a product that the formats can hold, and the machine that computes it."""
    mix = draw(st.sampled_from(MIXES))
    weights, activations = mix.split("x")
    bits = int(activations)
    form = draw(st.sampled_from(FORMATS))
    rows, columns = draw(st.integers(1, 9)), draw(st.integers(1, 14))
    values = weight_values(weights)
    if weights == "1" and form != "bitmap":
        values = [1, -1]  # one bit has no zero to store
    row = st.lists(st.sampled_from(values), min_size=columns, max_size=columns)
    element = st.sampled_from(activation_values(bits))
    least = max(8, int(weights.removeprefix("c")) + bits)
    return {
        "mix": mix,
        "form": form,
        "weight": draw(st.lists(row, min_size=rows, max_size=rows)),
        "x": draw(st.lists(element, min_size=columns, max_size=columns)),
        "bias": draw(st.lists(st.integers(-100, 100), min_size=rows, max_size=rows)),
        "macs": draw(st.integers(1, 4)),
        "accumulator_bits": draw(st.sampled_from((least, least + 1, 40))),
        "overflow": draw(st.sampled_from(("saturate", "wrap"))),
        "narrow": draw(st.sampled_from((1, 4))),
        "shift": draw(st.integers(-1, 9)),
        "weights": draw(st.sampled_from(("skip", "skip", "decompress"))),
        "hazard": draw(st.sampled_from(("bypass", "stall"))),
    }


def source(case: dict[str, object], activations: str) -> str:
    """Return the program that multiplies, and sends the sums in 32 bits and in a few."""
    weights, bits = str(case["mix"]).split("x")
    weight: list[list[int]] = case["weight"]  # type: ignore[assignment]
    rows, columns, narrow = len(weight), len(weight[0]), case["narrow"]
    book = BOOKS.get(weights, ())
    settings_ = [f"core.precisions.{name}=null" for name in TINY if name != case["mix"]]
    settings_ += [f"core.precisions.{case['mix']}={case['macs']}", "core.decoder.codebooks=1"]
    settings_ += [f"core.layer_weight_bits={4 if book else weights}"] * (not book)
    settings_ += [f"core.layer_activation_bits={bits}"]
    settings_ += [f"numerics.{key}={case[key]}" for key in ("accumulator_bits", "overflow")]
    settings_ += [
        f"core.sparse.activations={activations}",
        f"core.sparse.weights={case['weights']}",
    ]
    settings_ += [f"core.hazard={case['hazard']}"]
    if book:
        # the default precision of `spusim layer` is an integer's
        settings_ += [f"core.precisions.4x{bits}=1", "core.layer_weight_bits=4"]
    lines = [".arch tiny", *(f".set {one}" for one in settings_)]
    lines += [f".input elements={columns} bits={bits}", f".output elements={rows} bits=32"]
    lines += [f".output elements={rows} bits={narrow} channel=1", _listed(".frame", case["x"])]
    lines += [".space x 0 words=4", ".space y 4 words=5", ".space z 10 words=1"]
    if book:
        lines += [".table book address_bits=4 fraction_bits=0 interpolate=0"]
        lines += [_listed("  .values", [*book, *[0] * (16 - len(book))])]
    stored = "weights=4 codebook=book" if book else f"weights={weights}"
    lines += [f".matrix m format={case['form']} rows={rows} columns={columns} {stored} "
              f"activations={bits}"]  # fmt: skip
    lines += [_listed("  .values", one) for one in weight] + [_listed("  .bias", case["bias"])]
    words, short = -(-columns * int(bits) // 64), -(-rows * 32 // 64)
    width = "wd=8" if narrow == 1 else "wd=4"
    binary = ", binary=in_d" if narrow == 1 else ""
    multiply = "dmv" if case["form"] == "dense" else "spmv"
    lines += [
        ".thread main tokens=1",
        f"  recv channel=0, dst=x, words={words}",
        f"  {multiply} m=m, src=x, acc=0",
        f"  vset len={rows}, wa=16, wb=16, wd=32, sa=0, sb=0, sd=0",
        "  vqs d=y, acc=0, table=none",
        f"  vset len={rows}, wa=16, wb=16, {width}, sa=0, sb=0, sd={case['shift']}{binary}",
        "  vqs d=z, acc=0, table=none",
        f"  send dest={{host}}, channel=0, src=y, words={short}, thread=0",
        "  send dest={host}, channel=1, src=z, words=1, thread=0",
        "  end",
    ]
    return "\n".join(lines) + "\n"


def _listed(name: str, values: object) -> str:
    return f"{name} {', '.join(map(str, values))}"  # type: ignore[call-overload]


def expected(case: dict[str, object]) -> list[int]:
    """Compute the outputs in plain integers: sums in 32 bits, then shifted to a few bits."""
    wide, narrow = [], []
    for weights, bias in zip(case["weight"], case["bias"], strict=True):  # type: ignore[call-overload]
        acc = fold(bias, case["accumulator_bits"], case["overflow"])
        for weight, x in zip(weights, case["x"], strict=True):
            if x:
                acc = fold(acc + weight * x, case["accumulator_bits"], case["overflow"])
        wide.append(fold(acc, 32, "saturate"))
        shift: int = case["shift"]  # type: ignore[assignment]
        scaled = acc << -shift if shift <= 0 else (acc + (1 << (shift - 1))) >> shift
        sign = 1 if scaled >= 0 else -1
        narrow.append(sign if case["narrow"] == 1 else fold(scaled, 4, "saturate"))
    return wide + narrow


@settings(max_examples=150, deadline=None, derandomize=True)
@given(case=products())
def test_N11_every_mix_in_every_format(case: dict[str, object]) -> None:
    for activations in ("skip", "dense", "gate"):
        loaded = read_source(source(case, activations), "product.spuasm")
        found = golden.run(loaded.program, loaded.frames, loaded.starts)
        assert found.outputs.tolist() == [expected(case)]
        run = (loaded.program, loaded.arch, loaded.frames, loaded.starts)
        assert disagreements(*run) == ""


@settings(max_examples=60, deadline=None, derandomize=True)
@given(signs=st.lists(st.tuples(SIGN, SIGN), min_size=1, max_size=14))
def test_N11_one_by_one_counts_equal_bits(signs: Sequence[tuple[int, int]]) -> None:
    weights, x = zip(*signs, strict=True)
    packed = [sum((one > 0) << k for k, one in enumerate(side)) for side in (weights, x)]
    n = len(x)
    agreeing = (~(packed[0] ^ packed[1]) & ((1 << n) - 1)).bit_count()
    case = {
        "mix": "1x1", "form": "dense", "weight": [[*weights]], "x": [*x], "bias": [0], "macs": 4,
        "accumulator_bits": 32, "overflow": "saturate", "narrow": 1, "shift": 0, "weights": "skip",
        "hazard": "bypass",
    }  # fmt: skip
    loaded = read_source(source(case, "skip"), "product.spuasm")
    outputs = golden.run(loaded.program, loaded.frames, loaded.starts).outputs
    assert outputs[0, 0] == 2 * agreeing - n
