"""Power, and a run's figures under the names that users of Femtosense's tools know."""

from spusim.energy.attach import EnergyError
from spusim.result import RunResult

_JOULE_PER_PJ = 1e-12


def power_w(result: RunResult) -> float:
    """Mean power over the run, W: total energy over time; 0 for a run of no cycles.

    Raises EnergyError if no energy is attached.
    """
    total_j = _energy(result)["total"] * _JOULE_PER_PJ
    return total_j / _seconds(result, result.cycles) if result.cycles else 0.0


def report_fields(result: RunResult) -> dict[str, float | int]:
    """Return latency, power, energy a frame and memory; per-frame figures are means.

    Static energy is leakage; the clock is dynamic. Raises EnergyError if no energy is attached.
    """
    energy = _energy(result)
    frames = max(1, result.frames)
    static_j = energy["leakage"] * _JOULE_PER_PJ / frames
    total_j = energy["total"] * _JOULE_PER_PJ / frames
    banks = [bank for name, bank in result.memory.items() if name != "external_memory"]
    return {
        "Latency (s)": _seconds(result, float(result.frame_cycles.sum()) / frames),
        "Power (W)": power_w(result),
        "Dynamic Energy/Frame (J)": total_j - static_j,
        "Static Energy/Frame (J)": static_j,
        "Total Energy/Frame (J)": total_j,
        "Memory Used (B)": sum(bank.used_words * bank.word_bits for bank in banks) // 8,
        "Memory Capacity (B)": sum(bank.capacity_words * bank.word_bits for bank in banks) // 8,
    }


def _seconds(result: RunResult, cycles: float) -> float:
    return cycles / (result.clock_mhz * 1e6)


def _energy(result: RunResult) -> dict[str, float]:
    if not result.energy_pj:
        raise EnergyError(f"{result.name}: has no energy yet; call attach_energy(result, arch)")
    return result.energy_pj
