"""Stored phantoms: simulated once, read as they were simulated."""

import shutil

import numpy as np
import pytest

from adumbra.core.errors import MissingInput
from adumbra.simulation import stored_phantom
from adumbra.simulation.cohort import PhantomRef, simulate_case
from adumbra.simulation.stored_phantom import StoredPhantom


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> StoredPhantom:
    phantom = StoredPhantom(PhantomRef(9, 1), tmp_path_factory.mktemp("phantoms") / "new")
    left = phantom.folder / f".{phantom.data_set.name}.partial"
    left.mkdir(parents=True)
    (left / "part").write_text("of an interrupted simulation")
    phantom.store()
    return phantom


def test_a_stored_phantom_is_simulated_once(stored: StoredPhantom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_phantom, "simulate", lambda *_, **__: pytest.fail("simulated twice"))
    case, again = stored.open(), StoredPhantom(stored.ref, stored.folder).open()
    simulated = simulate_case(9, 1).case
    assert case.name == again.name == stored.name == simulated.name
    for modality, scan in simulated.scans.items():
        assert np.array_equal(case.scans[modality].data, scan.data)
    assert np.array_equal(again.masks["lesion"].data, simulated.masks["lesion"].data)


def test_an_interrupted_simulation_is_begun_again(stored: StoredPhantom) -> None:
    assert [path.name for path in stored.folder.iterdir()] == [stored.data_set.name]
    assert not (stored.data_set / "part").exists()


def test_the_parameters_and_the_truth_are_read(stored: StoredPhantom) -> None:
    simulated = simulate_case(9, 1)
    assert stored.parameters()["setup"]["tesla"] == simulated.parameters["tesla"]
    own = stored.open().masks["lesion"]
    (reference,) = stored.data_set.rglob("*_label-lesion_mask.nii.gz")
    shutil.copy(reference, reference.with_name(f"{stored.name}_space-FLAIR_label-lesion_mask.nii.gz"))
    assert own.data.any()
    assert np.array_equal(stored.truth_mask("lesion", "flair").data, own.data)


def test_what_the_data_set_lacks_is_named(stored: StoredPhantom) -> None:
    with pytest.raises(MissingInput, match=r"space-SWI_label-thrombusSecond_mask"):
        stored.truth_mask("thrombusSecond", "swi")
    with pytest.raises(MissingInput, match="sidecar"):
        StoredPhantom(PhantomRef(9, 2), stored.folder).parameters()
