"""Facts of a patient from tables beside the images."""

from pathlib import Path

import pytest

from adumbra.cases.facts import facts_beside, facts_of
from adumbra.clinic.rules.quantities import SITE_GROUPS, SITES
from adumbra.core.clinical_facts import NO_FACTS, OCCLUSION_SITES, ClinicalFacts


def test_the_names_of_sites_are_those_of_the_rules() -> None:
    assert set(OCCLUSION_SITES) == {*SITES, *SITE_GROUPS}


@pytest.mark.parametrize(
    ("heading", "cell", "expected"),
    [
        ("age", "71", ClinicalFacts(age=71.0)),
        ("Age (years)", "71,5", ClinicalFacts(age=71.5)),
        ("NIHSS_admission", "12", ClinicalFacts(nihss=12)),
        ("pre-stroke mRS", "1", ClinicalFacts(prestroke_mrs=1)),
        ("onset known", "Yes", ClinicalFacts(onset_known=True)),
        ("Occlusion site", "M2 dominant", ClinicalFacts(occlusion_site="m2_dominant")),
        ("occlusion_site", "none", ClinicalFacts(occlusion_site="none")),
        ("LKW hours", "8.5", ClinicalFacts(hours_since_last_known_well=8.5)),
        ("colour", "12", NO_FACTS),
        ("nihss", "n/a", NO_FACTS),
    ],
)
def test_headings_and_cells(heading: str, cell: str, expected: ClinicalFacts) -> None:
    facts, notes = facts_of({heading: cell}, "t.tsv")
    assert facts == expected
    assert not any(note.warning for note in notes)


@pytest.mark.parametrize(("heading", "cell"), [("nihss", "12.5"), ("nihss", "99"), ("age", "-1"), ("age", "inf"),
                                               ("mass effect", "perhaps"), ("occlusion site", "carotid")])  # fmt: skip
def test_a_cell_that_is_not_understood_is_left_out_with_a_warning(heading: str, cell: str) -> None:
    facts, notes = facts_of({heading: cell}, "t.tsv")
    assert facts == NO_FACTS
    assert [note.warning for note in notes] == [True]
    assert cell not in notes[0].what, "a cell may identify a patient"


def test_the_participants_file_of_a_data_set(tmp_path: Path) -> None:
    subject = tmp_path / "sub-01" / "ses-1" / "dwi"
    subject.mkdir(parents=True)
    (subject / "sub-01_ses-1_dwi.nii.gz").write_bytes(b"")
    (tmp_path / "participants.tsv").write_text("participant_id\tage\tnihss\nsub-02\t50\t1\nsub-01\t64\t17\n")
    assert facts_beside(tmp_path / "sub-01", "sub-01_ses-1")[0] == ClinicalFacts(age=64.0, nihss=17)
    assert facts_beside({"dwi": subject / "x.nii"}, "sub-01")[0] == NO_FACTS
    (tmp_path / "participants.tsv").write_bytes(b"\xff\xfe\x00garbage")
    assert facts_beside(tmp_path / "sub-01", "sub-01")[0] == NO_FACTS
