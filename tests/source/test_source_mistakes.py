"""Program sources with every kind of mistake: file, line, column, token and what to do."""

import pytest

from spusim.isa import AssemblyError
from spusim.source import read_source

HEAD = ".arch tiny\n.input elements=4\n.output elements=4\n"
CODE = """.thread main tokens=1
  recv channel=0, dst=0, words=1
  send dest={host}, channel=0, src=0, words=1, thread=0
  end
"""


def mistakes(text: str) -> list[str]:
    """Return the mistakes of a text without the file's name."""
    with pytest.raises(AssemblyError) as error:
        read_source(text, "t.spuasm")
    assert all(e.startswith("t.spuasm:") for e in error.value.errors)
    return [e.removeprefix("t.spuasm:") for e in error.value.errors]


M = ".matrix m format=bitmap rows=2 columns=2"
ROWS = "\n.values 1, 2\n.values 3, 4\n"
MISTAKES = {
    # form
    "directive": (".matrx m", "4:1: `.matrx`: unknown directive; did you mean .matrix?"),
    "far directive": (".zzz", "4:1: `.zzz`: unknown directive; known: .arch"),
    "mnemonic": ("vmvo 1, 2", "4:1: `vmvo`: is no instruction"),
    "label twice": ("a: nop\na: nop", "5:1: `a`: is already defined in line 4"),
    "label and matrix": (M + ROWS + "m: nop", "7:1: `m`: is already defined in line 4"),
    "matrix twice": (M + ROWS + M + ROWS, "7:9: `m`: is already defined in line 4"),
    "no name": (".matrix format=bitmap", "4:9: `format`: is a setting, where name is expected; wr"),
    "no setting": (M + " depth=3", "4:42: `depth`: is no setting of .matrix, which has: format"),
    "setting twice": (M + " rows=3", "4:42: `rows`: is given twice"),
    "no value": (".period", "4:8: `end of line`: expected a value for cycles; write `.period CYCL"),
    "missing": (".matrix m rows=2", "4:1: `.matrix`: lacks format, columns; write `.matrix NAME"),
    "choice": (M.replace("bitmap", "sparse"), "4:18: `sparse`: (=sparse) must be one of dense"),
    "bits": (".data d 0 bits=12\n.values 1", "4:16: `12`: (=12) must be one of 1, 4, 8, 16, 32"),
    "set": (".set core.lanes 4", "4:1: `.set`: expected `.set PATH=VALUE`"),
    "unknown name": (".data d N", "4:9: `N`: unknown name"),
    "no list": (M + "\n.values", "5:8: `end of line`: expected values"),
    "list": (M + "\n.values 1 2", "5:11: `2`: expected an operator"),
    "real": (M + "\n.random density=half seed=1", "5:17: `half`: expected a number"),
    "stray body": (".values 1", "4:1: `.values`: must follow .matrix or .data or .external or "),
    "wrong body": (".data d 0\n.bias 1", "5:1: `.bias`: must follow .matrix"),
    "body after code": (M + "\nnop\n.core 0\n.values 1", "7:1: `.values`: must follow"),
    # program
    "two inputs": (".input elements=4", "4:1: `.input`: stands twice"),
    "input thread": (".init core=0 thread=9", "4:21: `9`: core 0 thread 9 does not exist"),
    "init twice": (".init core=0 thread=0\n.init core=0 thread=0", "5:21: `0`: names a thread twi"),
    "output core": (".output elements=1 core=1", "4:25: `1`: core 1 does not exist; tiny has 1"),
    "output channel": (".output elements=1 channel=16", "4:28: `16`: channel (=16) must be 0 to 1"),
    "same channel": (".output elements=1", "4:1: `.output`: core 0 channel 0 is another output's"),
    "same elements": (".output elements=1 channel=1 offset=3", "4:37: `3`: offset (=3) lies in an"),
    "no elements": (".output elements=0 channel=1", "4:18: `0`: elements (=0) must be 1 to 65536"),
    "planes": (".output elements=4 channel=1 planes=3", "4:37: `3`: planes (=3) must divide elem"),
    "core": (".core 1", "4:7: `1`: core 1 does not exist; tiny has 1: set cores=2"),
    "core 15": (".core 15", "4:7: `15`: core (=15) must be 0 to 14"),
    "period": (".period 0", "4:9: `0`: period (=0) must be 1 to"),
    "two periods": (".period 1\n.period 2", "5:1: `.period`: stands in line 4 already"),
    "two archs": (".arch tiny", "4:1: `.arch`: stands in line 1 already"),
    "frame": (".frame 1, 2", "4:1: `.frame`: has 2 elements; the program takes 4"),
    "frame value": (".frame 1, 2, 3, 32768", "4:17: `32768`: (=32768) must be -32768 to 32767"),
    "density": (".frames count=1 density=1.5 seed=1", "4:25: `1.5`: density (=1.5) must be from 0"),
    "count": (".frames count=0 density=1 seed=1", "4:15: `0`: count (=0) must be 1 to"),
    "seed": (".frames count=1 density=1 seed=-1", "4:32: `-`: seed (=-1) must be at least 0"),
    "empty file": (".frame 1, 2, 3, 4\n.file", "5:1: `.file`: has no frames"),
    # parts
    "row": (M + "\n.values 1\n.values 2, 3", "5:1: `.values`: has 1 values; a row of m has 2"),
    "rows": (M + "\n.values 1, 2", "4:1: `.matrix`: has 1 rows of values below it, not 2"),
    "weight": (M + "\n.values 1, 128\n.values 1, 2", "5:12: `128`: (=128) must be -128 to 127"),
    "both": (M + ROWS + ".random density=1 seed=1", "7:1: `.random`: stands beside listed values"),
    "bias": (M + ROWS + ".bias 1", "7:1: `.bias`: has 1 values; m has 2 rows"),
    "two biases": (M + ROWS + ".bias 1, 2\n.bias 1, 2", "8:1: `.bias`: stands twice"),
    "wide bias": (M + ROWS + ".bias 1, 9999999999", "bias 9999999999 does not fit bias_bits"),
    "no rows": (M.replace("rows=2", "rows=0"), "4:30: `0`: rows (=0) must be 1 to"),
    "table": (".table t function=exp", "4:8: `t`: function 'exp' has no table"),
    "empty table": (".table t", "4:1: `.table`: needs either function=NAME or `.values`"),
    "table entries": (".table t address_bits=1 interpolate=0\n.values 1", "has 1 entries; 2**addr"),
    "address bits": (".table t function=tanh address_bits=16", "4:37: `16`: address_bits (=16)"),
    "table value": (".table t address_bits=1 interpolate=0\n.values 1, 40000", "beyond -32768 to"),
    "table memory": (".table t function=tanh base=900", "4:8: `t`: takes words 900 to 1156 of a t"),
    "tables": (".table t function=tanh\n.table u function=tanh base=9", "5:8: `u`: takes entries"),
    "multiplier": (".scales s 0\n.scale multiplier=2147483648 shift=1", "5:19: `2147483648`: mult"),
    "scale shift": (".scales s 0\n.scale multiplier=1 shift=63", "5:27: `63`: shift (=63) must be"),
    "scale address": (".scales s 6", "4:11: `6`: address (=6) of scale entries must be a multiple"),
    "no data": (".data d 0", "4:1: `.data`: has no values"),
    "no count": (".data d 0\n.random density=1 seed=1", "5:1: `.random`: lacks count"),
    "address": (".data d -1", "4:9: `-`: address (=-1) must be at least 0"),
    "overlap": (".data d 3\n.values 1\n.space e 0 words=4", "6:8: `e`: takes words 0 to 3, and d"),
    "matrix on data": (".space d 6 words=1\n" + M + " base=3" + ROWS, "5:9: `m`: takes words 6 to"),
    "data beyond": (".space d 4090 words=7", "4:8: `d`: takes words 4090 to 4096 of a data memory"),
    "negative space": (".space d 0 words=-1", "4:18: `-`: words (=-1) must be at least 0"),
    "matrix too large": (
        ".matrix m format=dense rows=128 columns=256 weights=16\n.random density=1 seed=1",
        "4:9: `m`: takes words 0 to 8191 of a data memory of 4096; move it, make it smaller",
    ),
    "too many rows": (
        ".matrix m format=bitmap rows=129 columns=1\n.random density=1 seed=1",
        "4:30: `129`: rows (=129) must be at most the core's 128 accumulators",
    ),
    "too many columns": (
        ".matrix m format=bitmap rows=1 columns=257\n.random density=1 seed=1",
        "4:40: `257`: operand takes 65 words of core.scanner.buffer_words (=64)",
    ),
    "precision": (
        ".set core.sparse.weights=dense\n" + M + ROWS,
        "5:18: `bitmap`: format (=bitmap) must be one of dense",
    ),
    "indices": (
        ".matrix m format=bitmap rows=128 columns=256\n.random density=0.01 seed=1",
        "4:9: `m`: pointers and indices take words up to 256 of core.index_memory.words (=128)",
    ),
    "threads": (
        "".join(f".thread t{k} tokens=1\nend\n" for k in range(8)),
        "`end of code`: 9 threads, and tiny has room for 8; set core.sequencer.threads=9",
    ),
    "instructions": ("nop\n" * 260, "263 instructions, and tiny has room for 256"),
}  # fmt: skip


@pytest.mark.parametrize("text, expected", MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_are_reported_at_their_token(text: str, expected: str) -> None:
    found = mistakes(HEAD + text.rstrip("\n") + "\n" + CODE)
    assert any(expected in mistake for mistake in found), found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            ".input elements=4\n.output elements=4\n" + CODE,
            "1:1: `start of file`: a program source",
        ),
        (HEAD.replace("tiny", "tinny") + CODE, "1:7: `tinny`: "),
        (HEAD + ".set core.lanes=0\n" + CODE, "4:6: `core.lanes=0`: "),
        (HEAD + ".set core.pes=3\n" + CODE, "4:6: `core.pes=3`: "),
        (".arch tiny\n.output elements=4\n" + CODE, "1:1: `start of file`: has no `.input`"),
        (".arch tiny\n.input elements=4\n" + CODE, "2:1: `.input`: needs an `.output`"),
        (HEAD.replace("elements=4", "elements=999", 1) + CODE, "2:17: `999`: a frame of 250 words"),
        (HEAD.replace("=4", "=4 channel=4", 1) + CODE, "2:27: `4`: channel (=4) must be 0 to 3"),
        (HEAD.replace("=4", "=4 cores={1}", 1) + CODE, "2:25: `{`: core 1 does not exist"),
        (HEAD.replace("=4", "=4 cores=1", 1) + CODE, "2:25: `1`: expected `{`"),
        (HEAD, "2:1: `.input`: core 0 thread 0 does not exist; it has 0 threads"),
    ],
)
def test_mistakes_of_the_head(text: str, expected: str) -> None:
    found = mistakes(text)
    assert any(mistake.startswith(expected) for mistake in found), found


def test_all_mistakes_of_a_file_are_told_once_and_in_order() -> None:
    found = mistakes(
        HEAD + ".set cores=2\n.equ N nowhere\n.core 0\nvmov 1, 70000\n.core 1\n.values 3\nfoo\n"
    )
    assert [mistake.split(" ")[0] for mistake in found] == ["5:8:", "7:9:", "9:1:", "10:1:"]
