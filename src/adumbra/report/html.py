"""The HTML report of one case: a single file that opens offline and loads nothing."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Template

from adumbra.core.atomic_io import write_all_atomically
from adumbra.core.entropy import UNCERTAIN_NATS
from adumbra.core.references import bibliography
from adumbra.core.results import Prediction, RunRecord
from adumbra.report.clinical_document import clinical_document
from adumbra.report.document import Figure
from adumbra.report.number_format import (
    format_defined,
    format_ml,
    format_position,
    format_score,
    score_title,
)
from adumbra.report.pdf import pdf_bytes
from adumbra.report.target_view import target_view
from adumbra.report.templates import environment
from adumbra.report.volume_viewer import SCAN_BUDGET_BYTES, volume_viewer
from adumbra.report.worklist_section import listed_targets

MOST_BYTES = 5_800_000
"""Size that a report keeps to: the scans of the viewer get what the pictures leave of it."""
VIEWER_BYTES = 650_000
"""Size of the viewer without its scans: its code, masks and maps."""
LEAST_SCAN_BYTES = 600_000
"""Least size of the scans in the viewer."""


def write_report(
    path: Path,
    prediction: Prediction,
    run: RunRecord,
    *,
    further: Sequence[tuple[Prediction, RunRecord]] = (),
    clinic: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Writes the report of one case, and beside it the PDF of its clinical part where there is a clinical summary.

    Args:
        path: Path of the file.
        prediction: The prediction; its scans, brain and truth lie on the grid of its maps. The page prints the name of
            the case, a pseudonym. Without a brain mask, pictures are cropped to the voxels that are not black.
        run: Manifest of the run; the page prints it.
        further: Predictions of further targets of the case with their manifests.
        clinic: The clinical summary of the case; None leaves its sections out.
        overwrite: Replace an earlier report.

    Returns:
        The path.

    Raises:
        MissingInput: The case has no scan.
        GridMismatch: A scan or mask has not the shape of the maps.
        OutputRefused: The file exists already, or cannot be written.
    """
    pairs = [(prediction, run), *further]
    brief = clinic is not None
    listed = listed_targets(clinic)
    targets = [
        target_view(p, r, suffix=f"-{p.maps.target}" if n else "", brief=brief, listed=p.maps.target in listed)
        for n, (p, r) in enumerate(pairs)
    ]
    lines = [line for _, r in pairs for line in r.conversions]
    warnings = list(dict.fromkeys(text for p, _ in pairs for text in p.case.warnings))
    document = None if clinic is None else clinical_document(clinic, targets, warnings=warnings)
    content: dict[str, Any] = {
        "case": prediction.case.name,
        "title": " · ".join(target.title for target in targets),
        "targets": targets,
        "document": document,
        "uncertain_nats": UNCERTAIN_NATS,
        "warnings": warnings,
        "run": run,
        "inputs": {name: sha256 for _, r in pairs for name, sha256 in r.inputs.items()},
        "conversions": [line for n, line in enumerate(lines) if line not in lines[:n]],
        "references": bibliography(tuple(dict.fromkeys(key for _, r in pairs for key in r.references))),
    }
    page = _template().render(**content, viewer=None)
    files = {path.name: page.encode()}
    if document is not None:
        room = MOST_BYTES - VIEWER_BYTES - len(page.encode())
        viewer = volume_viewer([p for p, _ in pairs], budget_bytes=min(SCAN_BUDGET_BYTES, max(room, LEAST_SCAN_BYTES)))
        files = {path.name: _template().render(**content, viewer=viewer).encode()}
        files[path.with_suffix(".pdf").name] = pdf_bytes(document)
    return write_all_atomically(files, path.parent, overwrite=overwrite)[0]


def _image_uri(figure: Figure) -> str:
    kind = "png" if figure.suffix == ".png" else "jpeg"
    return f"data:image/{kind};base64,{b64encode(figure.image).decode()}"


@cache
def _template() -> Template:
    environment().filters.update(
        image_uri=_image_uri,
        ml=format_ml,
        score=format_score,
        score_title=score_title,
        position=format_position,
        defined=format_defined,
    )
    return environment().get_template("report.html")
