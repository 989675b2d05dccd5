"""From a file to a scan: the same patient whatever the orientation, the type and the scaling it was stored in."""

import itertools

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

from adumbra.cases.scan import has_two_values, read_mask, read_scan
from adumbra.core.errors import AmbiguousInput, GridMismatch, ImplausibleValues, MissingInput, UnreadableFile

AXCODES = ["".join(sides) for axes in itertools.permutations(["RL", "AP", "SI"]) for sides in itertools.product(*axes)]
# About 12 degrees from the axes, as an axial series along the hard palate; spacing 2 x 2.5 x 4 mm.
RAS = np.array([[2.0, 0, 0, -11], [0, 2.45, -0.795, -9], [0, 0.497, 3.92, -13], [0, 0, 0, 1.0]])


def test_there_are_48_orientations():
    assert len(set(AXCODES)) == 48


@pytest.mark.parametrize("axcodes", AXCODES)
@pytest.mark.parametrize("extension", [".nii", ".mha"])
def test_every_orientation_gives_the_same_patient(tmp_path, image, axcodes, extension):
    turn = ornt_transform(io_orientation(RAS), axcodes2ornt(axcodes))
    data = np.ascontiguousarray(apply_orientation(image, turn)).astype(np.int16)
    affine = RAS @ inv_ornt_aff(turn, image.shape)
    path = tmp_path / f"a{extension}"
    if extension == ".nii":
        nib.save(nib.Nifti1Image(data, affine), path)
    else:
        _write_lps(path, data, affine)
    scan, _ = read_scan(path, "flair")
    np.testing.assert_array_equal(scan.data, image.astype(np.float32))
    np.testing.assert_allclose(scan.grid.affine, RAS, atol=2e-4)
    assert scan.native.shape == data.shape
    np.testing.assert_allclose(scan.native.affine, affine, atol=2e-4)
    assert scan.native.axcodes == axcodes


def _write_lps(path, data, affine, *, compress=False):
    """As any ITK program writes an image whose RAS affine is this."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    lps = np.diag([-1.0, -1, 1]) @ affine[:3]
    image = sitk.GetImageFromArray(data.T)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:, 3].tolist())
    image.SetDirection((lps[:, :3] / spacing).ravel().tolist())
    sitk.WriteImage(image, str(path), useCompression=compress)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
@pytest.mark.parametrize("name", ["a.nii.gz", "a.mha", "a.mhd", "z.mha", "z.mhd"])
def test_every_type_in_every_container_gives_the_same_numbers(tmp_path, dtype, name):
    data = np.arange(60).reshape(3, 4, 5).astype(dtype)
    if name.endswith(".nii.gz"):
        nib.save(nib.Nifti1Image(data, RAS, dtype=data.dtype), tmp_path / name)
    else:
        _write_lps(tmp_path / name, data, RAS, compress=name.startswith("z"))
    scan, _ = read_scan(tmp_path / name, "b0")
    assert scan.data.dtype == np.float32
    np.testing.assert_array_equal(scan.data, data)
    np.testing.assert_allclose(scan.native.affine, RAS, atol=1e-4)


def test_the_slope_is_applied_and_a_slope_of_zero_means_none(written, image):
    plain, _ = read_scan(written("p.nii", image, dtype=np.int16, header={}), "flair")
    scaled = _scaled(written("s.nii", image, dtype=np.int16), 0.5, 10.0)
    zero = _scaled(written("z.nii", image, dtype=np.int16), 0.0, 10.0)
    np.testing.assert_allclose(read_scan(scaled, "flair")[0].data, plain.data * 0.5 + 10, rtol=1e-6)
    np.testing.assert_array_equal(read_scan(zero, "flair")[0].data, plain.data)
    (note,) = read_scan(scaled, "flair")[1]
    assert note.values == {"slope": 0.5, "intercept": 10.0}


def _scaled(path, slope, intercept):
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([slope, intercept], dtype="<f4").tobytes()
    path.write_bytes(content)
    return path


def test_one_trailing_volume_is_one_volume(written, image):
    scan, notes = read_scan(written("t.nii.gz", image[..., None]), "flair")
    np.testing.assert_array_equal(scan.data.shape, (12, 10, 8))
    assert notes[-1].values == {"volume": 0, "volumes": 1}
    assert notes[-1].stage == "cases.nifti"


def test_a_series_is_refused_with_its_b_values(written, image, tmp_path):
    path = written("series_dwi.nii.gz", np.stack([image, image / 2], axis=-1))
    with pytest.raises(AmbiguousInput, match="2 volumes") as caught:
        read_scan(path, "dwi")
    assert "b-values" not in caught.value.found
    (tmp_path / "series_dwi.bval").write_text("0 1000\n")
    with pytest.raises(AmbiguousInput, match="b-values 0, 1000"):
        read_scan(path, "dwi")
    scan, _ = read_scan(path, "dwi", volume=1)
    assert scan.b_value == 1000
    np.testing.assert_array_equal(np.sort(scan.data, axis=None), np.sort(image.astype(np.float32) / 2, axis=None))


def test_a_colour_vector_series_is_refused(written, image):
    with pytest.raises(AmbiguousInput, match="3 volumes"):
        read_scan(written("v.nii.gz", np.stack([image] * 3, axis=-1)[:, :, :, None, :]), "flair")


def test_nan_holes_are_refused_and_filled_only_on_request(written, image):
    image[2, 3, 4], image[5, 5, 5] = np.nan, np.inf
    path = written("holes.nii.gz", image)
    with pytest.raises(ImplausibleValues, match=r"2 of 960 voxels: 1 NaN, 1 infinite") as caught:
        read_scan(path, "dwi")
    assert caught.value.where == "holes.nii.gz"
    assert "--nan-to-zero" in caught.value.do
    scan, notes = read_scan(path, "dwi", nan_to_zero=True)
    assert scan.valid_mask is not None
    assert scan.valid_mask.shape == scan.data.shape
    assert int((~scan.valid_mask).sum()) == 2
    assert (scan.data[~scan.valid_mask] == 0).all()
    # The file lies LAS: the hole at stored i = 2 is at 11 - 2 in RAS.
    assert not scan.valid_mask[9, 3, 4]
    assert [note.values for note in notes if note.warning] == [{"filled": 2, "nan": 1}]


def test_an_image_of_nothing_but_nan_is_refused_even_when_filling_is_requested(written, image):
    with pytest.raises(ImplausibleValues, match="960 NaN"):
        read_scan(written("nan.nii.gz", image * np.nan), "flair", nan_to_zero=True)


def test_numbers_beyond_float32_are_not_turned_into_infinity(written, image):
    image[0, 0, 0] = 1e300
    with pytest.raises(ImplausibleValues, match="beyond float32"):
        read_scan(written("huge.nii.gz", image, dtype=np.float64), "flair")


@pytest.mark.parametrize("value", [0, 7])
def test_an_image_without_contrast_is_refused(written, image, value):
    with pytest.raises(ImplausibleValues, match=f"{value} in every voxel"):
        read_scan(written("flat.nii.gz", np.full_like(image, value)), "flair")


def test_a_mask_given_as_an_image_is_refused(written, lesion):
    path = written("case_dwi.nii.gz", lesion, dtype=np.uint8)
    assert has_two_values(path)
    with pytest.raises(ImplausibleValues, match="as of a mask"):
        read_scan(path, "dwi")


def test_an_adc_map_given_as_dwi_is_refused_and_the_other_way_round(written, adc, image):
    with pytest.raises(AmbiguousInput, match="calls adc"):
        read_scan(written("case_adc.nii.gz", adc), "dwi")
    with pytest.raises(AmbiguousInput, match="calls dwi"):
        read_scan(written("case_dwi.nii.gz", image), "adc")
    with pytest.raises(AmbiguousInput, match="calls adc"):
        read_scan(written("s1.nii.gz", adc, sidecar={"ImageType": ["DERIVED", "PRIMARY", "ADC_UNSPECIFIED"]}), "dwi")
    assert read_scan(written("dwi_adc.nii.gz", adc), "adc")[0].data.max() == 3


def test_a_real_phase_with_holes_is_refused(shared_data, tmp_path):
    source = shared_data / "swi" / "romeo" / "small" / "phase_with_nan.nii"
    with pytest.raises(AmbiguousInput, match=r"phase_with_nan\.nii"):
        read_scan(source, "phase")  # a series of two echoes, and no word on orientation
    stored = nib.load(source)
    data = np.asarray(stored.dataobj)
    assert np.isnan(data).sum() == 1280
    joined = np.concatenate([data[..., 0], data[..., 1]], axis=2)
    image = nib.Nifti1Image(joined, np.eye(4))
    nib.save(image, tmp_path / "phase.nii")
    with pytest.raises(ImplausibleValues, match="1,280 NaN"):
        read_scan(tmp_path / "phase.nii", "phase")
    with pytest.raises(AmbiguousInput, match="4 wraps"):  # ±4.7: half unwrapped
        read_scan(tmp_path / "phase.nii", "phase", nan_to_zero=True)
    scan, _ = read_scan(tmp_path / "phase.nii", "swi", nan_to_zero=True)
    assert int((~scan.valid_mask).sum()) == 1280


def test_real_files_without_an_orientation_are_refused(shared_data):
    with pytest.raises(AmbiguousInput, match="sform_code 0 and qform_code 0"):
        read_scan(shared_data / "swi" / "romeo" / "small2" / "Mag.nii", "swi")


@pytest.mark.parametrize("name", ["bwsrsub-454", "bwsrsub-989", "bwsrsub-1000"])
def test_real_masks_of_any_type_are_masks(shared_data, name):
    path = shared_data / "soop-lesions" / f"{name}_lesion.nii.gz"
    scan, _ = read_mask(path, "lesion")
    stored = nib.load(path)
    assert stored.get_data_dtype() == (np.uint8 if name.endswith("1000") else np.int16)
    assert scan.data.dtype == bool
    assert scan.data.sum() == np.count_nonzero(np.asarray(stored.dataobj)) > 0
    assert (scan.grid.axcodes, scan.native.axcodes) == ("RAS", "LAS")


def _mha(**fields):
    header = {"ObjectType": "Image", "NDims": "3", "BinaryData": "True", "CompressedData": "False", "Offset": "0 0 0",
            "TransformMatrix": "1 0 0 0 1 0 0 0 1", "ElementSpacing": "1 1 2", "DimSize": "2 3 4",
            "ElementType": "MET_UCHAR", "ElementDataFile": "LOCAL"}  # fmt: skip
    header = {key: value for key, value in {**header, **fields}.items() if value is not None}
    last = header.pop("ElementDataFile", None)
    lines = [f"{key} = {value}" for key, value in header.items()] + ([f"ElementDataFile = {last}"] if last else [])
    return "\n".join(lines).encode() + b"\n" + bytes(range(24))


def test_a_metaimage_written_by_hand(tmp_path):
    (tmp_path / "a.mha").write_bytes(_mha())
    scan, _ = read_scan(tmp_path / "a.mha", "flair")
    assert scan.native.axcodes == "LPS"
    # x fastest in the file; RAS turns both in-plane axes round.
    assert scan.data[1, 2, 0] == 0
    assert scan.data[0, 2, 0] == 1
    assert scan.data[0, 0, 3] == 23


@pytest.mark.parametrize(
    "fields",
    [
        {"NDims": "4"}, {"DimSize": "2 3"}, {"DimSize": "2 3 0"}, {"DimSize": "2 3 5"}, {"DimSize": "2 3 3"},
        {"DimSize": "65535 65535 65535"}, {"DimSize": "2 3 x"}, {"DimSize": "9" * 5000}, {"ElementType": "MET_OTHER"},
        {"ElementType": None}, {"ElementNumberOfChannels": "3"}, {"BinaryData": "False"}, {"ElementSpacing": "1 1 0"},
        {"ElementSpacing": "1 1 -2"}, {"ElementSpacing": "1 1 nan"}, {"ElementSpacing": None},
        {"TransformMatrix": None},
        {"TransformMatrix": "1 0 0 0 1 0 0 0"}, {"Offset": "a b c"}, {"CompressedData": "True"}, {"HeaderSize": "-1"},
        {"ElementDataFile": None}, {"ElementDataFile": "LIST"}, {"ElementDataFile": "../a.raw"},
        {"ElementDataFile": "/etc/passwd"}, {"ElementDataFile": "slice%03d.raw 1 4 1"}, {"DistanceUnits": "um"},
        {"ElementToIntensityFunctionSlope": "2"}, {"ObjectType": "Mesh"},
    ],
    ids=str,
)  # fmt: skip
def test_an_impossible_metaimage_is_refused(tmp_path, fields):
    (tmp_path / "a.mha").write_bytes(_mha(**fields))
    with pytest.raises(UnreadableFile, match=r"a\.mha"):
        read_scan(tmp_path / "a.mha", "flair")


def test_other_metaimages_that_are_refused(tmp_path):
    for matrix, error in {"1 0 0 0 1 0 1 0 0": ImplausibleValues, "1 0 0 0.2 1 0 0 0 1": GridMismatch,
                          "nan 0 0 0 1 0 0 0 1": ImplausibleValues}.items():  # fmt: skip
        (tmp_path / "a.mha").write_bytes(_mha(TransformMatrix=matrix))
        with pytest.raises(error):
            read_scan(tmp_path / "a.mha", "flair")
    (tmp_path / "a.mhd").write_bytes(_mha(ElementDataFile="gone.raw"))
    with pytest.raises(MissingInput, match=r"gone\.raw"):
        read_scan(tmp_path / "a.mhd", "flair")


def test_a_compressed_metaimage_cut_short_is_refused(tmp_path, image):
    _write_lps(tmp_path / "a.mha", image, RAS, compress=True)
    whole = (tmp_path / "a.mha").read_bytes()
    (tmp_path / "a.mha").write_bytes(whole[:-20])
    with pytest.raises(UnreadableFile):
        read_scan(tmp_path / "a.mha", "flair")
