"""The stepper is an opinion of its own: it imports nothing that it is compared with."""

import ast
from pathlib import Path

HERE = Path(__file__).parent
COMPARED = (
    "chip_agreement.py",
    "chip_generators.py",
    "chip_words.py",
    "convolution_agreement.py",
    "external_programs.py",
    "generators.py",
    "network_macs.py",
    "conftest.py",
)
ALLOWED = {"spusim.arch", "spusim.formats", "spusim.isa", "spusim.numerics", "spusim.program"}
RECORDS = {"spusim.numerics": {"Numerics"}, "spusim.formats": {"unpack"}}


def test_the_stepper_shares_no_code_with_machine_kernels_or_golden() -> None:
    files = [p for p in HERE.glob("*.py") if not p.name.startswith("test_")]
    stepper = [p for p in files if p.name not in COMPARED]
    assert len(stepper) > 10
    for path in stepper:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not any(name.name.startswith("spusim") for name in node.names), path
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("spusim"):
                names = {name.name for name in node.names}
                assert node.module in ALLOWED or names == {"RunResult"}, (path, node.module)
                assert names <= RECORDS.get(node.module or "", names), (path, names)
