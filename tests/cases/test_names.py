"""Modalities and masks by the words of file names."""

import pytest

from adumbra.cases.names import mask_in, modality_in, pseudonym


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("P012_DWI", "dwi"), ("p012-dwi-b1000", "dwi"), ("sub-01_acq-b1000_trace", "dwi"), ("ep2d_diff_TRACEW", "dwi"),
        ("ep2d_diff_ADC", "adc"), ("dwi_adc", "adc"), ("ADCmap", "adc"), ("sub-01_acq-b0_trace", "b0"),
        ("sub-01_S0map", "b0"), ("dwi_b0", "b0"), ("T2_FLAIR", "flair"), ("ax swan 3mm", "swi"), ("SWI", "swi"),
        ("SWAN_PHASE", "phase"), ("swi.pha", "phase"), ("3D_TOF", "tof"), ("angio_mra", "tof"), ("sub-01_T1w", None),
        ("headwind", None), ("badcat", None), ("flairy", None), ("mIP_swan", None), ("dwi_brain", "dwi"),
    ],
)  # fmt: skip
def test_modalities_by_whole_words(name, modality):
    assert modality_in(name) == modality


@pytest.mark.parametrize(
    ("name", "mask"),
    [
        ("x_msk", "lesion"), ("x_lesion", "lesion"), ("label-lesion_mask", "lesion"), ("dwi_seg", "lesion"),
        ("x_thrombus", "thrombus"), ("label-thrombus_mask", "thrombus"), ("caillot", "thrombus"), ("swan_mask", "?"),
        ("swan_lesion_mask", "lesion"), ("brain_mask", "brain"), ("dwi_brain", None), ("x_dwi", None),
        ("masque_lésion", "lesion"), ("label-lesion_probseg", None), ("lesion_desc-entropy_uncertainty", None),
        ("label-hypoperfusion_mask", "hypoperfusion"), ("penumbra_seg", "hypoperfusion"),
        ("tmax_mask", "hypoperfusion"), ("x_tmax", None), ("hypoperfusion_core_mask", "lesion"),
    ],
)  # fmt: skip
def test_masks_by_whole_words(name, mask):
    assert mask_in(name) == mask


@pytest.mark.parametrize(("name", "safe"), [("P 012", "P-012"), ("../x", "x"), ("Hélène", "Hélène"), ("..", "case")])
def test_pseudonyms_are_never_paths(name, safe):
    assert pseudonym(name) == safe
