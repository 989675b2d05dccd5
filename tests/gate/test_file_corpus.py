"""Manifests, configurations, weights, archives and splits: valid, odd, broken and hostile ones."""

import gzip
import hashlib
import io
import json
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save

from adumbra.core.legacy import FILE_NAMES
from adumbra.gate.registry import validate
from gate_files import Entry, dwi, file, files, flair, image, within

V, W, R = "valid", "warning", "refused"
CARD = {"format": "adumbra-weights-1", "architecture": "unet", "config": {"modalities": ["dwi"], "targets": ["lesion"],
        "widths": [4, 8]}, "spacing_mm": 2.0, "patch": 48, "threshold": 0.5, "training": {"seed": 1}, "window": 0,
        "high_threshold": 0}  # fmt: skip
TENSORS = {"a.weight": np.ones((8, 8, 3), dtype=np.float16), "a.bias": np.zeros(8, dtype=np.float16)}


def weights(tensors=TENSORS, **changes):
    card = {name: value for name, value in {**CARD, **changes}.items() if value is not None}
    return save(tensors, {"adumbra": json.dumps(card)})


def with_card(data, *, name="w.safetensors", **changes):
    """Weights with the card beside them that a training writes."""
    facts = {"sha256": hashlib.sha256(data).hexdigest(), **{k: v for k, v in CARD.items() if k != "format"}, **changes}

    def build(folder):
        (folder / name).write_bytes(data)
        (folder / name).with_suffix(".json").write_text(json.dumps(facts))
        return [folder / name]

    return build


def header(text, body=b""):
    """A safetensors file with any header."""
    stored = text if isinstance(text, bytes) else json.dumps(text).encode()
    return struct.pack("<Q", len(stored)) + stored + body


class Runs:
    """Unpickled, it would write a file."""

    def __reduce__(self):
        return (open, ("pickle-ran", "w"))


def entry(dtype="F16", shape=(2,), offsets=(0, 4)):
    return {"a": {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}}


EARLIER = {old: 0.5 for old, today in FILE_NAMES["card"].items() if today == "high_threshold"}
FLIPPED_BIT = bytearray(weights())
FLIPPED_BIT[-3] ^= 1
WEIGHTS = [
    ("with its card", with_card(weights()), V, ""),
    ("without a card beside it", file("w.safetensors", weights()), W, "hash was not compared"),
    ("earlier name of an option", with_card(weights(high_threshold=None, **EARLIER), high_threshold=0.5), V, ""),
    ("empty", file("w.safetensors", b""), R, "0 bytes"),
    ("nine bytes", file("w.safetensors", bytes(9)), R, "9 bytes"),
    ("pickle", file("w.safetensors", pickle.dumps(Runs())), R, "pickle"),
    ("pickle named pt", file("w.pt", pickle.dumps(Runs())), R, "pickle"),
    ("torch archive", file("w.pth", b"PK\3\4" + bytes(900)), R, "pickle or torch.save"),
    ("cut", file("w.safetensors", weights()[:-40]), R, "needs|end at byte"),
    ("one flipped bit", with_card(bytes(FLIPPED_BIT), sha256=hashlib.sha256(weights()).hexdigest()), R, "sha256"),
    ("hash of another file", with_card(weights(), sha256="0" * 64), R, "sha256 0000"),
    ("card without a hash", with_card(weights(), sha256="12"), R, "no sha256 of 64"),
    ("card of another training", with_card(weights(), threshold=0.4), R, r"threshold = 0\.4"),
    ("card beside it is no JSON", files(file("w.json", b"{"), file("w.safetensors", weights())), R, "w.json"),
    ("header of 2^63 bytes", file("w.safetensors", struct.pack("<Q", 2**63) + bytes(90)), R, "9,223,372,036,854,"),
    ("header of 100 MB", file("w.safetensors", struct.pack("<Q", 10**8) + bytes(90)), R, "100,000,000"),
    ("header that is no JSON", file("w.safetensors", header(b"{{{{")), R, "4 bytes"),
    ("header that is a list", file("w.safetensors", header(b"[1, 2]")), R, "6 bytes"),
    ("header nested 100,000 deep", file("w.safetensors", header(b"[" * 100_000)), R, "100,000"),
    ("header with a tensor twice", file("w.safetensors", header(b'{"a": 1, "a": 2}')), R, "2 times"),
    ("tensor without a shape", file("w.safetensors", header({"a": {"dtype": "F16"}})), R, "'a'"),
    ("tensor of an unknown type", file("w.safetensors", header(entry(dtype="F1"), bytes(4))), R, "F1"),
    ("tensor of a negative length", file("w.safetensors", header(entry(shape=(-2,)), bytes(4))), R, "-2"),
    ("tensor of 320 GB", file("w.safetensors", header(entry(shape=(400_000, 400_000), offsets=(0, 320 * 10**9)))), R,
     "320,000,000,"),
    ("tensor beyond the file", file("w.safetensors", header(entry(offsets=(0, 4)), bytes(2))), R, "4"),
    ("tensor of the wrong size", file("w.safetensors", header(entry(shape=(3,)), bytes(4))), R, "needs 6 bytes, has 4"),
    ("tensors that overlap", file("w.safetensors", header(
        {**entry(), "b": {"dtype": "F16", "shape": [2], "data_offsets": [2, 6]}}, bytes(6))), R, "overlaps"),
    ("tensors with a gap", file("w.safetensors", header(entry(offsets=(2, 6)), bytes(6))), R, "gap"),
    ("bytes behind the tensors", file("w.safetensors", header(entry(), bytes(40))), R, "end at byte"),
    ("not of Adumbra", file("w.safetensors", save(TENSORS)), R, "no such mark"),
    ("card that is no JSON", file("w.safetensors", save(TENSORS, {"adumbra": "{"})), R, "char 1"),
    ("card that is a list", file("w.safetensors", save(TENSORS, {"adumbra": "[1]"})), R, "list of 1"),
    ("card nested 100,000 deep", file("w.safetensors", save(TENSORS, {"adumbra": "[" * 100_000})), R, "32 levels"),
    ("card of another format", file("w.safetensors", weights(format="adumbra-weights-9")), R, "weights-9"),
    ("card without a threshold", file("w.safetensors", weights(threshold=None)), R, "1 missing key: threshold"),
    ("card with an unknown key", file("w.safetensors", weights(colour="red")), R, "unknown key 'colour'"),
    ("card with a text for a number", file("w.safetensors", weights(window="large")), R, "window = 'large'"),
    ("card with a threshold of 5", file("w.safetensors", weights(threshold=5)), R, "threshold = 5, .* from 0 to 1"),
    ("card with dropout 7", file("w.safetensors", weights(config={"dropout": 7})), R, "dropout = 7"),
    ("card with an unknown modality", file("w.safetensors", weights(config={"modalities": ["ct"]})), R, "'ct'"),
    ("card of widths of 100,000", file("w.safetensors", weights(config={"widths": [100_000]})), R, "100000"),
    ("card of widths beyond the tensors", file("w.safetensors", weights(config={"widths": [4, 4000]})), R,
     "16,000,000"),
    ("NaN in a tensor", file("w.safetensors", weights({"a": np.array([1, np.nan], np.float16)},
                                                     config={"widths": [1]})), R, "1 of 2 numbers"),
    ("infinity in a tensor", file("w.safetensors", weights({"a": np.array([np.inf] * 3, np.float32)},
                                                          config={"widths": [1]})), R, "3 of 3 numbers"),
    ("no such file", lambda folder: [folder / "w.safetensors"], R, "no such file"),
    ("folder", within("w.safetensors"), R, "a folder"),
]  # fmt: skip


def table(text, *, name="cohort.csv", encoding="utf-8", scans=("a_dwi.nii", "b_dwi.nii")):
    """A manifest beside images."""

    def build(folder):
        for number, scan in enumerate(scans):
            image(scan, dwi if number == 0 else flair)(folder)
        (folder / name).write_bytes(text.encode(encoding) if isinstance(text, str) else text)
        return [folder / name]

    return build


TWO = "case,dwi\nA,a_dwi.nii\nB,b_dwi.nii\n"
MANIFESTS = [
    ("two cases", table(TWO), V, ""),
    ("semicolons and a byte order mark", table("\ufeff" + TWO.replace(",", ";")), V, ""),
    ("tabs", table(TWO.replace(",", "\t"), name="cohort.tsv"), V, ""),
    ("Windows line ends", table(TWO.replace("\n", "\r\n")), V, ""),
    ("letters of Windows-1252", table(TWO.replace("A,", "Zoé,"), encoding="cp1252"), W, r"Byte \d+ is no UTF-8"),
    ("empty cells", table("case,dwi,adc\nA,a_dwi.nii,-\nB,b_dwi.nii,\n"), V, ""),
    ("Windows separators", table("case,dwi\nA,.\\a_dwi.nii\n"), V, ""),
    ("UTF-16", table(TWO, encoding="utf-16"), R, "UTF-16"),
    ("spreadsheet", table(b"PK\3\4" + bytes(300)), R, "304 bytes"),
    ("empty", table(""), R, "no headings"),
    ("headings only", table("case,dwi\n"), R, "0 rows"),
    ("no case column", table("name_of_image,dwi\nA,a_dwi.nii\n"), R, "column for case"),
    ("no image column", table("case,age\nA,60\n"), R, "one of dwi"),
    ("two columns for one modality", table("case,dwi,trace\nA,a_dwi.nii,b_dwi.nii\n"), R, "'dwi' and 'trace'"),
    ("a case twice", table(TWO + "A,b_dwi.nii\n"), R, "lines 2 and 4"),
    ("cases of one pseudonym", table("case,dwi\nA 1,a_dwi.nii\nA-1,b_dwi.nii\n"), R, "lines 2 and 3"),
    ("no identifier", table("case,dwi\n,a_dwi.nii\n"), R, "line 2"),
    ("missing file", table("case,dwi\nA,gone.nii\n"), R, "line 2.*gone.nii"),
    ("missing files in two rows", table("case,dwi\nA,gone.nii\nB,lost.nii\n"), R, "line 2(.|\n)*line 3"),
    ("absolute path", table("case,dwi\nA,/etc/passwd\n"), R, "line 2.*passwd"),
    ("absolute path of Windows", table("case,dwi\nA,C:\\a_dwi.nii\n"), R, "inside the folder"),
    ("path above the folder", table("case,dwi\nA,../../x.nii\n"), R, "inside the folder"),
    ("path above the folder, Windows", table("case,dwi\nA,..\\x.nii\n"), R, "inside the folder"),
    ("home of a user", table("case,dwi\nA,~nosuchuser/x\n"), R, "inside the folder"),
    ("path of 5,000 letters", table(f"case,dwi\nA,{'x' * 5000}\n"), R, "5000"),
    ("formula as identifier", table("case,dwi\n=cmd|' /C calc'!A0,a_dwi.nii\n"), R, "formula"),
    ("formula as path", table("case,dwi\nA,@SUM(1+1)*cmd\n"), R, "formula"),
    ("b-value of words", table("case,dwi,b_value\nA,a_dwi.nii,high\n"), R, "'high'"),
    ("more cells than headings", table("case,dwi\nA,a_dwi.nii,9\n"), R, "3 cells"),
    ("open quotes", table('case,dwi\n"A,a_dwi.nii\n'), R, "line"),
    ("folder as image", table("case,dwi\nA,.\n"), R, "a folder"),
    ("no such manifest", lambda folder: [folder / "cohort.csv"], R, "no such file"),
]  # fmt: skip


def settings(content, *, name="c.json"):
    return file(name, content.encode() if isinstance(content, str) else json.dumps(content).encode())


CALIBRATION = {"format": "adumbra-calibration-1", "target": "lesion", "posterior": "dropout", "draws": 20,
               "weights": ["0" * 64], "probability": None, "threshold": None, "volume": None, "cases": {}}  # fmt: skip
CONFIGS = [
    ("prediction", settings({"draws": 30, "seed": 2, "compute": {"overlap": 0.5, "device": "cpu"}}), V, ""),
    ("prediction in TOML", settings("draws = 'auto'\n[compute]\nthreads = 2\n", name="c.toml"), V, ""),
    ("training", settings({"optimiser": {"steps": 500, "learning_rate": 1e-3}, "data": {"patch": 32}}), V, ""),
    ("calibration", settings(CALIBRATION), V, ""),
    ("card", settings({"sha256": "0" * 64, "architecture": "unet", "config": {"widths": [4, 8]}}), V, ""),
    ("byte order mark", settings("\ufeff{\"draws\": 3}"), V, ""),
    ("unknown key", settings({"drawz": 30}), R, "unknown key 'drawz' .similar to draws"),
    ("unknown key in a part", settings({"optimiser": {"step": 5}}), R, r"optimiser\.'step' .similar to steps"),
    ("text for a number", settings({"optimiser": {"steps": "many"}}), R, "steps = 'many', expected a whole number"),
    ("fraction for a whole number", settings({"optimiser": {"steps": 2.5}}), R, r"steps = 2\.5"),
    ("truth value for a number", settings({"seed": True}), R, "seed = True"),
    ("number for a part", settings({"data": 5}), R, "data = 5, expected an object"),
    ("draws 0", settings({"draws": 0}), R, "draws = 0, expected a whole number from 1"),
    ("threshold 2", settings({"threshold": 2}), R, "threshold = 2"),
    ("learning rate 1e30", settings({"optimiser": {"learning_rate": 1e30}}), R, r"1e\+30"),
    ("learning rate NaN", settings('{"optimiser": {"learning_rate": NaN}}'), R, "NaN"),
    ("learning rate 1e999", settings('{"optimiser": {"learning_rate": 1e999}}'), R, "1e999"),
    ("unknown word", settings({"registration": "perhaps"}), R, "'perhaps', expected auto or never"),
    ("unknown modality", settings({"network": {"modalities": ["ct"]}}), R, r"modalities\[0\] = 'ct'"),
    ("widths of 10^6", settings({"network": {"widths": [10**6]}}), R, "1000000"),
    ("a key twice", settings('{"seed": 1, "seed": 2}'), R, "'seed' 2 times"),
    ("nested 100,000 deep", settings("[" * 100_000), R, "32 levels"),
    ("list", settings([1, 2]), R, "list of 6 bytes"),
    ("empty object", settings({}), R, "2 bytes"),
    ("empty file", settings(""), R, "0 bytes"),
    ("no JSON", settings("draws: 3"), R, "8 bytes"),
    ("not UTF-8", file("c.json", b'{"posterior": "\xe9"}'), R, "0xe9"),
    ("broken TOML", settings("draws = = 3", name="c.toml"), R, "11 bytes"),
    ("python tag of YAML", settings("!!python/object/apply:os.system [\"true\"]"), R, r"\d+ bytes"),
    ("calibration with NaN", settings(json.dumps({**CALIBRATION, "volume": {"a": float("nan")}})), R, "NaN"),
    ("calibration with 1e300", settings({**CALIBRATION, "volume": {"scores": [1.0, 1e300]}}), R, r"scores\[1\] = 1e"),
    ("calibration without weights", settings({**CALIBRATION, "weights": []}), R, "list of 0"),
    ("no such file", lambda folder: [folder / "c.json"], R, "no such file"),
]  # fmt: skip


def zipped(*entries, name="a.zip", mode=0, cut=0):
    """A zip of names and contents."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry_name, content in entries:
            info = zipfile.ZipInfo(entry_name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = mode << 16
            archive.writestr(info, content)
    stored = stream.getvalue()
    return file(name, stored[: len(stored) - cut])


def tarred(*entries, name="a.tar.gz", mode="w:gz", cut=0):
    """A tar of headers and contents."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for entry_name, content, kind, target in entries:
            info = tarfile.TarInfo(entry_name)
            info.size, info.type, info.linkname = len(content), kind, target
            archive.addfile(info, io.BytesIO(content))
    stored = stream.getvalue()
    return file(name, stored[: len(stored) - cut])


def regular(name, content=b"x" * 200):
    return (name, content, tarfile.REGTYPE, "")


def lying(folder):
    """A zip whose directory declares another size than its entry has."""
    (path,) = zipped(("a.nii", b"x" * 500))(folder)
    stored = bytearray(path.read_bytes())
    place = stored.rindex(b"PK\1\2") + 24
    stored[place : place + 4] = struct.pack("<I", 90)
    path.write_bytes(bytes(stored))
    return [path]


def bad_crc(folder):
    (path,) = zipped(("a.nii", b"x" * 500))(folder)
    stored = bytearray(path.read_bytes())
    place = stored.rindex(b"PK\1\2") + 16
    stored[place : place + 4] = b"\1\2\3\4"
    path.write_bytes(bytes(stored))
    return [path]


def declared_bomb(folder):
    (path,) = zipped(("a.nii", b"x" * 500))(folder)
    stored = bytearray(path.read_bytes())
    place = stored.rindex(b"PK\1\2") + 24
    stored[place : place + 4] = struct.pack("<I", 4 * 10**9)
    path.write_bytes(bytes(stored))
    return [path]


def sharing(folder):
    """Two entries of the directory that point to the same bytes, as in a zip bomb."""
    (path,) = zipped(("a.nii", b"x" * 500))(folder)
    stored = path.read_bytes()
    start, end = stored.index(b"PK\1\2"), stored.index(b"PK\5\6")
    directory = stored[start:end]
    tail = bytearray(stored[end:])
    tail[8:16] = struct.pack("<HHI", 2, 2, 2 * len(directory))
    path.write_bytes(stored[:start] + 2 * directory + bytes(tail))
    return [path]


ARCHIVES = [
    ("zip", zipped(("p1/IM1", b"a" * 300), ("p1/IM2", b"b" * 300)), V, "files 2"),
    ("zip with a folder", zipped(("p1/", b""), ("p1/IM1", b"a" * 300)), V, "files 1"),
    ("tar.gz", tarred(regular("p1/IM1"), regular("p1/IM2")), V, "files 2"),
    ("tar", tarred(regular("p1/IM1"), name="a.tar", mode="w"), V, "files 1"),
    ("zip above its folder", zipped(("../../evil", b"a")), R, "evil"),
    ("zip above its folder, Windows", zipped(("p1\\..\\..\\evil", b"a")), R, "outside the folder"),
    ("zip with an absolute name", zipped(("/etc/passwd", b"a")), R, "outside the folder"),
    ("zip with a drive", zipped(("C:/evil", b"a")), R, "outside the folder"),
    ("zip with a link", zipped(("a", b"/etc/passwd"), mode=0o120777), R, "symbolic link"),
    ("zip with a control character", zipped(("a\x1b[2Jb", b"a")), R, "no usable file name"),
    ("zip with a name twice", zipped(("a.nii", b"a"), ("A.NII", b"b")), R, "2 times"),
    ("zip cut", zipped(("a.nii", b"x" * 900), cut=30), R, "damaged"),
    ("zip empty", zipped(), R, "0 files"),
    ("zip of folders only", zipped(("p1/", b"")), R, "0 files"),
    ("zip of a wrong size", lying, R, r"\d+ bytes"),
    ("zip with a wrong checksum", bad_crc, R, "CRC"),
    ("zip that declares 4 GB", declared_bomb, R, "4,000,000,000"),
    ("zip of shared bytes", sharing, R, "share|overlap|2 times"),
    ("zip bomb", zipped(("a.nii", bytes(70 * 2**20))), R, r"73,400,320 bytes unpacked"),
    ("tar above its folder", tarred(regular("../evil")), R, "outside the folder"),
    ("tar with an absolute name", tarred(regular("/etc/evil")), R, "outside the folder"),
    ("tar with a symbolic link", tarred(("a", b"", tarfile.SYMTYPE, "/etc/passwd")), R, "link to '/etc/passwd'"),
    ("tar with a hard link", tarred(("a", b"", tarfile.LNKTYPE, "../../x")), R, "link to"),
    ("tar with a device", tarred(("a", b"", tarfile.CHRTYPE, "")), R, "device"),
    ("tar with a pipe", tarred(("a", b"", tarfile.FIFOTYPE, "")), R, "special file"),
    ("tar bomb", tarred(regular("a.nii", bytes(70 * 2**20))), R, r"73,400,320 bytes unpacked"),
    ("tar cut", tarred(regular("a", np.random.default_rng(1).bytes(4000)), cut=900), R, "damaged"),
    ("gzip of something else", file("a.tar.gz", gzip.compress(b"hello" * 300)), R, "damaged"),
    ("rar", file("a.zip", b"Rar!\x1a\x07\0" + bytes(90)), R, "97 bytes"),
    ("empty file", file("a.zip", b""), R, "0 bytes"),
    ("no such file", lambda folder: [folder / "a.zip"], R, "no such file"),
    ("folder", within("a.zip"), R, "a folder"),
]  # fmt: skip


def split(content, *builders, name="split.json"):
    return lambda folder: [*files(*builders)(folder), *file(name, content if isinstance(content, bytes)
                           else json.dumps(content).encode())(folder)][-1:]  # fmt: skip


SPLITS = [
    ("two sides", split({"train": ["sub-01", "sub-02"], "test": ["sub-03"]}), V, ""),
    ("folds", split([{"train": ["a", "b"], "val": ["c"]}, {"train": ["a", "c"], "val": ["b"]}]), V, "folds 2"),
    ("table", split(b"case,split\nsub-01,train\nsub-02,test\n", name="split.csv"), V, ""),
    ("names without subjects", split({"train": ["case_1"], "validation": ["case_11"]}), V, ""),
    ("images that differ", split({"train": ["a_dwi.nii"], "test": ["b_dwi.nii"]}, image("a_dwi.nii", dwi),
                                 image("b_dwi.nii", flair)), V, ""),
    ("a case twice on one side", split({"train": ["sub-01", "sub-01"], "test": ["sub-02"]}), W, "2 times"),
    ("the same case", split({"train": ["sub-01", "sub-02"], "test": ["sub-02"]}), R, "same case 'sub-02'.*train.*test"),
    ("the same case in other letters", split({"train": ["Case_A"], "test": ["case_a"]}), R, "same case"),
    ("the same subject in two sessions", split({"train": ["sub-01_ses-1"], "test": ["sub-01_ses-2"]}), R,
     "same subject 'sub-01'.*ses-1 and ses-2"),
    ("the same subject in two folders", split({"train": ["a/sub-01/ses-1"], "test": ["b/sub-01"]}), R, "same subject"),
    ("the same voxels under two names", split({"train": ["a_dwi.nii"], "test": ["b_dwi.nii"]}, image("a_dwi.nii", dwi),
                                              image("b_dwi.nii", dwi)), R, "same voxels.*a_dwi.nii.*b_dwi.nii"),
    ("the same voxels, compressed", split({"train": ["a_dwi.nii"], "test": ["b_dwi.nii.gz"]}, image("a_dwi.nii", dwi),
                                          image("b_dwi.nii.gz", dwi)), R, "same voxels"),
    ("the same voxels in two folders", split({"train": ["p1"], "test": ["p2"]}, image("p1/x_dwi.nii", dwi),
                                             image("p2/y_dwi.nii", dwi)), R, "same voxels"),
    ("a leak in the second fold", split([{"train": ["a"], "val": ["b"]}, {"train": ["a"], "val": ["a"]}]), R, "fold 1"),
    ("a leak in a table", split(b"case;split\nsub-01;train\nsub-01;test\n", name="split.csv"), R, "same case"),
    ("three sides", split({"train": ["sub-1"], "val": ["sub-2"], "test": ["sub-1"]}), R, "same case"),
    ("one side", split({"train": ["sub-01"]}), R, "1 sides"),
    ("an empty side", split({"train": ["sub-01"], "test": []}), R, "test: 0"),
    ("an unknown side", split({"train": ["a"], "other": ["b"]}), R, "unknown sides other"),
    ("numbers for names", split({"train": [1, 2], "test": [3]}), R, "train"),
    ("a list of names", split(["sub-01", "sub-02"]), R, "a str"),
    ("no JSON", split(b"train: sub-01"), R, "13 bytes"),
    ("nested 100,000 deep", split(b"[" * 100_000), R, "32 levels"),
    ("table without sides", split(b"case,age\nsub-01,60\n", name="split.csv"), R, "1 rows"),
    ("no such file", lambda folder: [folder / "split.json"], R, "no such file"),
]  # fmt: skip
CORPUS = [
    Entry(name, kind, *rest)
    for kind, table_ in (("weights", WEIGHTS), ("manifest", MANIFESTS), ("config", CONFIGS), ("archive", ARCHIVES),
                         ("split", SPLITS))
    for name, *rest in table_
]  # fmt: skip


@pytest.mark.parametrize("entry", CORPUS, ids=lambda entry: f"{entry.kind}: {entry.name}")
def test_the_verdict_on_an_input(entry, tmp_path, require_verdict):
    require_verdict(entry, tmp_path)


def test_a_refused_pickle_ran_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (path,) = file("w.pt", pickle.dumps(Runs()))(tmp_path)
    assert validate([path])[0].status == "refused"
    assert [p.name for p in tmp_path.iterdir()] == ["w.pt"]


def test_names_are_unique():
    names = [(entry.kind, entry.name) for entry in CORPUS]
    assert len(set(names)) == len(names)
