"""Cohorts: the same bytes whatever the number of workers, readable by the project's own readers, valid BIDS."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from adumbra.cases.registry import find_cases, open_case
from adumbra.core.errors import MissingInput, OutputRefused
from adumbra.phantom.generate import generate
from adumbra.simulation import cohort


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cohort")
    names = cohort.simulate(out, cases=2, seed=9, preset_name="diffusion")
    assert names == ["sub-phantom09n00000", "sub-phantom09n00001"]
    return out


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_two_workers_write_what_one_writes(written: Path, tmp_path: Path) -> None:
    cohort.simulate(tmp_path / "two", cases=2, seed=9, preset_name="diffusion", workers=2)
    assert _files(tmp_path / "two") == _files(written)


def test_a_cohort_can_be_extended(written: Path, tmp_path: Path) -> None:
    cohort.simulate(tmp_path / "later", cases=1, seed=9, preset_name="diffusion", first=1)
    later, all_of_it = _files(tmp_path / "later"), _files(written)
    assert {k for k in later if "n00001" in k}
    assert all(all_of_it[name] == content for name, content in later.items())


def test_a_written_case_reads_back_as_simulated(written: Path) -> None:
    simulated = generate(cohort.case_seed(9, 1), preset_name="diffusion").case
    read = open_case(written / "sub-phantom09n00001")
    assert set(read.scans) == set(simulated.scans)
    for modality, scan in simulated.scans.items():
        assert read.scans[modality].grid.coincides(scan.grid)
        assert np.array_equal(read.scans[modality].data, scan.data), modality
    assert np.array_equal(read.masks["lesion"].data, simulated.masks["lesion"].data)
    assert read.scans["dwi"].b_value == simulated.scans["dwi"].b_value
    assert read.simulated
    assert simulated.simulated
    assert [c.warning for c in read.provenance if "not a patient" in c.what] == [False], "it is no warning"


def test_every_case_is_found_by_its_reference(written: Path) -> None:
    assert [ref.name for ref in find_cases(written)] == ["sub-phantom09n00000", "sub-phantom09n00001"]


def test_side_cars_contain_the_sampled_parameters(written: Path) -> None:
    truth = written / "derivatives/truth/sub-phantom09n00000/dwi/sub-phantom09n00000_label-lesion_mask.json"
    parameters = json.loads(truth.read_text("utf-8"))["SimulationParameters"]
    assert parameters["seed"] == cohort.case_seed(9, 0)
    assert 0.5 <= parameters["stage"]["hours"] <= 336


def test_an_existing_case_is_not_replaced_unasked(written: Path) -> None:
    before = _files(written)
    with pytest.raises(OutputRefused):
        cohort.simulate(written, cases=1, seed=9, preset_name="diffusion")
    assert _files(written) == before


def test_a_folder_without_masks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="lesion masks"):
        cohort.simulate(tmp_path / "out", cases=1, seed=1, preset_name="diffusion", lesion_masks=tmp_path)


def test_real_lesion_masks_are_used_and_implausible_ones_skipped(shared_data: Path) -> None:
    files = cohort.lesion_mask_files(shared_data / "soop-lesions")
    assert len(files) == 1449
    giants = tuple(f for f in files if f.name in {"bwsrsub-1373_lesion.nii.gz", "bwsrsub-1395_lesion.nii.gz"})
    assert cohort.sample_lesion_shape(giants, 1) is None
    lesion_shape = cohort.sample_lesion_shape(files, 1)
    assert lesion_shape is not None
    used = [cohort.simulate_case(1, n, files).parameters["lesion_mask"] for n in range(4)]
    assert any(used)
    assert not all(used)


def test_the_data_set_is_valid_bids(written: Path) -> None:
    beside = Path(sys.executable).with_name("bids-validator-deno")
    validator = str(beside) if beside.exists() else shutil.which("bids-validator-deno")
    if validator is None:
        pytest.skip("bids-validator-deno is not installed")
    command = [validator, str(written), "--json"]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    errors = [issue for issue in report["issues"]["issues"] if issue["severity"] == "error"]
    assert errors == []
