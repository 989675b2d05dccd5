"""``adumbra validate``: checks files as their readers do, and prints one line for each finding."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from adumbra.cli.options import DEFAULT_OUTPUT, OK, OutputOptions, UsageError
from adumbra.core.options import InputKind, InputModality

REFUSED = 1
"""Exit code where at least one path is refused."""


def validate(
    *paths: Path,
    as_: Annotated[InputKind | None, Parameter(name="--as")] = None,
    modality: InputModality | None = None,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Check files as their readers do, and print one line for each finding. Nothing is written, and no torch is loaded.

    A refusal names the file, what was found, what was expected and the remedy. A warning is accepted, and is recorded
    wherever the file is used. The exit code is 0 where every path is accepted, 1 where one is refused, and 2 for a
    wrong command line.

    Args:
        paths: Images, masks, folders of cases, manifests, configurations, weights, archives or splits.
        as_: What the paths are; it is recognised by the name otherwise. A pair is two files of one examination.
        modality: Modality of the images, where their names do not state it.
    """
    from adumbra.cli.advice import adapted_advice
    from adumbra.gate.registry import validate as verdicts_on

    if not paths:
        raise UsageError("Give at least one path.")
    if as_ == "pair" and len(paths) != 2:
        raise UsageError(f"--as pair: expected 2 paths, found {len(paths)}.")
    if modality is not None and as_ not in (None, "image"):
        raise UsageError(f"--modality: it is of images, and not of --as {as_}.")
    verdicts = verdicts_on(paths, kind=as_, modality=modality)
    own = {"--as", "--modality"}
    lines = [line for verdict in verdicts for line in verdict.with_advice(
        lambda advice: adapted_advice(advice, "validate", own)).lines]  # fmt: skip
    refused = sum(bool(verdict.refusals) for verdict in verdicts)
    warned = sum(verdict.status == "warning" for verdict in verdicts)
    summary = {"valid": len(verdicts) - refused - warned, "warning": warned, "refused": refused}
    output.print_result({"verdicts": [verdict.as_json() for verdict in verdicts], **summary}, *lines)
    return REFUSED if refused else OK
