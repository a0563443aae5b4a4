"""The validations by name, and running them."""

from collections.abc import Callable, Iterator, Sequence

from spusim.errors import SpusimError
from spusim.experiments.validation.eie import eie_latency, eie_power, eie_queue_depth
from spusim.experiments.validation.records import Study
from spusim.experiments.validation.smartskip import resnet50_gains, smartskip_figure
from spusim.experiments.validation.spu import spu_promise
from spusim.experiments.validation.tradeoffs import pruning_tradeoffs

STUDIES: dict[str, Callable[[], Study]] = {
    "eie_latency": eie_latency,
    "eie_queue_depth": eie_queue_depth,
    "eie_power": eie_power,
    "smartskip_figure": smartskip_figure,
    "resnet50_gains": resnet50_gains,
    "spu001_promise": spu_promise,
    "pruning_tradeoffs": pruning_tradeoffs,
}


class ValidationError(SpusimError):
    """A validation that there is none of."""


def run_studies(names: Sequence[str] = ()) -> Iterator[Study]:
    """Yield the studies of those names, else all. Raises ValidationError before the first."""
    unknown = [name for name in names if name not in STUDIES]
    if unknown:
        raise ValidationError(
            f"validation {unknown[0]} does not exist; choose from {', '.join(STUDIES)}"
        )
    return (STUDIES[name]() for name in names or STUDIES)
