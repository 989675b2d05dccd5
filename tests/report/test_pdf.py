"""The PDF: its text is that of the document, nothing in it is a command, and equal documents give equal bytes."""

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from PIL import Image

from adumbra.core.errors import OutputRefused
from adumbra.report.bids import RESEARCH_USE
from adumbra.report.document import ESTIMATED_PERFUSION, Document, Figure, Section, Table
from adumbra.report.pdf import pdf_bytes, write_pdf

HASH = "0123456789abcdef" * 4


def picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((40, 60), 128, dtype=np.uint8)).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def document() -> Document:
    volumes = Table(
        ("Measure", "Value", "95 % interval"),
        (("Core", "114.17 ml", "98.1 to 131 ml"), ("DWI-ASPECTS", "4", "3 to 5")),
        caption="Volumes and scores.",
        numeric=(1, 2),
    )
    figures = (Figure(picture("PNG"), "Axial slice.", width=0.5), Figure(picture("JPEG"), "Coronal slice.", width=0.5))
    sections = (
        Section("Diffusion", ("The lesion has 3 components.",), (volumes,), figures),
        Section("Estimated perfusion", ("Tmax > 6 s: 245.14 ml, −12 mm, 10⁻³ mm²/s.",), label=ESTIMATED_PERFUSION),
        Section("Provenance", (), (Table((), (("sha256 of the DWI", HASH),)),)),
    )
    return Document("Stroke MRI", "sub-01", ("Ischemic lesion of 114.17 ml.",), sections, ("FLAIR is missing.",), "v1")


def pages(document: Document) -> list[str]:
    """The text of each page, with lines joined."""
    pdf = pypdfium2.PdfDocument(pdf_bytes(document))
    texts = [" ".join(page.get_textpage().get_text_range().split()) for page in pdf]
    pdf.close()
    return texts


def in_order(text: str, parts: Sequence[str]) -> bool:
    """Whether all parts stand in the text, one after the other."""
    return re.search(".*".join(map(re.escape, parts)), text) is not None


def test_the_text_is_that_of_the_document_in_its_order(document: Document) -> None:
    (text,) = pages(document)
    assert in_order(text, ["Stroke MRI", "Ischemic lesion of 114.17 ml.", "FLAIR is missing.", "Diffusion"])
    assert in_order(text, ["The lesion has 3 components.", "Volumes and scores.", "Core 114.17 ml 98.1 to 131 ml"])
    assert in_order(text, ["DWI-ASPECTS 4 3 to 5", "Axial slice.", "Coronal slice.", "Estimated perfusion"])
    assert in_order(text, [ESTIMATED_PERFUSION, "Tmax > 6 s: 245.14 ml, −12 mm, 10⁻³ mm²/s.", "Provenance"])
    assert HASH in text.replace(" ", "")


def test_every_page_states_its_use(document: Document) -> None:
    rows = tuple((f"criterion {k}", "borderline") for k in range(120))
    texts = pages(replace(document, sections=(Section("Rules", tables=(Table(("Rule", "Verdict"), rows),)),)))
    assert len(texts) > 2
    assert all(RESEARCH_USE in text and "sub-01" in text for text in texts)
    assert all("Rule Verdict" in text for text in texts), "the header of a table is repeated"
    assert f"Page 1 of {len(texts)}" in texts[0]


def test_texts_are_printed_and_never_evaluated(document: Document) -> None:
    attack = '#panic("ran") $x^2$ *b* _i_ `c` @ref <label> \\ \\u{41} #include "a.typ" // x /* y */ = h'
    hostile = Document(
        attack,
        attack,
        (attack,),
        (
            Section(
                attack, (attack,), (Table((attack,), ((attack,),), attack),), (Figure(picture("PNG"), attack),), attack
            ),
        ),
        (attack,),
        attack,
    )
    text = "".join(pages(hostile))
    # Title, case, conclusion, warning, five parts of the section with the figure's caption and label, and the footer.
    assert text.replace(" ", "").count(attack.replace(" ", "")) >= 11


@pytest.mark.parametrize("case", ["", " ", "患者 甲", "sub-" + "x" * 300, "a\nb", "é\u0000\u202e"])
def test_any_name_of_a_case_gives_a_pdf(document: Document, case: str) -> None:
    assert pages(replace(document, case=case))[0].startswith(RESEARCH_USE)


def test_equal_documents_give_equal_bytes_without_a_date(document: Document, tmp_path: Path) -> None:
    first = write_pdf(tmp_path / "a.pdf", document).read_bytes()
    assert first == pdf_bytes(document)
    assert b"CreationDate" not in first
    assert b"ModDate" not in first
    with pytest.raises(OutputRefused):
        write_pdf(tmp_path / "a.pdf", document)


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[1, 2\] cells"):
        Table(("a", "b"), (("c",),))
    with pytest.raises(ValueError, match="neither a PNG nor a JPEG"):
        Figure(b"<svg/>", "")
    with pytest.raises(ValueError, match="width of 0"):
        Figure(picture("PNG"), "", width=0.0)
