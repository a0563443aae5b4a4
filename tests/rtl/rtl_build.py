"""Builds the engine for a parameter set: Verilator, then one compilation, into a shared library.

Libraries stay in `.cache` (or the folder that SPUSIM_RTL_CACHE names), each under a hash of all
that it is made from, so that a build is made once. Run as a script it builds every set.
"""

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from parameter_sets import SETS, ParameterSet

HERE = Path(__file__).resolve().parent
SOURCES = tuple(sorted((HERE / "verilog").glob("*.v")))
HARNESS = HERE / "harness.cpp"
CACHE = Path(os.environ.get("SPUSIM_RTL_CACHE") or HERE / ".cache")
VERILATOR_FLAGS = ("--cc", "-O3", "--x-initial", "unique", "--top-module", "engine")
# What runs on an engine takes milliseconds; optimising it took as long as all else of its build.
COMPILER_FLAGS = ("-O0", "-fPIC", "-std=gnu++17")
RUNTIME = ("verilated.cpp", "verilated_threads.cpp")
HEADER = "verilated.h"  # of the runtime; most of what is compiled for a small engine

SCANNER_COUNTERS = 10
PE_COUNTERS = 14
REMEDY = "`make rtl-tools` installs what the RTL needs"


class BuildError(Exception):
    """A tool is missing, or refused the sources."""


def missing_tool() -> str | None:
    """Say what keeps the RTL from being built here, and what to do about it; None if nothing."""
    missing = [tool for tool in ("verilator", "g++") if shutil.which(tool) is None]
    return f"{' and '.join(missing)} not found: {REMEDY}" if missing else None


def run(command: list[str], purpose: str) -> str:
    """Run a tool and return what it prints."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise BuildError(f"{command[0]} (for {purpose}) not found: {REMEDY}") from error
    if done.returncode:
        raise BuildError(f"{purpose} failed: {' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


@functools.cache
def tool_versions() -> str:
    """Return the versions of the tools, which builds depend on."""
    return run(["verilator", "--version"], "its version") + run(["g++", "--version"], "its version")


@functools.cache
def verilator_include() -> Path:
    """Return the folder of Verilator's runtime."""
    root = run(["verilator", "--getenv", "VERILATOR_ROOT"], "its folder").strip()
    return Path(root) / "include"


def key_of(*parts: object) -> str:
    """Return a short hash of what a file is built from."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:20]


def counts_of(parameter_set: ParameterSet) -> dict[str, int]:
    """Return the words of a cycle's record and of the counters, as engine.v defines them."""
    pes, banks = parameter_set.config.pes, parameter_set.config.banks
    return {
        "RECORD_WORDS": 3 + 4 * pes,
        "COUNTER_WORDS": SCANNER_COUNTERS + PE_COUNTERS * pes + 2 * banks,
    }


def verilator_command(parameter_set: ParameterSet, *flags: str) -> list[str]:
    """Return the call of Verilator on the engine with the set's parameters."""
    parameters = parameter_set.verilog_parameters()
    return [
        "verilator", *flags, *(f"-G{name}={value}" for name, value in parameters.items()),
        *map(str, SOURCES),
    ]  # fmt: skip


def library_path(parameter_set: ParameterSet) -> Path:
    """Return where the set's library lies, or will, under a hash of all that it is made from."""
    texts = [path.read_text(encoding="utf-8") for path in (*SOURCES, HARNESS)]
    parameters = parameter_set.verilog_parameters()
    flags = (*VERILATOR_FLAGS, *COMPILER_FLAGS)
    return CACHE / f"engine-{key_of(parameters, flags, tool_versions(), *texts)}.so"


def build(parameter_set: ParameterSet) -> Path:
    """Return the set's shared library, which is built unless it is in the cache."""
    library = library_path(parameter_set)
    if not library.exists():
        objects, header = [runtime_object(name) for name in RUNTIME], runtime_header()
        with scratch_folder() as folder:
            built = compile_engine(parameter_set, Path(folder), objects, header)
            os.replace(built, library)
    return library


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder beside the libraries, from which a finished file can be moved in one step."""
    CACHE.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix="build-", dir=CACHE)


def compile_engine(
    parameter_set: ParameterSet, folder: Path, objects: list[Path], header: Path
) -> Path:
    """Verilate and compile in a folder; return the library."""
    run(
        verilator_command(
            parameter_set, *VERILATOR_FLAGS, "--prefix", "Vengine", "--Mdir", str(folder)
        ),
        f"verilating set {parameter_set.number}",
    )
    # One file is compiled once: Verilator's many all include the same large headers.
    unit = folder / "unit.cpp"
    parts = [*sorted(folder.glob("Vengine*.cpp")), HARNESS]
    unit.write_text("".join(f'#include "{part}"\n' for part in parts), encoding="utf-8")
    library = folder / "engine.so"
    defines = [f"-D{name}={value}" for name, value in counts_of(parameter_set).items()]
    run(
        [*compiler(), "-include", str(header), *defines, f"-I{folder}", "-shared",
         "-o", str(library), str(unit), *map(str, objects), "-lpthread"],
        f"compiling set {parameter_set.number}",
    )  # fmt: skip
    return library


def compiler() -> list[str]:
    """Return the compiler and what every call of it needs."""
    include = verilator_include()
    return ["g++", *COMPILER_FLAGS, f"-I{include}", f"-I{include / 'vltstd'}"]


def runtime_object(source: str) -> Path:
    """Return a compiled file of Verilator's runtime, the same for every set."""
    return compiled_once(source, ".o", "-c")


def runtime_header() -> Path:
    """Return what to include first: a header of Verilator's runtime, with its compiled form beside.

    The compiler takes `x.h.gch` for `-include x.h` where flags and version are those it was made
    with, and else reads `x.h`.
    """
    compiled = compiled_once(HEADER, ".h.gch", "-x", "c++-header")
    header = compiled.with_suffix("")
    if not header.exists():
        with scratch_folder() as folder:
            text = Path(folder) / header.name
            text.write_text(f'#include "{HEADER}"\n', encoding="utf-8")
            os.replace(text, header)
    return header


def compiled_once(source: str, suffix: str, *kind: str) -> Path:
    """Return what a file of Verilator's runtime compiles to, which is kept as libraries are."""
    target = CACHE / f"{Path(source).stem}-{key_of(COMPILER_FLAGS, tool_versions())}{suffix}"
    if not target.exists():
        with scratch_folder() as folder:
            built = Path(folder) / target.name
            run([*compiler(), *kind, str(verilator_include() / source), "-o", str(built)],
                f"compiling Verilator's {source}")  # fmt: skip
            os.replace(built, target)
    return target


@functools.cache
def load(parameter_set: ParameterSet) -> ctypes.CDLL:
    """Return the set's library, loaded into this process."""
    library = ctypes.CDLL(str(build(parameter_set)), mode=os.RTLD_LOCAL | os.RTLD_NOW)
    pointer, number = ctypes.c_void_p, ctypes.c_int
    library.engine_new.restype = pointer
    library.engine_new.argtypes = []
    library.engine_delete.restype = None
    library.engine_delete.argtypes = [pointer]
    library.engine_write.restype = None
    library.engine_write.argtypes = [pointer, number, number, number, number, pointer]
    library.engine_run.restype = number
    library.engine_run.argtypes = [
        pointer, pointer, pointer, number, number, pointer, pointer
    ]  # fmt: skip
    library.engine_read.restype = None
    library.engine_read.argtypes = [pointer, number, number, pointer]
    return library


def main() -> int:
    """Build every set, and those of the conformance programs, several at a time."""
    from rtl_conformance import conformance_products

    runtime_header()  # which, as what follows, all would find missing at the same time
    for name in RUNTIME:
        runtime_object(name)
    sets = [*SETS, *conformance_products()]
    missing = [one for one in sets if not library_path(one).exists()]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(build, missing))
    sys.stdout.write(f"{len(sets)} engines are in {CACHE}, {len(missing)} of them built now\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
