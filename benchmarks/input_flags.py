"""How often correct phantoms are flagged or refused, and how often wrong inputs are.

Run: ``python benchmarks/input_flags.py --cases 220``. Every phantom is read as a case, once as it is and once for each
fault: b0 and DWI exchanged, a wrong b-value (``ratio`` is the stated over the true one), and another image given as the
DWI, with the ADC of the examination and without any ADC. ``--b-values`` replaces the b-value of the preset's protocols.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from adumbra.core.case import Case
from adumbra.core.errors import ImplausibleValues
from adumbra.phantom.generate import phantom_from
from adumbra.phantom.patient import simulate_patient
from adumbra.phantom.presets import preset_named
from adumbra.phantom.scanner import setup
from adumbra.preprocessing.adc import adc_from, tissue_median, with_adc
from adumbra.preprocessing.input_flags import bright_tail, fluid_to_tissue, input_flags, signal_to_noise
from adumbra.preprocessing.pipeline import align_case
from adumbra.simulation.cohort import case_seed

RATIOS = (0.4, 0.5, 0.667, 0.8, 1.25, 1.5, 1.75, 2.0, 2.5, 3.125)
MODALITIES = ("dwi", "adc", "b0", "flair")


def case_of(seed: int, number: int, preset: str) -> Case:
    """The scans of a phantom, without its masks."""
    own = case_seed(seed, number)
    return phantom_from(simulate_patient(own, preset=preset_named(preset)), own, preset).case.updated(masks={})


def flags_of(case: Case) -> tuple[str, ...]:
    """The names of the warnings of an aligned case."""
    flags = input_flags(case, target="lesion", modalities=MODALITIES, b_range=(800.0, 2500.0))
    return tuple(str(flag.values["flag"]) for flag in flags if flag.warning)


def computed_adc(case: Case, ratio: float) -> str:
    """What becomes of an ADC that is computed with a wrong b-value: ``"refused"``, ``"warned"`` or ``"passed"``."""
    dwi = case.scans["dwi"]
    scans = {"b0": case.scans["b0"], "dwi": replace(dwi, b_value=dwi.b_value * ratio)}
    try:
        result = with_adc(Case(case.name, scans))
    except ImplausibleValues:
        return "refused"
    return "warned" if any(c.warning for c in result.provenance if c.stage == "preprocessing.adc") else "passed"


def exchanged(case: Case, *, with_file: bool) -> str:
    """What becomes of b0 and DWI that are exchanged, with the ADC as a file or computed."""
    b0, dwi = case.scans["b0"], case.scans["dwi"]
    scans = {"b0": dwi, "dwi": replace(b0, b_value=dwi.b_value)} | ({"adc": case.scans["adc"]} if with_file else {})
    try:
        with_adc(Case(case.name, scans))
    except ImplausibleValues:
        return "refused"
    return "passed"


def as_dwi(aligned: Case, modality: str) -> Case:
    """The aligned case with another of its images as the DWI."""
    return aligned.updated(
        scans={**aligned.scans, "dwi": replace(aligned.scans["dwi"], data=aligned.scans[modality].data)}
    )


def without_adc(aligned: Case) -> Case:
    """The aligned case with its DWI only."""
    return aligned.updated(scans={"dwi": aligned.scans["dwi"]})


def measure(case: Case, outcomes: dict[str, Counter], numbers: dict[str, list[float]]) -> None:
    """Adds what becomes of one case to the counts and numbers."""
    b0, dwi = case.scans["b0"], case.scans["dwi"]
    numbers["tissue ADC"].append(tissue_median(adc_from(b0, dwi, dwi.b_value), b0, dwi) or np.nan)
    outcomes["correct b-value"][computed_adc(case, 1.0)] += 1
    for ratio in RATIOS:
        outcomes[f"b-value ratio {ratio:g}"][computed_adc(case, ratio)] += 1
    outcomes["exchanged, ADC computed"][exchanged(case, with_file=False)] += 1
    outcomes["exchanged, ADC file"][exchanged(case, with_file=True)] += 1
    aligned = align_case(case, target="lesion", modalities=MODALITIES, registration="never")
    brain = aligned.masks["brain"].data
    for modality in ("dwi", "b0", "flair"):
        numbers[f"fluid/tissue {modality}"].append(fluid_to_tissue(aligned, modality) or np.nan)
    numbers["bright tail"].append(bright_tail(aligned.scans["dwi"].data[brain]) or np.nan)
    numbers["SNR"].append(signal_to_noise(aligned.scans["dwi"], brain) or np.nan)
    outcomes["correct case"].update(flags_of(aligned) or ("no flag",))
    outcomes["correct DWI alone"].update(set(flags_of(without_adc(aligned))) - {"no_adc"} or {"no flag"})
    for modality in ("b0", "adc", "flair"):
        other = as_dwi(aligned, modality)
        outcomes[f"{modality} as DWI"].update(flags_of(other) or ("no flag",))
        outcomes[f"{modality} as DWI, no ADC"].update(set(flags_of(without_adc(other))) - {"no_adc"} or {"no flag"})


def use_b_values(b_values: Sequence[float]) -> None:
    """Replaces the b-value of every protocol by one of these."""
    sample = setup.sample_protocol

    def protocol(rng: np.random.Generator) -> setup.Protocol:
        return replace(sample(rng), b_value=float(b_values[int(rng.integers(len(b_values)))]))

    setup.sample_protocol = protocol


def main() -> None:
    """Prints the counts of each input, and quantiles of each number over the correct cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=220)
    parser.add_argument("--seed", type=int, default=71)
    parser.add_argument("--preset", default="diffusion")
    parser.add_argument("--b-values", type=float, nargs="*", default=[])
    options = parser.parse_args()
    if options.b_values:
        use_b_values(options.b_values)
    outcomes: dict[str, Counter] = defaultdict(Counter)
    numbers: dict[str, list[float]] = defaultdict(list)
    count = 0
    for number in range(options.cases):
        case = case_of(options.seed, number, options.preset)
        if set(MODALITIES) <= case.scans.keys():
            measure(case, outcomes, numbers)
            count += 1
    print(f"{count} cases of preset {options.preset}, seed {options.seed}")
    for name, counter in outcomes.items():
        print(f"{name}: " + ", ".join(f"{outcome} {n / count:.1%}" for outcome, n in counter.most_common()))
    for name, values in numbers.items():
        quantiles = np.nanquantile(values, (0.0, 0.005, 0.5, 0.995, 1.0))
        print(f"{name}: " + " ".join(f"{q:.3g}" for q in quantiles) + " (least, 0.5 %, median, 99.5 %, largest)")


if __name__ == "__main__":
    main()
