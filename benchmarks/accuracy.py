"""What the four hospitals reach together, with and without encryption, and each alone.

    python benchmarks/accuracy.py --output benchmarks/results/accuracy.json

Aggregation runs on the integers that clients encrypt (`ddcai.quantise`, the federation's own
parameter set): BFV sums are exact, so the models are those of an encrypted run bit for bit
(tests of `ddcai.encryption` prove the sums). Accuracy is that of the integer head on int8
features, which is what the chain answers, on the pooled held-out patients of all sites.

Each split is reported with every seed; a seed gives the first model, the order of examples and
the stochastic rounding. Baselines, all on the same split, features and test patients:
- float: the same run with encryption off, that is a weighted mean in float64, no clipping;
- pooled_lr: scikit-learn's logistic regression on all sites' training patients;
- alone: one site, the same network, recipe and number of epochs;
- alone_lr: one site's logistic regression.

The recipe was chosen on splits 100 to 107; the report's splits, 0 to 2, were not looked at.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression

from ddcai.configuration import FederationConfig
from ddcai.data.heart_disease import SITES, Site, heart_config, load_sites, pooled_test
from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.models import encoder, state
from ddcai.models.training import evaluate, train
from ddcai.quantise import Quantiser, apply

Deltas = list[tuple[npt.NDArray[np.float64], int]]


class FloatMean:
    """FedAvg without encryption: the weighted mean in float64 (McMahan et al., 2017)."""

    def mean(self, deltas: Deltas) -> npt.NDArray[np.float64]:
        weights = [count for _, count in deltas]
        return np.average([delta for delta, _ in deltas], axis=0, weights=weights)


class IntegerMean:
    """The mean as the federation computes it: quantised, summed exactly, decoded."""

    def __init__(self, config: FederationConfig, seed: int) -> None:
        parameters = PARAMETER_SETS[config.encryption.parameter_set]
        self.value_limit = parameters.value_limit(config.encryption.max_contributors)
        self._quantiser = Quantiser(config.aggregation, self.value_limit)
        self._rng = np.random.default_rng(seed)
        self.clamped_share = 0.0
        self.clipped = 0
        self.norm = 0.0
        self.largest = 0.0

    def mean(self, deltas: Deltas) -> npt.NDArray[np.float64]:
        total: npt.NDArray[np.int64] | None = None
        for delta, count in deltas:
            encoded = self._quantiser.encode(delta, count, self._rng)
            total = encoded.values if total is None else total + encoded.values
            self.clamped_share = max(self.clamped_share, encoded.clamped_share)
            self.clipped += encoded.clipped
            self.norm = max(self.norm, encoded.norm)
            self.largest = max(self.largest, float(np.abs(delta).max()))
        assert total is not None
        return self._quantiser.decode(total, len(deltas))


def federate(
    sites: Sequence[Site],
    config: FederationConfig,
    aggregator: FloatMean | IntegerMean,
    *,
    rounds: int,
    seed: int,
) -> torch.nn.Module:
    """The model after some rounds of FedAvg among the sites; one site trains alone."""
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, seed=seed))
    module = encoder.build(config)
    like = encoder.state_of(module)
    base = state.flatten(like)
    for number in range(1, rounds + 1):
        deltas: Deltas = []
        for site in sites:
            encoder.load_state(module, state.unflatten(base, like))
            # A seed of its own for each (run, round, site), the same in every comparison.
            local_seed = (seed * 1000 + number) * 10 + SITES.index(site.name)
            train(module, site.x_train, site.y_train, config.training, seed=local_seed)
            local = state.flatten(encoder.state_of(module)).astype(np.float64)
            deltas.append((local - base, len(site.y_train)))
        base = apply(base, aggregator.mean(deltas))
    encoder.load_state(module, state.unflatten(base, like))
    return module


def logistic_regression(sites: Sequence[Site], x: Any, y: Any) -> float:
    """Test accuracy of scikit-learn's logistic regression on the sites' training patients."""
    model = LogisticRegression(max_iter=1000)
    model.fit(
        np.concatenate([site.x_train for site in sites]),
        np.concatenate([site.y_train for site in sites]),
    )
    return float(model.score(x, y))


def measure(splits: Sequence[int], seeds: Sequence[int], rounds: int) -> dict[str, Any]:
    """All runs and their summary."""
    config = heart_config()
    runs = []
    for split in splits:
        sites = load_sites(split, config)
        x, y = pooled_test(sites)
        fixed = {
            "split": split,
            "test_patients": len(y),
            "pooled_lr": logistic_regression(sites, x, y),
            "alone_lr": {site.name: logistic_regression([site], x, y) for site in sites},
        }
        for seed in seeds:
            runs.append(fixed | _run(sites, config, rounds=rounds, seed=seed))
            print(f"split {split} seed {seed}: {runs[-1]['federated']:.3f}", file=sys.stderr)
    return {
        "config_digest": config.digest().hex(),
        "rounds": rounds,
        "by_split": [_summary([run for run in runs if run["split"] == split]) for split in splits],
        "overall": _summary(runs),
        "claims": _claims(runs, splits),
        "runs": runs,
    }


def _run(
    sites: Sequence[Site], config: FederationConfig, *, rounds: int, seed: int
) -> dict[str, Any]:
    """The runs of one split and seed: federated, float, and each site alone."""
    x, y = pooled_test(tuple(sites))

    def accuracy(members: Sequence[Site], aggregator: FloatMean | IntegerMean) -> float:
        module = federate(members, config, aggregator, rounds=rounds, seed=seed)
        return evaluate(module, x, y, head_scale=config.model.head_scale).accuracy

    integers = IntegerMean(config, seed)
    return {
        "seed": seed,
        "federated": accuracy(sites, integers),
        "float": accuracy(sites, FloatMean()),
        "alone": {site.name: accuracy([site], FloatMean()) for site in sites},
        "largest_norm": integers.norm,
        "largest_coordinate": integers.largest,
        "clipped_updates": integers.clipped,
        "largest_clamped_share": integers.clamped_share,
    }


def _summary(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    def mean(name: str) -> float:
        return round(float(np.mean([run[name] for run in runs])), 4)

    def by_site(name: str) -> dict[str, float]:
        return {site: round(float(np.mean([run[name][site] for run in runs])), 4) for site in SITES}

    splits = sorted({run["split"] for run in runs})
    return {
        "splits": splits,
        "federated": mean("federated"),
        "federated_std": round(float(np.std([run["federated"] for run in runs])), 4),
        "float": mean("float"),
        "pooled_lr": mean("pooled_lr"),
        "alone": by_site("alone"),
        "alone_lr": by_site("alone_lr"),
        "to_pooled_lr": round(mean("federated") - mean("pooled_lr"), 4),
    }


def _claims(runs: Sequence[dict[str, Any]], splits: Sequence[int]) -> dict[str, bool]:
    overall = _summary(runs)
    above = []
    for split in splits:
        found = _summary([run for run in runs if run["split"] == split])
        alone = [*found["alone"].values(), *found["alone_lr"].values()]
        above.append(found["federated"] > max(alone))
    return {
        "federated >= 0.80": overall["federated"] >= 0.80,
        "federated above every site alone, each split": all(above),
        "federated >= pooled_lr - 0.02": overall["federated"] >= overall["pooled_lr"] - 0.02,
        "|federated - float| <= 0.01": abs(overall["federated"] - overall["float"]) <= 0.01,
    }


def _table(result: dict[str, Any]) -> str:
    columns = ["split", "federated", "float", "pooled LR"]
    columns += [f"{site[:11]} {kind}" for site in SITES for kind in ("net", "LR")]
    lines = [columns]
    for row in [*result["by_split"], result["overall"]]:
        name = str(row["splits"][0]) if len(row["splits"]) == 1 else "mean"
        cells = [row["federated"], row["float"], row["pooled_lr"]]
        cells += [row[kind][site] for site in SITES for kind in ("alone", "alone_lr")]
        lines.append([name, *(f"{cell:.3f}" for cell in cells)])
    lines.insert(1, ["---"] * len(columns))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--splits", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)  # the networks are tiny: threads only cost
    result = measure(options.splits, options.seeds, options.rounds)
    result = {
        "command": "python benchmarks/accuracy.py " + " ".join(sys.argv[1:]),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}",
        "versions": {name: version(name) for name in ("torch", "numpy", "scikit-learn")},
        **result,
    }
    print(_table(result))
    for claim, holds in result["claims"].items():
        print(f"{'PASS' if holds else 'FAIL'}  {claim}")
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(result, indent=1) + "\n")
    if not all(result["claims"].values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
