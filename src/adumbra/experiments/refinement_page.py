"""The page of the refinement study, written from its rows."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from adumbra.core.errors import ImplausibleValues
from adumbra.evaluation.statistics import bootstrap_mean
from adumbra.experiments.refinement import ARMS, BASELINE, CONTROL, GUIDED, Row

MEASURES: Mapping[str, str] = {
    "dice": "Dice",
    "lesion_f1": "lesion-wise F1",
    "sensitivity": "sensitivity",
    "precision": "precision",
}
"""The scores of the table, with their headings."""

_METHOD = f"""# Refinement

Is a second pass better where the first is uncertain than elsewhere, and what does it cost? The method is explained in
[Fusion](../explanation/fusion.md#refinement).

```shell
python benchmarks/refinement.py run --first lesion-1 lesion-3 lesion-4 --second lesion-2 lesion-5 \\
    --preset diffusion lesion-both --cases 15 --lesion-masks MASKS
python benchmarks/refinement.py page
```

`run` measures every arm on held-out phantoms of cohort 95, and appends a row for each case and arm to
`docs/results/refinement.jsonl`. `page` writes this page from the rows.

- **Arms.** `first` is the first pass alone. `uncertain` reads the windows in which it is uncertain, `random` as many
  windows at random inside the brain, `all` the whole head. `error` reads where the first pass is wrong, which needs the
  ground truth. It is a control and no method; it need not be the best arm, because a wrong voxel of the first pass can
  be wrong in the second as well.
- **Cases.** The scores are those of phantoms with a lesion. Those without one have a line of their own: the Dice of two
  empty masks is 1, and a single false voxel makes it 0.
- **Difference.** The mean over patients of the difference from `{BASELINE}`, with its 95 % bootstrap interval by
  patient.
- **Cost.** Processor seconds of the prediction after preprocessing, and the windows that were read as a share of those
  of a full second pass.
"""


def page(rows: Sequence[Row]) -> str:
    """The page in Markdown.

    Args:
        rows: Rows of one study; trials of the code are not shown.

    Raises:
        ImplausibleValues: Rows of several studies.
    """
    measured = [row for row in rows if not row["trial"]]
    studies = sorted({row["study"] for row in measured})
    if len(studies) > 1:
        raise ImplausibleValues(
            "rows", expected="one study", found=", ".join(studies), do="keep the rows of another study in another file"
        )
    if not measured:
        return (
            f"{_METHOD}\n## Results\n\nThe study has no rows yet: it needs networks that were trained at 1 to 1.5 mm.\n"
        )
    presets = dict.fromkeys(row["preset"] for row in measured)
    tables = (line for preset in presets for line in preset_lines(measured, preset))
    return "\n".join([_METHOD, "## Results", "", *tables])


def preset_lines(rows: Sequence[Row], preset: str) -> Iterator[str]:
    """The table of one preset of phantoms, and what the uncertainty is worth."""
    by_arm = {arm: {row["case"]: row for row in rows if row["preset"] == preset and row["arm"] == arm} for arm in ARMS}
    shared = sorted(set.intersection(*(set(by_case) for by_case in by_arm.values() if by_case)))
    true_ml = {case: by_case[case]["true_ml"] for by_case in by_arm.values() if by_case for case in shared}
    cases = [case for case in shared if true_ml[case] > 0]
    yield f"### {preset}: {len(cases)} phantoms with a lesion"
    yield ""
    titles = " | ".join(f"{title} | against {BASELINE}" for title in MEASURES.values())
    yield f"| arm | {titles} | windows | share | CPU s |"
    yield "|---|" + "---|---|" * len(MEASURES) + "---|---|---|"
    for arm, by_case in by_arm.items():
        if by_case:
            yield f"| {arm} | {' | '.join(_cells(arm, cases, by_arm))} |"
    yield ""
    if by_arm[GUIDED] and by_arm[CONTROL]:
        values = [
            f"{title} {difference(_gains(GUIDED, CONTROL, name, cases, by_arm))}" for name, title in MEASURES.items()
        ]
        yield f"`{GUIDED}` against `{CONTROL}`: {', '.join(values)}."
        yield ""
    if healthy := [case for case in shared if not true_ml[case]]:
        volumes = (
            f"{arm} {np.mean([by_case[case]['predicted_ml'] for case in healthy]):.2f} ml"
            for arm, by_case in by_arm.items()
            if by_case
        )
        yield f"Falsely segmented, mean of {len(healthy)} phantoms without a lesion: {', '.join(volumes)}."
        yield ""


def difference(values: np.ndarray) -> str:
    """The mean of paired differences with its 95 % interval by patient; "undefined" for fewer than two cases."""
    defined = values[np.isfinite(values)]
    if len(defined) < 2:
        return "undefined"
    mean = bootstrap_mean(defined, generator=np.random.default_rng(0))
    return f"{mean.value:+.3f} ({mean.low:+.3f} to {mean.high:+.3f})"


ByArm = Mapping[str, Mapping[str, Row]]


def _cells(arm: str, cases: Sequence[str], by_arm: ByArm) -> Iterator[str]:
    for name in MEASURES:
        values = _scores(arm, name, cases, by_arm)
        yield f"{np.nanmean(values):.3f}" if np.isfinite(values).any() else "undefined"
        yield "" if arm == BASELINE else difference(_gains(arm, BASELINE, name, cases, by_arm))
    rows = [by_arm[arm][case] for case in cases]
    read, whole = (np.mean([row[key] for row in rows]) for key in ("windows", "all_windows"))
    yield f"{read:.1f}"
    yield f"{read / whole:.0%}" if whole else "0%"
    yield f"{np.mean([row['cpu_s'] for row in rows]):.1f}"


def _gains(arm: str, other: str, name: str, cases: Sequence[str], by_arm: ByArm) -> np.ndarray:
    return _scores(arm, name, cases, by_arm) - _scores(other, name, cases, by_arm)


def _scores(arm: str, name: str, cases: Sequence[str], by_arm: ByArm) -> np.ndarray:
    return np.array([by_arm[arm][case]["scores"][name] for case in cases], dtype=np.float64)
