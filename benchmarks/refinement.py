"""A second pass where the first is uncertain, beside its controls, on held-out phantoms.

Run::

    python benchmarks/refinement.py run --first FILE ... --second FILE ... [--cases 100] [--preset diffusion ...]
    python benchmarks/refinement.py page

The controls: the first pass alone, as many windows at random, all windows, and the windows where the first pass is
wrong. The claim to be tested: ``uncertain`` is above ``random`` and above ``first``, with intervals by patient, at a
share of the cost of ``all``. ``--second-spacing-mm`` applies the second networks at a spacing that they were not
trained for. Its rows are marked as a trial of the code, and the page leaves them out.
"""

import argparse
from pathlib import Path

from adumbra.core.atomic_io import write_atomically
from adumbra.core.options import SelectionConfig
from adumbra.experiments.refinement import RefinementStudy, read_rows, run_study
from adumbra.experiments.refinement_page import page, preset_lines
from adumbra.simulation.cohort import PhantomRef, lesion_mask_files

ROWS, PAGE = Path("docs/results/refinement.jsonl"), Path("docs/results/refinement.md")
SEED = 95  # Of a cohort that no weights were trained on.


def main() -> None:
    """Runs the study, or writes its page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run")
    run.add_argument("--first", nargs="+", default=["lesion"])
    run.add_argument("--second", nargs="+", required=True)
    run.add_argument("--second-spacing-mm", type=float)
    run.add_argument("--preset", nargs="+", default=["diffusion", "emergency"])
    run.add_argument("--cases", type=int, default=100, help="phantoms of each preset")
    run.add_argument("--seed", type=int, default=SEED)
    run.add_argument("--lesion-masks", type=Path)
    run.add_argument("--draws", type=int, default=10)
    run.add_argument("--windows", type=int, default=SelectionConfig().most)
    run.add_argument("--share", type=float, default=SelectionConfig().share)
    run.add_argument("--measure", choices=["entropy", "disagreement"], default="entropy")
    run.add_argument("--weight", type=float, default=1.0)
    run.add_argument("--threads", type=int, default=1)
    run.add_argument("--rows", type=Path, default=ROWS)
    write = commands.add_parser("page")
    write.add_argument("--rows", type=Path, default=ROWS)
    write.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    if options.command == "page":
        write_atomically(options.page, page(list(read_rows(options.rows))).encode())
    else:
        run_and_print(options)


def run_and_print(options: argparse.Namespace) -> None:
    """Runs the study and prints its tables, those of a trial too."""
    selection = SelectionConfig(measure=options.measure, most=options.windows, share=options.share)
    study = RefinementStudy(
        tuple(options.first), tuple(options.second), draws=options.draws, selection=selection, weight=options.weight,
        second_spacing_mm=options.second_spacing_mm, threads=options.threads,
    )  # fmt: skip
    masks = lesion_mask_files(options.lesion_masks)
    cases = [PhantomRef(options.seed, n, masks, preset) for preset in options.preset for n in range(options.cases)]
    rows = run_study(study, cases, options.rows)
    if study.is_trial:
        print("A trial of the code: the second networks were not trained at this spacing.")
    for preset in options.preset:
        print("\n".join(preset_lines(rows, preset)))


if __name__ == "__main__":
    main()
