"""Images, masks, pairs and cases that scanners, converters and people write: valid, odd and broken ones."""

import gzip
import json
import os

import numpy as np
import pytest

from adumbra.gate.registry import validate
from gate_files import (
    AFFINE,
    BRAIN,
    FLUID,
    OBLIQUE,
    SHAPE,
    Entry,
    adc,
    dwi,
    file,
    files,
    flair,
    image,
    mask,
    nifti,
    phase,
    within,
)

EVERY = np.arange(np.prod(SHAPE)).reshape(SHAPE)
CUT = nifti(dwi())
GZ = gzip.compress(CUT, 1, mtime=0)
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4" * 64 + b"\nsize 1795019\n"
FLIPPED = AFFINE @ np.diag([-1.0, 1, 1, 1])
FLIPPED[0, 3] = -46
SHIFTED = AFFINE + np.array([[0, 0, 0, 20.8], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
FAR = AFFINE + np.array([[0, 0, 0, 500.0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
ROUNDED = np.round(OBLIQUE, 3)
SHEARED = AFFINE @ np.array([[1, 0.3, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def with_(make, value, voxels=1):
    """The image with some voxels of another value."""

    def build():
        values = make().astype(np.float64)
        values.ravel()[1000 : 1000 + voxels] = value
        return values

    return build


def sidecar(**fields):
    return {"json": json.dumps(fields).encode()}


def mha(data, *, header="", order="<", local=True):
    text = ("ObjectType = Image\nNDims = 3\nBinaryData = True\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\n"
            f"ElementSpacing = 4 4 5\nDimSize = 24 24 16\n{header}ElementType = MET_SHORT\n"
            f"ElementByteOrderMSB = {order == '>'}\n"
            f"ElementDataFile = {'LOCAL' if local else 'absent.raw'}\n")  # fmt: skip
    return text.encode() + data.astype(f"{order}i2").tobytes(order="F")


def link(name, target):
    def build(folder):
        (folder / name).symlink_to(folder / target if target else folder / name)
        return [folder / name]

    return build


def folder(name):
    def build(home):
        (home / name).mkdir()
        return [home / name]

    return build


def dwi_image(name="x_dwi.nii", make=dwi, **header):
    return image(name, make, **header)


V, W, R = "valid", "warning", "refused"
VALID = [
    ("int16", dwi_image()),
    ("gzip", dwi_image("x_dwi.nii.gz")),
    ("big-endian", dwi_image(order=">")),
    ("big-endian float32", dwi_image(order=">", dtype="f4")),
    ("int16 scaled", dwi_image(scaled=(0.5, 10.0))),
    ("uint16", dwi_image(dtype="u2")),
    ("int32", dwi_image(dtype="i4")),
    ("uint8", dwi_image(make=lambda: dwi() / 5, dtype="u1")),
    ("int8", dwi_image(make=lambda: dwi() / 12, dtype="i1")),
    ("float32", dwi_image(dtype="f4")),
    ("float64", dwi_image(dtype="f8")),
    ("int64", dwi_image(dtype="i8")),
    ("NIfTI-2", dwi_image(version=2)),
    ("NIfTI-2 big-endian", dwi_image(version=2, order=">")),
    ("header extension", dwi_image(extension=(32).to_bytes(4, "little") + (6).to_bytes(4, "little") + b"a" * 24)),
    ("oblique", dwi_image(affine=OBLIQUE)),
    ("oblique rounded", dwi_image(affine=ROUNDED)),
    ("right-handed", dwi_image(affine=FLIPPED)),
    ("4-D of one volume", dwi_image(make=lambda: dwi()[..., None])),
    ("slope 0 means none", dwi_image(slope=0.0)),
    ("slope and intercept NaN mean none", dwi_image(slope=float("nan"), inter=float("nan"))),
    ("negative slope", dwi_image(make=lambda: -dwi(), slope=-1.0)),
    ("qform only", dwi_image(sform_code=0)),
    ("sform only", dwi_image(qform_code=0)),
    ("units not stated", dwi_image(units=0)),
    ("padded to 512 bytes", file("x_dwi.nii", CUT + bytes(-len(CUT) % 512))),
    ("slices of 6.5 mm", dwi_image(affine=AFFINE @ np.diag([1, 1, 1.3, 1]))),
    ("background -1000", dwi_image(make=lambda: np.where(BRAIN, dwi(), -1000))),
    ("values of 1e-6", dwi_image(make=lambda: dwi() * 1e-6, dtype="f4")),
    ("values of 1e6", dwi_image(make=lambda: dwi() * 1e6, dtype="f4")),
    ("margin of zeros", dwi_image(make=lambda: np.pad(dwi(), 4))),
    ("one b-value in .bval", dwi_image(beside={"bval": b"1000\n"})),
    ("sidecar", dwi_image(beside=sidecar(DiffusionBValue=1000, ImageType=["ORIGINAL", "PRIMARY", "M"]))),
    ("MHA", file("x_dwi.mha", lambda: mha(dwi()))),
    ("MHA big-endian", file("x_dwi.mha", lambda: mha(dwi(), order=">"))),
    ("name without a modality", image("scan.nii", dwi)),
    ("ADC without a modality in its name", image("map.nii", adc)),
    ("ADC in 1e-6", image("x_adc.nii", adc)),
    ("ADC in 1e-3", image("x_adc.nii", lambda: adc() / 1000, dtype="f4")),
    ("ADC in mm2/s", image("x_adc.nii", lambda: adc() * 1e-6, dtype="f8")),
    ("ADC with negative voxels", image("x_adc.nii", with_(adc, -300, 40))),
    ("FLAIR", image("x_flair.nii", flair)),
    ("FLAIR space-T1w", image("sub-1_space-T1w_flair.nii", flair)),
    ("SWI", image("x_swi.nii", flair, beside=sidecar(EchoTime=0.02))),
    ("TOF", image("x_tof.nii", flair)),
    ("b0", image("x_b0.nii", flair)),
    ("phase in radians", image("x_phase.nii", phase, dtype="f4")),
    ("phase of 0 to 4095", image("x_phase.nii", lambda: (phase() + np.pi) / (2 * np.pi) * 4095)),
    ("phase of -4096 to 4096", image("x_phase.nii", lambda: phase() / np.pi * 4096)),
    ("phase in milliradians", image("x_phase.nii", phase, dtype="f4", scaled=(1.0, 0.0))),
]  # fmt: skip
WARNED = [
    ("qform 3 mm beside the sform", dwi_image(qoffset_x=49.0), r"3\.0 mm"),
    ("single slice", dwi_image(make=lambda: dwi()[:, :, 8:9]), r"single slice .*\(24, 24, 1\)"),
    ("b-values that differ", dwi_image("x_b800_dwi.nii", beside={"bval": b"1000\n"}), r"1000 .* 800"),
    ("b-value that is no number", dwi_image(beside=sidecar(DiffusionBValue="many")), "many"),
    ("ADC above water", image("x_adc.nii", with_(adc, 20_000, 3)), r"3 voxels are above 10"),
    ("b0 with a b-value", image("x_b0.nii", dwi, beside=sidecar(DiffusionBValue=1000)), "1000"),
    ("T2-weighted as FLAIR", image("x_flair.nii", lambda: np.where(BRAIN & (EVERY % 40 == 0), 60, adc())),
     r"contrast may not be that of flair: \d"),
    ("ADC map as DWI", dwi_image(make=adc), r"contrast may not be that of dwi: \d.*as on an ADC map"),
    ("ADC without fluid", image("x_adc.nii", lambda: np.where(FLUID, 800, adc())), r"not be that of an ADC map: 0"),
]  # fmt: skip
REFUSED = [
    ("empty", file("x_dwi.nii", b""), "0 bytes"),
    ("empty gz", file("x_dwi.nii.gz", b""), "0 bytes"),
    ("cut in the header", file("x_dwi.nii", CUT[:200]), "200 bytes"),
    ("cut in the voxels", file("x_dwi.nii", CUT[:9000]), "9000 bytes"),
    ("cut by one byte", file("x_dwi.nii", CUT[:-1]), f"{len(CUT) - 1} bytes"),
    ("gz cut at 60 %", file("x_dwi.nii.gz", GZ[: len(GZ) * 6 // 10]), r"after \d+ bytes"),
    ("gz cut in its checksum", file("x_dwi.nii.gz", GZ[:-3]), r"after \d+ bytes"),
    ("gz with a flipped bit", file("x_dwi.nii.gz", GZ[:-20] + bytes([GZ[-20] ^ 4]) + GZ[-19:]), r"\d+ bytes"),
    ("gz with a wrong checksum", file("x_dwi.nii.gz", GZ[:-8] + b"\0\0\0\0" + GZ[-4:]), "CRC"),
    ("gz with rubbish behind it", file("x_dwi.nii.gz", GZ + b"rubbish" * 9), r"\d+ bytes"),
    ("gz named nii", file("x_dwi.nii", GZ), "rename it to .nii.gz"),
    ("nii named gz", file("x_dwi.nii.gz", CUT), "rename it to .nii"),
    ("gz in gz", file("x_dwi.nii.gz", gzip.compress(GZ)), "gzip within gzip"),
    ("bytes after the voxels", file("x_dwi.nii", CUT + b"\1" * 40), "40 bytes"),
    ("web page", file("x_dwi.nii", b"<!DOCTYPE html><html>404</html>" + b" " * 600), "web page"),
    ("web page in lower case", file("x_dwi.nii", b"\n<!doctype html><html>404</html>" + b" " * 600), "web page"),
    ("git-lfs pointer", file("x_dwi.nii.gz", LFS), "Git LFS"),
    ("git-annex pointer", file("x_dwi.nii.gz", b"/annex/objects/MD5E-s1795019--" + b"f" * 32), "git-annex"),
    ("DICOM named nii", file("x_dwi.nii", bytes(128) + b"DICM" + bytes(600)), "DICOM"),
    ("zip named nii.gz", file("x_dwi.nii.gz", b"PK\3\4" + bytes(600)), "zip"),
    ("PNG named nii", file("x_dwi.nii", b"\x89PNG\r\n\x1a\n" + bytes(600)), "PNG"),
    ("JSON named nii", file("x_dwi.nii", b'{"a": 1}' + b" " * 600), "JSON"),
    ("text named nii", file("x_dwi.nii", b"hello " * 100), "sizeof_hdr"),
    ("zeros", file("x_dwi.nii", bytes(5000)), "sizeof_hdr"),
    ("Analyze pair", file("x_dwi.img", CUT), "x_dwi.img"),
    ("header of a pair", dwi_image(magic=b"ni1\0"), "pair"),
    ("wrong magic", dwi_image(magic=b"junk"), "magic"),
    ("no axis", dwi_image(dim0=0), "dim"),
    ("two axes", dwi_image(dim0=2), "shape"),
    ("nine axes", dwi_image(dim0=9), "9 axes"),
    ("negative length", dwi_image(dim2=-5), "-5"),
    ("length 0", dwi_image(dim1=0), "0"),
    ("header of 32767 cubed", dwi_image(dim1=32767, dim2=32767, dim3=32767), r"35,\d+"),
    ("header of 1000 slices", dwi_image(dim3=1000), r"5000"),
    ("fewer voxels than the file", dwi_image(dim1=23), r"bytes"),
    ("bitpix", dwi_image(bitpix=8), "bitpix 8"),
    ("datatype 0", dwi_image(datatype=0), "datatype 0"),
    ("complex", image("x_dwi.nii", dwi, datatype=32, bitpix=64), "complex"),
    ("RGB", image("x_dwi.nii", dwi, datatype=128, bitpix=24), "RGB"),
    ("RGBA", image("x_dwi.nii", dwi, datatype=2304, bitpix=32), "RGBA"),
    ("vox_offset 0", dwi_image(vox_offset=0.0), "vox_offset 0"),
    ("vox_offset of 1e9", dwi_image(vox_offset=1e9), "1e\\+09"),
    ("vox_offset NaN", dwi_image(vox_offset=float("nan")), "vox_offset nan"),
    ("slope infinite", dwi_image(slope=float("inf")), "scl_slope inf"),
    ("slope NaN with an intercept", dwi_image(slope=float("nan"), inter=4.0), "scl_slope nan"),
    ("slope beyond float32", dwi_image(slope=1e38, inter=3e38), r"\d beyond|beyond float32|infinite"),
    ("spacing 0", dwi_image(pixdim1=0.0), "0.0"),
    ("spacing negative", dwi_image(pixdim2=-4.0), "-4.0"),
    ("spacing NaN", dwi_image(pixdim3=float("nan")), "nan"),
    ("spacing infinite", dwi_image(pixdim3=float("inf")), "inf"),
    ("spacing of 0.001 mm", dwi_image(affine=np.diag([0.001, 0.001, 0.001, 1])), r"0\.001"),
    ("spacing of 300 mm", dwi_image(affine=np.diag([300.0, 300, 300, 1])), "300"),
    ("24 voxels of 50 mm", dwi_image(affine=np.diag([50.0, 50, 50, 1])), "1200"),
    ("pixdim and sform differ", dwi_image(pixdim3=7.0), r"7\.0"),
    ("metres", dwi_image(units=1), "metres"),
    ("micrometres", dwi_image(units=3), "micrometres"),
    ("no orientation", dwi_image(qform_code=0, sform_code=0), "sform_code 0"),
    ("sform singular", dwi_image(srow_x0=0.0, srow_y0=4.0), r"\d"),
    ("sform NaN", dwi_image(srow_x0=float("nan")), "nan"),
    ("sform sheared", image("x_dwi.nii", dwi, affine=SHEARED, qform_code=0, pixdim2=float(np.hypot(4, 1.2))),
     r"16\.7 deg"),
    ("origin at 10 km", dwi_image(srow_x3=1e7), "1e\\+07|10000000"),
    ("qform flips left and right", dwi_image(srow_x0=4.0, srow_x3=-46.0), "LAS|RAS"),
    ("qform turned", dwi_image(quatern_b=0.7071), "quaternion .*0.707"),
    ("quaternion too long", dwi_image(sform_code=0, quatern_b=3.0), "3.0"),
    ("qfac 7", dwi_image(sform_code=0, qfac=7.0), "qfac .* 7"),
    ("4-D", dwi_image(make=lambda: np.stack([dwi()] * 3, -1)), "3 volumes"),
    ("5-D", dwi_image(make=lambda: np.stack([dwi()] * 3, -1)[..., None, :]), "3 volumes"),
    ("time series with b-values", dwi_image(make=lambda: np.stack([dwi()] * 2, -1), beside={"bval": b"800 1000\n"}),
     "800, 1000"),
    ("3 volumes and 2 b-values", dwi_image(make=lambda: np.stack([dwi()] * 3, -1), beside={"bval": b"0 800\n"}),
     "3 volumes and 2 b-values"),
    (".bval of words", dwi_image(beside={"bval": b"high\n"}), "bval"),
    (".bval NaN", dwi_image(beside={"bval": b"nan\n"}), "bval"),
    (".bval negative", dwi_image(beside={"bval": b"-1000\n"}), "-1000"),
    (".bval of 400 digits", dwi_image(beside={"bval": b"9" * 400 + b"\n"}), "bval"),
    ("sidecar that is no JSON", dwi_image(beside={"json": b"{"}), "json"),
    ("sidecar that is a list", dwi_image(beside={"json": b"[1]"}), "list"),
    ("sidecar nested 100,000 deep", dwi_image(beside={"json": b"[" * 100_000}), "json"),
    ("one NaN", dwi_image(make=with_(dwi, np.nan), dtype="f4"), "1 of 9,216 voxels: 1 NaN"),
    ("seven infinite", dwi_image(make=with_(dwi, np.inf, 7), dtype="f4"), "7 of 9,216 voxels: 0 NaN, 7 infinite"),
    ("all NaN", dwi_image(make=lambda: dwi() * np.nan, dtype="f4"), "9,216 NaN"),
    ("beyond float32", dwi_image(make=with_(dwi, 1e300, 2), dtype="f8"), "2 infinite or beyond"),
    ("constant 0", dwi_image(make=lambda: 0 * dwi()), "0 in every voxel"),
    ("constant 7", dwi_image(make=lambda: 0 * dwi() + 7), "7 in every voxel"),
    ("bytes exchanged, int16", dwi_image(swap=True), "bytes exchanged"),
    ("bytes exchanged, float32", dwi_image(swap=True, dtype="f4"), "bytes exchanged"),
    ("bytes exchanged, big-endian", dwi_image(swap=True, order=">"), "bytes exchanged"),
    ("mask as DWI", dwi_image(make=mask), "values 0 and 1"),
    ("mask of 255 as FLAIR", image("x_flair.nii", lambda: 255 * mask()), "0 and 255"),
    ("labels as DWI", dwi_image(make=lambda: mask() + 2 * FLUID), "labels: 0, 1, 2"),
    ("fractional mask as DWI", dwi_image(make=lambda: mask() * np.linspace(0.1, 1, SHAPE[0])[:, None, None]
                                         * np.linspace(0.3, 1, SHAPE[1])[:, None] * np.linspace(0.7, 1, SHAPE[2]),
                                         dtype="f4"), "as of"),
    ("ADC map as FLAIR", image("x_flair.nii", adc), "as of an ADC map"),
    ("ADC map as SWI", image("x_swi.nii", adc), "as of an ADC map"),
    ("ADC sidecar as FLAIR", image("x_flair.nii", flair, beside=sidecar(ImageType=["DERIVED", "ADC"])), "adc"),
    ("phase as SWI", image("x_swi.nii", lambda: (phase() + np.pi) * 600), "as of a phase"),
    ("phase sidecar as SWI", image("x_swi.nii", flair, beside=sidecar(ImageType=["ORIGINAL", "P"])), "phase"),
    ("T1 sidecar as SWI", image("x_swi.nii", flair, beside=sidecar(InversionTime=0.9)), "T1-weighted"),
    ("T1 protocol as FLAIR", image("x_flair.nii", flair, beside=sidecar(ProtocolName="t1_mprage_sag")), "T1-weighted"),
    ("ADC of no unit", image("x_adc.nii", lambda: adc() * 37), "median"),
    ("ADC of DWI intensities", image("x_adc.nii", lambda: dwi() * 20), "median"),
    ("ADC of zeros and below", image("x_adc.nii", lambda: -adc()), "no voxel above zero"),
    ("frequency map as phase", image("x_phase.nii", lambda: 40 * phase()[:, :1, :1] * 0 + RAMP, dtype="f4"), "wraps"),
    ("MHA cut", file("x_dwi.mha", lambda: mha(dwi())[:-10]), "bytes"),
    ("MHA of a channel more", file("x_dwi.mha", lambda: mha(dwi(), header="ElementNumberOfChannels = 3\n")), "= 3"),
    ("MHA without its data", file("x_dwi.mhd", lambda: mha(dwi(), local=False)), "absent.raw"),
    ("MHA spacing 0", file("x_dwi.mha", lambda: mha(dwi()).replace(b"4 4 5", b"4 0 5")), "ElementSpacing"),
    ("link to itself", link("x_dwi.nii", None), "leads to itself"),
    ("link to nothing", link("x_dwi.nii", "gone"), "does not exist"),
    ("no such file", lambda folder: [folder / "x_dwi.nii"], "no such file"),
    ("folder named nii", folder("x_dwi.nii"), "a folder"),
]  # fmt: skip
RAMP = np.broadcast_to(np.linspace(-37.0, 41.0, SHAPE[0])[:, None, None], SHAPE)
MASKS = [
    ("mask of 0 and 1", image("x_msk.nii", mask, dtype="u1"), V, ""),
    ("mask empty", image("x_msk.nii", lambda: 0 * mask(), dtype="u1"), V, ""),
    ("mask of 255", image("x_msk.nii", lambda: 255 * mask(), dtype="u1"), V, ""),
    ("mask of 0.9999999998", image("x_msk.nii", lambda: 0.9999999998 * mask(), dtype="f8"), V, ""),
    ("mask of label 3", image("x_msk.nii", lambda: 3 * mask()), V, ""),
    ("mask of two labels", image("x_msk.nii", lambda: mask() + 2 * FLUID), R, "labels 0, 1, 2"),
    ("mask of fractions", image("x_msk.nii", lambda: mask() * np.linspace(0, 1, 16), dtype="f4"), R, "values"),
    ("mask with a negative value", image("x_msk.nii", lambda: -mask()), R, "-1"),
    ("mask without background", image("x_msk.nii", lambda: 0 * mask() + 1), R, "1"),
    ("mask that is an image", image("x_msk.nii", dwi), R, "values"),
    ("mask with a NaN", image("x_msk.nii", with_(mask, np.nan), dtype="f4"), R, "1 NaN"),
    ("mask of two volumes", image("x_msk.nii", lambda: np.stack([mask()] * 2, -1)), R, "2 volumes"),
    ("mask cut", file("x_msk.nii", nifti(mask())[:-5]), R, "bytes"),
]  # fmt: skip
PAIRS = [
    ("image and mask on one grid", files(dwi_image(), image("x_msk.nii", mask)), V, ""),
    ("rounded affine", files(dwi_image(affine=OBLIQUE), image("x_msk.nii", mask, affine=np.round(OBLIQUE, 3))), V, ""),
    ("two masks on one grid", files(image("a_msk.nii", mask), image("b_msk.nii", mask)), V, ""),
    ("DWI and ADC", files(dwi_image(), image("x_adc.nii", adc)), V, ""),
    ("FLAIR on a grid of its own", files(dwi_image(), image("x_flair.nii", lambda: np.pad(flair(), 2))), W, "mm apart"),
    ("ADC 20.8 mm off", files(dwi_image(), image("x_adc.nii", adc, affine=SHIFTED)), W, r"20\.80 mm"),
    ("mask 20.8 mm off", files(dwi_image(), image("x_msk.nii", mask, affine=SHIFTED)), R, r"20\.80 mm apart"),
    ("mask flipped", files(dwi_image(), image("x_msk.nii", mask, affine=FLIPPED)), R, r"92\.00 mm apart.*LAS.*RAS"),
    ("mask of another shape", files(dwi_image(), image("x_msk.nii", lambda: mask()[2:])), R, r"\(22, 24, 16\).* mm"),
    ("masks of another shape", files(image("a_msk.nii", mask), image("b_msk.nii", lambda: mask()[..., 2:])), R, "mm"),
    ("images of two heads", files(dwi_image(), image("x_flair.nii", flair, affine=FAR)), R, r"500\.00 mm apart"),
    ("one of them cut", files(dwi_image(), file("x_msk.nii", nifti(mask())[:-5])), R, "x_msk.nii"),
    ("mask that is an image", files(dwi_image(), image("x_msk.nii", dwi)), R, "x_msk.nii"),
]  # fmt: skip
CASES = [
    ("folder of three", within("p1", dwi_image(), image("x_adc.nii", adc), image("x_lesion.nii", mask)), V, ""),
    ("series with its .bval", within("p1", dwi_image(make=lambda: np.stack([flair(), dwi()], -1),
                                                      beside={"bval": b"0 1000\n"})), V, ""),
    ("ADC 20.8 mm off", within("p1", dwi_image(), image("x_adc.nii", adc, affine=SHIFTED)), W, r"20\.8 mm"),
    ("mask named as an image", within("p1", dwi_image(), image("y_dwi.nii", mask)), W, "two values"),
    ("two files broken", within("p1", dwi_image(), file("x_adc.nii", CUT[:-4]), image("x_flair.nii", mask)), R,
     "x_adc.nii(.|\n)*x_flair.nii"),
    ("two DWI", within("p1", dwi_image(), dwi_image("y_dwi.nii", make=flair)), R, "x_dwi.nii and y_dwi.nii"),
    ("one image twice", within("p1", dwi_image(), image("x_flair.nii", dwi)), R, "same bytes"),
    ("mask elsewhere", within("p1", dwi_image(), image("x_lesion.nii", mask, affine=FAR)), R, "does not touch"),
    ("no image", within("p1", file("readme.txt", b"1")), R, "no case"),
    ("no such folder", lambda home: [home / "p1"], R, "no such file or folder"),
    ("numbered channels", within("p1", image("p_0000.nii", dwi), image("p_0001.nii", adc)), R, "p_0000"),
]  # fmt: skip
CORPUS = [
    *[Entry(name, "image", build, V) for name, build in VALID],
    *[Entry(name, "image", build, W, words) for name, build, words in WARNED],
    *[Entry(name, "image", build, R, words) for name, build, words in REFUSED],
    *[Entry(name, "mask", *entry) for name, *entry in MASKS],
    *[Entry(name, "pair", *entry) for name, *entry in PAIRS],
    *[Entry(name, "case", *entry) for name, *entry in CASES],
]


@pytest.mark.parametrize("entry", CORPUS, ids=lambda entry: f"{entry.kind}: {entry.name}")
def test_the_verdict_on_an_input(entry, tmp_path, require_verdict):
    require_verdict(entry, tmp_path)


def test_an_image_without_permission_is_refused(tmp_path, monkeypatch):
    """As root nothing is forbidden, so the system's answer is imitated."""
    (path,) = dwi_image()(tmp_path)

    def refuse(*_):
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(type(path), "read_bytes", refuse)
    (verdict,) = validate([path])
    assert verdict.status == "refused"
    assert "Permission denied" in verdict.lines[0]


def test_the_modality_may_be_stated(tmp_path):
    (path,) = image("scan.nii", adc)(tmp_path)
    assert validate([path])[0].status == "valid"
    assert validate([path], modality="flair")[0].status == "refused"
    assert validate([path], modality="adc")[0].facts["modality"] == "adc"


def test_names_are_unique():
    names = [(entry.kind, entry.name) for entry in CORPUS]
    assert len(set(names)) == len(names)
