"""What figures were measured on, and whether anything else was running."""

import os
import platform
import resource
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("numba", "numpy", "scipy", "torch")
QUIET = 0.3  # load average at which nobody else is there


def describe_machine() -> dict[str, object]:
    """Return processor, cores, versions and the load of the last minute."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "load": round(os.getloadavg()[0], 2),
    }


def busy_note(load: float) -> str:
    """Say how busy the machine was when measuring began; nothing where it was quiet."""
    if load <= QUIET:
        return ""
    return f"busy machine: load average {load:.2f} at the start; ratios only, and those noisier"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def peak_bytes() -> int:
    """Return the most memory that this process has had.

    Of Linux's two counts the one that a new program begins anew; the other goes on from its parent.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return 1024 * int(lines["VmHWM"].split()[0])
