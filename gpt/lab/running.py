"""Running an experiment: which trials it needs, in which order, and the verdict at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpt.lab import statistics
from gpt.lab.checks import Finding, Verdict, findings, overall
from gpt.lab.experiment import Cost, Experiment, Figures, Part, Setting, SizeName
from gpt.lab.machine import environment
from gpt.lab.record import Record, finite
from gpt.lab.results import NOISE, PartResults, Results, key_of
from gpt.lab.statistics import Estimate
from gpt.lab.workers import run_trials, workers
from pytok.counted import counted

Progress = Callable[[str, int, int], object]
"""Called with the experiment and what it does, the trials that are over, and all."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How an experiment is run."""

    size: SizeName = "cpu"
    seeds: int | None = None
    """Seeds that arms are compared on. [default: those of the experiment]"""
    first_seed: int = 0
    jobs: int = 1
    """Trials beside each other, of parts that measure no times."""

    @property
    def device(self) -> str:
        """The device of torch."""
        return "cuda" if self.size == "gpu" else "cpu"

    def count(self, experiment: Experiment) -> int:
        """Return the number of seeds."""
        return self.seeds or experiment.seeds[self.size]


@dataclass(frozen=True, kw_only=True)
class PlannedArm:
    """What an arm costs."""

    part: Part
    arm: str
    trials: int
    size: Mapping[str, Any]

    @property
    def cost(self) -> Cost | None:
        """What a trial costs, if the part says so: its model is built without memory."""
        if self.part.cost is None:
            return None
        rate = self.part.rates[0] if self.part.rates else None
        return self.part.cost(Setting(arm=self.arm, size=self.size, rate=rate))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an experiment has found."""

    experiment: Experiment
    results: Results
    findings: Mapping[str, Sequence[Finding]]
    """By part."""
    noise: Mapping[str, Estimate]
    """Of each part that measures it: the difference between two sets of seeds of the baseline."""
    verdict: Verdict
    path: Path
    """The file of the results."""


def planned(experiment: Experiment, options: Options) -> Iterator[PlannedArm]:
    """Yield the arms of *experiment* with the number of their trials."""
    count = options.count(experiment)
    for part in experiment.at(options.size).parts:
        size = part.sizes[options.size]
        for arm in part.arms:
            tuning = len(part.rates) * len(part.tuning_seeds) if part.chooses else 0
            again = count if part.noise_of and arm == part.arms[0] else 0
            trials = tuning + len(part.seeds(count)) + again
            yield PlannedArm(part=part, arm=arm, trials=trials, size=size)


def run(
    experiment: Experiment,
    folder: Path,
    options: Options = Options(),
    *,
    pool: ProcessPoolExecutor | None = None,
    progress: Progress = lambda id, done, total: None,
    notice: Callable[[str], object] = lambda text: None,
    stop: Callable[[], bool] = lambda: False,
) -> Outcome | None:
    """Make the trials of *experiment* that *folder* has not, and write its results there.

    *pool* has the workers of several experiments, which start once. [default: workers of its own]
    *notice* is called with what a user should know. Returns None if *stop* has returned True before
    the end; the same call then continues. Raises DataError for results that cannot be continued,
    TrainingError for a trial that fails.
    """
    experiment = experiment.at(options.size)
    record = Record(folder, experiment, options.size)
    if record.dropped:
        notice(
            f"{experiment.id}: {counted(record.dropped, 'trial')} of another version of it or of "
            "its sizes count no more"
        )
    with workers(options.jobs) if pool is None else nullcontext(pool) as pool:
        while missing := _missing(experiment, options, _figures(record)):
            part = missing[0][0]
            phase = f"{experiment.id}: {part.name}"
            if missing[0][1].seed in part.tuning_seeds:
                phase += ", learning rates"
            progress(phase, 0, len(missing))
            jobs = options.jobs if part.kind != "SPEED" and options.device == "cpu" else 1
            trials = run_trials(missing, pool, jobs=jobs, stop=stop)
            for done, (part, setting, figures, seconds) in enumerate(trials, 1):
                record.add(part.name, setting, figures, seconds)
                progress(phase, done, len(missing))
            if stop():
                return None
    outcome = conclude(experiment, options, record)
    made_on = record.environment or environment()
    record.finish({**described(outcome, options), "environment": made_on})
    return outcome


def conclude(experiment: Experiment, options: Options, record: Record) -> Outcome:
    """Compute what the trials of *record* say."""
    results = _results(experiment, options, _figures(record))
    found = {part.name: findings(results[part.name]) for part in experiment.parts}
    noise = {
        part.name: statistics.paired_difference(
            results[part.name].values(part.arms[0], part.noise_of),
            results[part.name].values(NOISE, part.noise_of),
        )
        for part in experiment.parts
        if part.noise_of
    }
    return Outcome(
        experiment=experiment,
        results=results,
        findings=found,
        noise=noise,
        verdict=overall([each for group in found.values() for each in group]),
        path=record.path,
    )


def _missing(
    experiment: Experiment, options: Options, trials: Mapping[Any, Figures]
) -> list[tuple[Part, Setting]]:
    """Return trials of a part that are to be made next.

    Equalities are first, since nothing else counts without them; times are measured last.
    """
    kinds = ("EXACT", "QUALITY", "SPEED")
    for part in sorted(experiment.parts, key=lambda part: kinds.index(part.kind)):
        wanted = [
            (part, setting)
            for setting in _wanted(part, experiment, options, trials)
            if key_of(part.name, setting) not in trials
        ]
        if wanted:
            return wanted
    return []


def _wanted(
    part: Part, experiment: Experiment, options: Options, trials: Mapping[Any, Figures]
) -> list[Setting]:
    """Return the settings of the phase that *part* is in: learning rates first."""
    size, count = part.sizes[options.size], options.count(experiment)
    tuning = [
        Setting(arm=arm, rate=rate, seed=seed, size=size, device=options.device)
        for arm in part.arms
        for rate in (part.rates if part.chooses else ())
        for seed in part.tuning_seeds
    ]
    if any(key_of(part.name, setting) not in trials for setting in tuning):
        return tuning
    results = PartResults(part, trials, size, count, options.first_seed)
    pairs = [(arm, seed) for seed in results.seeds for arm in part.arms]
    if part.noise_of:
        pairs += [(part.arms[0], seed) for seed in results.noise_seeds]
    return [
        Setting(arm=arm, rate=results.best_rate(arm), seed=seed, size=size, device=options.device)
        for arm, seed in pairs
    ]


def _results(experiment: Experiment, options: Options, trials: Mapping[Any, Figures]) -> Results:
    count = options.count(experiment)
    return Results(
        parts={
            part.name: PartResults(
                part, trials, part.sizes[options.size], count, options.first_seed
            )
            for part in experiment.parts
        }
    )


def _figures(record: Record) -> dict[Any, Figures]:
    return {key: trial.figures for key, trial in record.trials.items()}


def described(outcome: Outcome, options: Options) -> dict[str, Any]:
    """Return what *outcome* says, as JSON can hold it."""
    experiment = outcome.experiment
    return {
        "id": experiment.id,
        "verdict": outcome.verdict.value,
        "seeds": options.count(experiment),
        "first_seed": options.first_seed,
        "findings": [
            {
                "part": part,
                "kind": experiment.part(part).kind,
                "claim": each.claim,
                "ours": each.ours,
                "verdict": each.verdict.value,
                "estimate": finite(each.estimate and vars(each.estimate)),
            }
            for part, group in outcome.findings.items()
            for each in group
        ],
        "noise": {part: finite(vars(estimate)) for part, estimate in outcome.noise.items()},
        "rates": {
            part.name: {arm: outcome.results[part.name].best_rate(arm) for arm in part.arms}
            for part in experiment.parts
            if part.rates
        },
        "sizes": {part.name: finite(part.sizes[options.size]) for part in experiment.parts},
    }
