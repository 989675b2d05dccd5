"""Checks of image files: valid files pass unchanged, broken ones are refused with a word on what to do."""

import gzip
import struct

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adumbra.cases.image_file import image_stem, is_image_name, read_image_file
from adumbra.cases.scan import read_scan
from adumbra.core.errors import (
    AdumbraError,
    AmbiguousInput,
    GridMismatch,
    ImplausibleValues,
    InputRejected,
    MissingInput,
    UnreadableFile,
)

# Where the fields of a NIfTI-1 header lie (nifti1.h), and how they are packed.
FIELDS = {"sizeof_hdr": (0, "i"), "dim0": (40, "h"), "dim1": (42, "h"), "dim2": (44, "h"), "dim3": (46, "h"),
          "dim4": (48, "h"), "datatype": (70, "h"), "bitpix": (72, "h"), "qfac": (76, "f"), "pixdim1": (80, "f"),
          "pixdim3": (88, "f"), "vox_offset": (108, "f"), "slope": (112, "f"), "inter": (116, "f"), "units": (123, "b"),
          "qform_code": (252, "h"), "sform_code": (254, "h"), "quatern_b": (256, "f"), "qoffset_x": (268, "f"),
          "srow_x0": (280, "f"), "srow_x1": (284, "f"), "srow_x3": (292, "f"), "magic": (344, "4s")}  # fmt: skip


def patched(path, **changes):
    """The same uncompressed file with header fields overwritten."""
    content = bytearray(path.read_bytes())
    for field, value in changes.items():
        struct.pack_into("<" + FIELDS[field][1], content, FIELDS[field][0], value)
    path.write_bytes(content)
    return path


def test_a_valid_file_passes_and_is_hashed_as_stored(written, image):
    import hashlib

    path = written("a.nii.gz", image)
    file = read_image_file(path)
    assert (file.kind, file.shape) == ("nifti", (12, 10, 8))
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(file.content) == 352 + 12 * 10 * 8 * 4


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"sizeof_hdr": 0}, UnreadableFile),
        ({"magic": b"ni1\0"}, UnreadableFile),
        ({"magic": b"\0\0\0\0"}, UnreadableFile),
        ({"magic": b"junk"}, UnreadableFile),
        ({"dim0": 0}, UnreadableFile),
        ({"dim0": 2}, UnreadableFile),
        ({"dim0": 9}, UnreadableFile),
        ({"dim0": -1}, UnreadableFile),
        ({"dim1": 0}, UnreadableFile),
        ({"dim2": -5}, UnreadableFile),
        ({"dim1": 11}, UnreadableFile),  # fewer voxels than the file holds
        ({"dim1": 13}, UnreadableFile),  # more
        ({"dim1": 32767, "dim2": 32767, "dim3": 32767}, UnreadableFile),
        ({"datatype": 0}, UnreadableFile),
        ({"datatype": 32, "bitpix": 64}, UnreadableFile),  # complex
        ({"datatype": 128, "bitpix": 24}, UnreadableFile),  # RGB
        ({"datatype": 2304, "bitpix": 32}, UnreadableFile),  # RGBA: as many bytes as float32
        ({"datatype": 1536, "bitpix": 128}, UnreadableFile),
        ({"datatype": 1, "bitpix": 1}, UnreadableFile),
        ({"bitpix": 16}, UnreadableFile),
        ({"vox_offset": 0.0}, UnreadableFile),
        ({"vox_offset": float("nan")}, UnreadableFile),
        ({"vox_offset": 1e9}, UnreadableFile),
        ({"vox_offset": 352.5}, UnreadableFile),
        ({"pixdim1": 0.0}, UnreadableFile),
        ({"pixdim1": -2.0}, UnreadableFile),
        ({"pixdim3": float("nan")}, UnreadableFile),
        ({"pixdim3": float("inf")}, UnreadableFile),
        ({"pixdim3": 5.0}, AmbiguousInput),  # the sform says 2 mm
        ({"slope": float("inf")}, UnreadableFile),
        ({"slope": 1.0, "inter": float("nan")}, UnreadableFile),
        ({"units": 1}, AmbiguousInput),
        ({"units": 3}, AmbiguousInput),
        ({"qform_code": 0, "sform_code": 0}, AmbiguousInput),
        ({"srow_x0": float("nan")}, ImplausibleValues),
        ({"srow_x3": float("inf")}, ImplausibleValues),
        ({"srow_x3": 1e7}, ImplausibleValues),
        ({"sform_code": 0, "quatern_b": 3.0}, UnreadableFile),
        ({"sform_code": 0, "qoffset_x": float("nan")}, UnreadableFile),
        ({"sform_code": 0, "qfac": 7.0}, UnreadableFile),
    ],
    ids=str,
)  # fmt: skip
def test_an_impossible_header_is_refused(written, image, changes, error):
    path = patched(written("case_dwi.nii", image, affine=np.diag([2.0, 2, 2, 1])), **changes)
    with pytest.raises(error, match=r"case_dwi\.nii") as caught:
        read_image_file(path)
    assert type(caught.value) is error
    assert caught.value.expected
    assert caught.value.found
    assert caught.value.do


def test_a_sform_of_zeros_is_refused(written, image):
    path = written("a.nii", image)
    content = bytearray(path.read_bytes())
    content[280:328] = bytes(48)
    path.write_bytes(content)
    with pytest.raises(ImplausibleValues, match="inverted"):
        read_image_file(path)


def test_a_gzip_cut_at_any_byte_is_refused(written, image):
    whole = written("a.nii.gz", image).read_bytes()
    cut = written("cut.nii.gz", image)
    for length in [*range(0, 40), *range(40, len(whole), max(1, len(whole) // 40)), len(whole) - 8, len(whole) - 1]:
        cut.write_bytes(whole[:length])
        with pytest.raises(UnreadableFile, match=r"cut\.nii\.gz"):
            read_image_file(cut)


def test_a_flipped_bit_is_detected_by_its_checksum(written, image):
    path = written("flip.nii.gz", image)
    stored = nib.load(path)
    # Stored without compression, so that a flipped bit changes a voxel and nothing else.
    content = bytearray(gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=0, mtime=0))
    content[-2000] ^= 1
    path.write_bytes(content)
    assert stored.shape == (12, 10, 8)
    with pytest.raises(UnreadableFile, match="CRC"):
        read_image_file(path)


def test_an_uncompressed_file_cut_or_with_bytes_left_over_is_refused(written, image):
    path = written("a.nii", image)
    whole = path.read_bytes()
    for content in (whole[:100], whole[:352], whole[:-1], whole + b"x", whole + bytes(513)):
        path.write_bytes(content)
        with pytest.raises(UnreadableFile):
            read_image_file(path)
    path.write_bytes(whole + bytes(512))
    assert read_image_file(path).shape == (12, 10, 8)


@pytest.mark.parametrize("garbage", [b"garbage", b"\x1f\x8b\x08", bytes(5000) + b"x"])
def test_what_follows_a_gzip_stream_is_refused(written, image, garbage):
    path = written("a.nii.gz", image)
    path.write_bytes(path.read_bytes() + garbage)
    with pytest.raises(UnreadableFile):
        read_image_file(path)


def test_a_gzip_bomb_is_refused_before_it_fills_the_memory(written, image):
    path = written("bomb.nii.gz", image)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + bytes(2**26)))
    with pytest.raises(UnreadableFile, match="after the voxels"):
        read_image_file(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("zero.nii.gz", b"", "0 bytes"),
        ("zero.nii", b"", "0 bytes"),
        ("text.nii.gz", b"hello", "no gzip"),
        ("lfs.nii.gz", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("annex.nii.gz", b"/annex/objects/MD5E-s1\n", "git annex get"),
        ("page.nii", b"<!DOCTYPE html>" + bytes(600), "web page"),
        ("dicom.nii", bytes(128) + b"DICM" + bytes(600), "DICOM"),
        ("twice.nii.gz", gzip.compress(gzip.compress(bytes(5000), mtime=0), mtime=0), "gzip within gzip"),
        ("short.nii.gz", gzip.compress(b"abc", mtime=0), "inside its header"),
        ("notes.txt", b"hello", "dcm2niix"),
        ("pair.hdr", bytes(348), "pair"),
        ("noise.mha", bytes(range(256)) * 40, "header"),
        ("empty.mha", b"", "0 bytes"),
    ],
)
def test_a_file_that_is_not_an_image_is_refused_by_its_kind(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableFile, match=message):
        read_image_file(tmp_path / name)


def test_names_that_misstate_the_compression_are_refused(written, image):
    path = written("a.nii.gz", image)
    plain = path.rename(path.with_name("b.nii"))
    with pytest.raises(UnreadableFile, match=r"rename it to \.nii\.gz"):
        read_image_file(plain)


def test_folders_absent_files_and_pipes_are_refused(tmp_path):
    import os

    (tmp_path / "folder.nii.gz").mkdir()
    os.mkfifo(tmp_path / "pipe.nii")
    with pytest.raises(UnreadableFile, match="folder"):
        read_image_file(tmp_path / "folder.nii.gz")
    with pytest.raises(UnreadableFile, match="pipe"):
        read_image_file(tmp_path / "pipe.nii")
    with pytest.raises(MissingInput, match=r"none\.nii"):
        read_image_file(tmp_path / "none.nii")
    with pytest.raises(AdumbraError):
        read_image_file(tmp_path / ("x" * 400 + ".nii"))


def test_sheared_axes_are_refused_and_nearly_orthogonal_ones_accepted(written, image):
    sheared, nearly = np.diag([2.0, 2, 2, 1]), np.diag([2.0, 2, 2, 1])
    sheared[0, 1], nearly[0, 1] = 0.2, 0.01
    header = {"qform_code": 0, "pixdim": [1, 2, np.hypot(2, 0.2), 2, 0, 0, 0, 0]}
    with pytest.raises(GridMismatch, match=r"5\.7 degrees"):
        read_image_file(written("s.nii", image, affine=sheared, header=header))
    file = read_image_file(written("n.nii", image, affine=nearly, header={"qform_code": 0}))
    np.testing.assert_allclose(file.affine, nearly, atol=1e-6)
    assert "0.29 degrees" in file.layout.notes[0].what


def test_sform_and_qform_that_disagree_on_left_and_right_are_refused(written, image):
    path = written("flip.nii", image, affine=np.diag([2.0, 2, 2, 1]))
    patched(path, srow_x0=-2.0)
    with pytest.raises(AmbiguousInput, match="LAS by the sform, RAS by the qform"):
        read_image_file(path)


def test_sform_and_qform_a_little_apart_are_reported(written, image):
    path = patched(written("moved.nii", image, affine=np.diag([2.0, 2, 2, 1])), srow_x3=3.0)
    file = read_image_file(path)
    assert file.affine[0, 3] == 3.0
    (note,) = file.layout.notes
    assert note.warning
    assert "3.0 mm elsewhere" in note.what


def test_the_qform_alone_is_enough(written, image):
    path = written("q.nii", image, header={"sform_code": 0})
    np.testing.assert_allclose(read_image_file(path).affine, nib.load(path).affine, atol=1e-4)


def test_nifti_2_and_either_byte_order_are_read(tmp_path, image):
    affine = np.diag([1.5, 2, 3, 1.0])
    nib.save(nib.Nifti2Image(image.astype(np.float32), affine), tmp_path / "two.nii.gz")
    big = nib.Nifti1Image(image.astype(">f4"), affine, nib.Nifti1Header(endianness=">"))
    nib.save(big, tmp_path / "big.nii")
    assert (tmp_path / "big.nii").read_bytes()[:4] == b"\0\0\1\x5c"
    for name in ("two.nii.gz", "big.nii"):
        scan, _ = read_scan(tmp_path / name, "flair")
        np.testing.assert_array_equal(scan.data, image.astype(np.float32))
        np.testing.assert_array_equal(scan.grid.affine, affine)


def test_one_slice_is_read_with_a_warning(written, image):
    scan, notes = read_scan(written("one.nii.gz", image[:, :, :1]), "flair")
    assert min(scan.data.shape) == 1
    assert [note.warning for note in notes if "single slice" in note.what] == [True]


def test_names_of_images():
    from pathlib import Path

    assert is_image_name(Path("a.NII.GZ"))
    assert not is_image_name(Path("._a.nii.gz"))
    assert image_stem(Path("x/a.b.nii.gz")) == "a.b"
    assert image_stem(Path("c.mha")) == "c"


@pytest.fixture(scope="module")
def valid_files(tmp_path_factory):
    """One small valid file in each format: name and bytes."""
    folder = tmp_path_factory.mktemp("valid")
    data = np.round(300 + 60 * np.random.default_rng(3).standard_normal((4, 5, 6))).astype(np.int16)
    nib.save(nib.Nifti1Image(data, np.diag([2.0, 2, 2, 1])), folder / "a.nii")
    sitk.WriteImage(sitk.GetImageFromArray(data), str(folder / "a.mha"), useCompression=False)
    sitk.WriteImage(sitk.GetImageFromArray(data), str(folder / "z.mha"), useCompression=True)
    (folder / "a.nii.gz").write_bytes(gzip.compress((folder / "a.nii").read_bytes()))
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_done_to_a_file_only_own_errors_escape(valid_files, tmp_path, data):
    name = data.draw(st.sampled_from(sorted(valid_files)))
    content = bytearray(valid_files[name])
    headwards = st.integers(0, min(len(content), 400) - 1)
    for _ in range(data.draw(st.integers(0, 4))):
        start, new = data.draw(headwards), data.draw(st.binary(min_size=1, max_size=8))
        content[start : start + len(new)] = new
    content = content[: data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))]
    path = tmp_path / name
    path.write_bytes(content)
    modality = data.draw(st.sampled_from(["flair", "adc"]))
    refusal = None
    try:
        scan, _ = read_scan(path, modality)
        assert np.isfinite(scan.data).all()
    except InputRejected as problem:
        refusal = problem
    assert refusal is None or name in str(refusal)
