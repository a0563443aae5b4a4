"""Train, prune and save a keyword-spotting network on synthetic speech (see README.md)."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from model import (
    PRUNED_LAYERS,
    KeywordNet,
    State,
    activation_statistics,
    cell_states,
    decode,
    float_accuracy,
    float_logits,
    pencil_mask,
    sparsity,
)
from safetensors.torch import load_file
from speech import (
    CODE_SCALE,
    COMMANDS,
    HELD_OUT_SPEAKERS,
    LABELS,
    TRAINING_SPEAKERS,
    Dataset,
    load_or_synthesise,
    plan,
)
from storage import feature_metadata, save_network, write
from torch import Tensor, nn

ZEROS = 0.85  # fraction of the weights of each pruned layer that ends up zero
BATCH = 128
PRUNE_EVERY = 10  # optimiser steps between two mask updates
GATE_LIMIT, CELL_LIMIT, LOGIT_LIMIT = 6.0, 5.0, 12.0  # magnitudes beyond these are penalised
RANGE_PENALTY = 0.02
HELD_OUT_PER_CLASS, CALIBRATION_CLIPS = 13, 40  # sizes of the small shipped sets
CLIP_MARGIN = 1.0  # a demonstration clip's logit leads all others by at least this much
WARP = 0.15  # training voices are scaled in frequency by up to this much

Masks = dict[str, Tensor]


def prepare(work: Path, seed: int, quick: bool) -> tuple[Dataset, Dataset]:
    """Return the training set and the full held-out set, whose speakers do not overlap."""
    step, takes, copies = (3, 1, 1) if quick else (1, 3, 4)
    train = plan(TRAINING_SPEAKERS[::step], takes, others=2 * takes, warp=WARP, seed=seed)
    test = plan(HELD_OUT_SPEAKERS[::step], takes=3, others=3, warp=0.0, seed=seed + 1)
    return (
        load_or_synthesise(work, "training", train, copies),
        load_or_synthesise(work, "heldout", test, 1),
    )


def range_penalty(net: KeywordNet, features: Tensor, hidden: Tensor, logits: Tensor) -> Tensor:
    """Return how far gates, cell states and frame logits leave their range, on part of a batch."""
    gates = net.gates(features[::4], hidden[::4])
    limited = ((gates, GATE_LIMIT), (cell_states(gates), CELL_LIMIT), (logits, LOGIT_LIMIT))
    excess = [
        torch.relu(value.abs() - limit).square().sum(dim=2).mean() for value, limit in limited
    ]
    return RANGE_PENALTY * torch.stack(excess).sum()


def loss_of(net: KeywordNet, features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cross entropy of a batch, and that plus the range penalty."""
    hidden, logits = net.trace(features)
    loss = nn.functional.cross_entropy(logits.mean(dim=1), labels, label_smoothing=0.05)
    return loss, loss + range_penalty(net, features, hidden, logits)


def fit(
    net: KeywordNet,
    data: Dataset,
    epochs: int,
    rate: float,
    generator: torch.Generator,
    after_step: Callable[[float], None] = lambda progress: None,
) -> None:
    """Train for some epochs with a one-cycle rate; call after_step(progress 0..1) every step."""
    labels = torch.from_numpy(data.labels).long()
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=0.02)
    steps = epochs * -(-len(labels) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps, pct_start=0.15)
    done = 0
    for epoch in range(epochs):
        started, total = time.perf_counter(), 0.0
        for chosen in torch.randperm(len(labels), generator=generator).split(BATCH):
            loss, penalised = loss_of(net, decode(data.codes[chosen.numpy()]), labels[chosen])
            optimiser.zero_grad()
            penalised.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            done += 1
            after_step(done / steps)
            total += loss.item() * len(chosen)
        seconds = time.perf_counter() - started
        print(
            f"  epoch {epoch + 1}/{epochs}: loss {total / len(labels):.4f}, {seconds:.0f} s",
            flush=True,
        )


def prune(net: KeywordNet, data: Dataset, epochs: int, generator: torch.Generator) -> None:
    """Drop pencils on a cubic schedule over the first 60 % of training, then recover."""
    weights = {key: net.get_parameter(key) for key in PRUNED_LAYERS}
    masks: Masks = {key: torch.ones_like(weight) for key, weight in weights.items()}
    calls = 0

    def after_step(progress: float) -> None:
        nonlocal calls
        ramp = min(progress / 0.6, 1.0)
        zeros = ZEROS * (1 - (1 - ramp) ** 3)
        with torch.no_grad():
            for key, weight in weights.items():
                if calls % PRUNE_EVERY == 0 or progress == 1.0:
                    masks[key] = pencil_mask(weight * masks[key], zeros)
                weight.mul_(masks[key])
        calls += 1

    fit(net, data, epochs, 2e-3, generator, after_step)


def shipped(net: KeywordNet) -> State:
    """Return a copy of the network's tensors as float16, as they are stored."""
    return {key: value.detach().half().contiguous() for key, value in net.state_dict().items()}


def save_samples(path: Path, data: Dataset, what: str) -> None:
    """Write feature codes [N, frames, bands] and labels [N]."""
    tensors = {"features": torch.from_numpy(data.codes), "labels": torch.from_numpy(data.labels)}
    write(path, tensors, feature_metadata(what))


def subset(data: Dataset, chosen: np.ndarray) -> Dataset:
    """Return the chosen samples of a data set."""
    return Dataset(data.codes[chosen], data.labels[chosen], data.voices[chosen])


def draw_per_class(data: Dataset, count: int, rng: np.random.Generator) -> Dataset:
    """Draw `count` samples of every class at random, in random order."""
    order = rng.permutation(len(data.labels))
    chosen = [order[data.labels[order] == label][:count] for label in range(len(LABELS))]
    return subset(data, rng.permutation(np.concatenate(chosen)))


def save_clips(path: Path, state: State, data: Dataset, rng: np.random.Generator) -> None:
    """Write one held-out clip per command word that the network recognises with some margin."""
    logits = float_logits(state, data.codes)
    own = logits.gather(1, torch.from_numpy(data.labels).long()[:, None])[:, 0]
    top = logits.topk(2, dim=1).values
    clear = ((own == top[:, 0]) & (top[:, 0] - top[:, 1] >= CLIP_MARGIN)).numpy()
    order = rng.permutation(len(data.labels))
    tensors, voices = {}, {}
    for label, word in enumerate(COMMANDS):
        candidates = order[(data.labels == label)[order] & clear[order]]
        if len(candidates):
            name = f"{label:02d}_{word}"
            tensors[name] = torch.from_numpy(data.codes[candidates[0]])
            voices[name] = str(data.voices[candidates[0]])
    what = (
        "one clip per command word from held-out voices; chosen at random among those the "
        f"pruned network classifies correctly with a logit margin of at least {CLIP_MARGIN}"
    )
    write(path, tensors, feature_metadata(what, voices=json.dumps(voices)))


def save_data(out: Path, work: Path, train: Dataset, test: Dataset, seed: int) -> Dataset:
    """Write the shipped held-out and calibration sets and the full held-out set; return the first.

    None of these samples is selected by how the networks classify it.
    """
    rng = np.random.default_rng([seed, 2])
    small = draw_per_class(test, HELD_OUT_PER_CLASS, rng)
    what = f"held-out voices, {HELD_OUT_PER_CLASS} random utterances of every class"
    save_samples(out / "kws_heldout.safetensors", small, what)
    chosen = rng.choice(len(train.labels), CALIBRATION_CLIPS, replace=False)
    calibration = subset(train, chosen)
    what = "training voices, random utterances for calibrating quantisation"
    save_samples(out / "kws_calibration.safetensors", calibration, what)
    np.savez_compressed(
        work / "heldout_full.npz", features=test.codes, labels=test.labels, voices=test.voices
    )
    return small


def summary(state: State, test: Dataset, small: Dataset) -> dict[str, float]:
    """Return accuracies, ranges, activation zeros and weight zeros of a shipped network."""
    return {
        f"accuracy, full held-out ({len(test.labels)})": float_accuracy(
            state, test.codes, test.labels
        ),
        f"accuracy, shipped held-out ({len(small.labels)})": float_accuracy(
            state, small.codes, small.labels
        ),
        **activation_statistics(state, test.codes),
        **{f"zeros, {key}": value for key, value in sparsity(state).items()},
    }


def report(states: dict[str, State], test: Dataset, small: Dataset) -> None:
    """Print a table of the shipped networks, and where the pruned one is right."""
    columns = [summary(state, test, small) for state in states.values()]
    print(f"{'':36}" + "".join(f"{name:>10}" for name in states))
    for row in columns[0]:
        print(f"{row:36}" + "".join(f"{column[row]:10.4f}" for column in columns))
    predicted = float_logits(states["pruned"], test.codes).argmax(dim=1).numpy()
    correct = predicted == test.labels
    speakers = np.array([voice.split("+")[1] for voice in test.voices])
    for kind, of in (("class", np.array(LABELS)[test.labels]), ("speaker", speakers)):
        shares = (f"{name} {correct[of == name].mean():.3f}" for name in np.unique(of))
        print(f"pruned, by {kind}:", ", ".join(shares))


def simulated_accuracy(name: str, weights: Path, data: Dataset) -> float:
    """Return the accuracy of a network's integers on spu001, by each utterance's last frame."""
    from spusim.api import load_arch, load_network, simulate
    from spusim.network.records import Stream

    count, frames, bands = data.codes.shape
    starts = tuple(range(0, count * frames, frames))
    stream = Stream(data.codes.reshape(-1, bands) * CODE_SCALE, starts, ("",) * count)
    outputs = simulate(load_network(name, weights), load_arch("spu001"), stream).outputs
    predicted = outputs[frames - 1 :: frames].argmax(axis=1)
    return float(np.mean(predicted == data.labels))


def load_small(path: Path) -> Dataset:
    """Read what `save_samples` wrote; it does not tell the voices."""
    tensors = load_file(path)
    labels = tensors["labels"].numpy()
    return Dataset(tensors["features"].numpy(), labels, np.full(len(labels), ""))


def evaluate_spusim(out: Path, work: Path) -> None:
    """Print the accuracy of the shipped networks, float and as simulated integers."""
    with np.load(work / "heldout_full.npz") as full:
        test = Dataset(full["features"], full["labels"], full["voices"])
    sets = {"full held-out": test, "shipped held-out": load_small(out / "kws_heldout.safetensors")}
    print(f"{'':36}{'float':>10}{'integer':>10}{'change':>10}")
    for name in ("kws_dense", "kws"):
        weights = out / f"{name}.safetensors"
        state = load_file(weights)
        for what, data in sets.items():
            exact = float_accuracy(state, data.codes, data.labels)
            integer = simulated_accuracy(name, weights, data)
            label = f"{name}, {what} ({len(data.labels)})"
            print(f"{label:36}{exact:10.4f}{integer:10.4f}{integer - exact:+10.4f}", flush=True)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/kws"), help="cache folder")
    parser.add_argument("--out", type=Path, help="data folder (default: kws_data of the project)")
    parser.add_argument("--epochs", type=int, default=10, help="dense, and again pruning, epochs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="few voices, to try the script")
    parser.add_argument(
        "--evaluate-spusim", action="store_true",
        help="train nothing: measure the shipped networks, float and as spusim simulates them",
    )  # fmt: skip
    options = parser.parse_args()
    project_data = Path(__file__).resolve().parents[2] / "configs" / "networks" / "kws_data"
    options.out = options.out or (options.work / "data" if options.quick else project_data)
    return options


def main() -> None:
    """Synthesise, train, prune, save and report."""
    options = arguments()
    if options.evaluate_spusim:
        evaluate_spusim(options.out, options.work)
        return
    started = time.perf_counter()
    torch.set_num_threads(2)
    torch.manual_seed(options.seed)
    torch.use_deterministic_algorithms(True)
    generator = torch.Generator().manual_seed(options.seed)
    for folder in (options.work, options.out):
        folder.mkdir(parents=True, exist_ok=True)
    train, test = prepare(options.work, options.seed, options.quick)
    small = save_data(options.out, options.work, train, test, options.seed)

    net = KeywordNet()
    print(f"dense training on {len(train.labels)} clips")
    fit(net, train, options.epochs, 3e-3, generator)
    states = {"dense": shipped(net)}
    save_network(options.out / "kws_dense.safetensors", states["dense"], "kws_dense")
    print("pruning")
    prune(net, train, options.epochs, generator)
    states["pruned"] = shipped(net)
    save_network(options.out / "kws.safetensors", states["pruned"], "kws")
    rng = np.random.default_rng([options.seed, 3])
    save_clips(options.out / "kws_clips.safetensors", states["pruned"], test, rng)
    report(states, test, small)
    print(f"run time {(time.perf_counter() - started) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
