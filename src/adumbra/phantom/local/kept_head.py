"""A head without a clot, with all that the simulation of a finding in it needs.

Most volumes are fractions, which are kept as bytes; the others but the field are kept in half precision. A file is a
safetensors file, of which only the box that is needed is read.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from adumbra.core.atomic_io import write_atomically
from adumbra.core.errors import InputRejected, UnreadableFile
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.reflection import Box, sub_grid
from adumbra.core.types import Modality, Volume
from adumbra.phantom.body import tissue_without_vessels, venous_chi
from adumbra.phantom.pathology.perfusion import Collaterals
from adumbra.phantom.patient import SimulatedPatient
from adumbra.phantom.physics.inflow import TimeOfFlight
from adumbra.phantom.physics.relaxation import Relaxation
from adumbra.phantom.physics.signal import GradientEcho, Protocol
from adumbra.phantom.physics.susceptibility import PROTON_MHZ_PER_T
from adumbra.phantom.scanner import artefacts
from adumbra.phantom.scanner.acquisition import SliceSampler, Stack
from adumbra.phantom.scanner.examination import Acquisition
from adumbra.phantom.scanner.setup import ScannerSetup
from adumbra.phantom.vasculature.vessels import Tree

_BYTE = np.float32(255.0)
_TISSUE, _VOLUME, _VESSELS = "tissue ", "volume ", ("artery", "vein", "clot")
_MARGIN_MM = 24.0  # beyond the brain, so that a patch around any vessel lies within
_TREE = ("points_mm", "parent", "radius_mm", "supplied_ml", "segment")
_FACTS = "head"  # key of the metadata


class EchoPlanarOptions(TypedDict):
    """Keyword arguments of ``artefacts.echo_planar_shift_mm``."""

    readout_s: float
    in_plane_mm: float
    polarity: int


@dataclass(frozen=True, eq=False)
class KeptHead:
    """A head without a clot, examined by one scanner.

    Attributes:
        name: Name of the case.
        grid: Grid of the volumes, the part of the head that holds the brain.
        volumes: The volumes by name, read by box. Those named ``tissue ...`` are the fractions of each tissue as they
            would be without vessels; ``inside`` is 1 minus air and bone; ``field`` the shimmed relative field in ppm
            with the open vessels; ``weight`` and ``water`` the texture; ``extra_r2`` and ``extra_r2_star`` the rates of
            iron; ``shift`` and ``stacking`` the distortion of the diffusion-weighted image, and ``slope`` the
            derivative of its part due to the field along the phase-encoding axis.
        tissues: Relaxation constants of each tissue but clots.
        arteries: The open arteries.
        veins: The veins.
        vein_chi: (N,), susceptibility of the blood in each node of the veins in ppm.
        collaterals: Collateral supply of the subject.
        setup: The scanner.
        slices: The slices of each sequence by name, without a warp; they lie on the grid of the whole head.
        noise: Standard deviation of the noise of each sequence, in units of the signal.
        units: The stored value of a signal of 1, by sequence.
        typical: The signal of normal white matter, by sequence.
        scales: The constant that is subtracted from each modality and the one that it is divided by, see
            ``preprocessing.normalisation``.
    """

    name: str
    grid: Grid
    volumes: "Volumes"
    tissues: Mapping[str, Relaxation]
    arteries: Tree
    veins: Tree
    vein_chi: np.ndarray
    collaterals: Collaterals
    setup: ScannerSetup
    slices: Mapping[str, SliceSampler]
    noise: Mapping[str, float]
    units: Mapping[str, float]
    typical: Mapping[str, float]
    scales: Mapping[Modality, tuple[float, float]]

    @property
    def tissue_names(self) -> tuple[str, ...]:
        """The names of the tissues but vessels, which are those of ``tissue ...`` volumes."""
        return tuple(name.removeprefix(_TISSUE) for name in self.volumes.names if name.startswith(_TISSUE))


class Volumes:
    """Volumes that are read by box, from memory or from a file."""

    def __init__(self, arrays: Mapping[str, np.ndarray] | Path) -> None:
        self._arrays = arrays
        if isinstance(arrays, Path):
            with safe_open(arrays, framework="np") as file:
                names = tuple(file.keys())
        else:
            names = tuple(arrays)
        self.names: tuple[str, ...] = tuple(sorted(n.removeprefix(_VOLUME) for n in names if n.startswith(_VOLUME)))

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The whole volumes as they are kept, by the names of the file."""
        if isinstance(self._arrays, Path):
            with safe_open(self._arrays, framework="np") as file:
                return {_VOLUME + name: file.get_tensor(_VOLUME + name) for name in self.names}
        return {_VOLUME + name: self._arrays[_VOLUME + name] for name in self.names}

    def read_all(self, names: Sequence[str], box: Box) -> dict[str, Volume]:
        """A part of several volumes, float32."""
        if isinstance(self._arrays, Path):
            with safe_open(self._arrays, framework="np") as file:
                parts = {name: file.get_slice(_VOLUME + name)[box] for name in names}
        else:
            parts = {name: self._arrays[_VOLUME + name][box] for name in names}
        return {name: _restored(part) for name, part in parts.items()}


def _stored(name: str, volume: np.ndarray) -> np.ndarray:
    """A volume as it is kept: bytes for fractions, half precision for others but the field, whose phase wraps."""
    if name == "inside" or name.startswith(_TISSUE):
        return np.rint(np.clip(volume, 0, 1) * _BYTE).astype(np.uint8)
    return volume.astype(np.float32 if name == "field" else np.float16)


def _restored(part: np.ndarray) -> Volume:
    return part.astype(np.float32) / _BYTE if part.dtype == np.uint8 else part.astype(np.float32)


def keep_head(patient: SimulatedPatient, *, name: str, scales: Mapping[Modality, tuple[float, float]]) -> KeptHead:
    """The part of a patient without clots that the simulation of findings needs.

    Args:
        patient: As ``simulate_patient`` gives it for no clots, with SWI, TOF and DWI.
        name: Name of the case.
        scales: The network scales of its images.

    Raises:
        InputRejected: The patient has clots, or no vessels.
    """
    head, body, vessels, stroke = patient.head, patient.body, patient.vessels, patient.disease.stroke
    field = patient.examined.field_ppm
    if vessels is None or stroke is None or stroke.clots or field is None:
        raise InputRejected(
            name,
            expected="vessels without a clot",
            found="no vessels" if vessels is None or field is None else "a clot",
            do="simulate it without one",
        )
    box = _brain_box(head.depth_mm, head.grid)
    acquired, texture = patient.acquisitions, patient.examined.texture
    volumes = {_TISSUE + n: v for n, v in tissue_without_vessels(head, patient.disease, body).items()}
    volumes |= {"inside": 1 - head.air - head.bone, "field": field, "weight": texture.weight, "water": texture.water}
    volumes |= {"extra_r2": body.extra_r2, "extra_r2_star": body.extra_r2_star}
    if "dwi" in acquired:
        volumes |= _distortion(patient, field)
    arrays = {_VOLUME + n: _stored(n, v[box]) for n, v in volumes.items()}
    return KeptHead(
        name,
        sub_grid(head.grid, [part.start for part in box], next(iter(arrays.values())).shape),
        Volumes(arrays),
        {n: t for n, t in body.tissues.items() if n not in _VESSELS[2:]},
        vessels.arteries,
        vessels.veins,
        venous_chi(head, vessels, patient.disease),
        stroke.collaterals,
        patient.setup,
        {n: replace(a.sampler, warp=None) for n, a in acquired.items()},
        {n: _noise(a) for n, a in acquired.items()},
        {n: a.units for n, a in acquired.items()},
        {n: a.typical for n, a in acquired.items()},
        dict(scales),
    )


def _distortion(patient: SimulatedPatient, field_ppm: Volume) -> dict[str, Volume]:
    """The volumes of the distortion of the diffusion-weighted image."""
    head, setup, warp = patient.head, patient.setup, patient.acquisitions["dwi"].sampler.warp
    assert warp is not None
    hertz = artefacts.extend_beyond_signal(field_ppm, head) * np.float32(PROTON_MHZ_PER_T * setup.tesla)
    shift_mm = artefacts.echo_planar_shift_mm(hertz, **echo_planar_options(setup))
    slope = np.gradient(shift_mm, head.grid.spacing_mm[1], axis=1)
    return {"shift": warp.shift_mm, "stacking": warp.stacking, "slope": slope}


def _noise(acquisition: Acquisition) -> float:
    """Standard deviation of the noise in units of the signal."""
    receiver = acquisition.parameters["receiver"]
    assert isinstance(receiver, dict)
    return float(receiver["noise"])


def echo_planar_options(setup: ScannerSetup) -> EchoPlanarOptions:
    """The options of ``artefacts.echo_planar_shift_mm`` for a scanner."""
    in_plane_mm = setup.stacks["dwi"].in_plane_mm
    return {"readout_s": setup.readout_s, "in_plane_mm": in_plane_mm, "polarity": setup.polarity}


def _brain_box(depth_mm: Volume, grid: Grid) -> Box:
    """The box of the brain with its margin, within the grid."""
    inside, box = depth_mm < 0, []
    for axis, size in enumerate(grid.shape):
        index = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
        margin = round(_MARGIN_MM / grid.spacing_mm[axis])
        box.append(slice(max(int(index[0]) - margin, 0), min(int(index[-1]) + 1 + margin, size)))
    return box[0], box[1], box[2]


def write_head(path: Path, head: KeptHead) -> None:
    """Writes a head to a safetensors file.

    Args:
        path: The file.
        head: The head.
    """
    arrays = head.volumes.arrays | {"vein_chi": head.vein_chi}
    for kind, tree in (("arteries", head.arteries), ("veins", head.veins)):
        arrays |= {f"{kind} {name}": np.ascontiguousarray(getattr(tree, name)) for name in _TREE}
    facts = {
        "name": head.name,
        "affine": head.grid.affine.tolist(),
        "segments": {"arteries": head.arteries.names, "veins": head.veins.names},
        "tissues": {name: asdict(tissue) for name, tissue in head.tissues.items()},
        "collateral_grade": head.collaterals.grade,
        "setup": asdict(head.setup),
        "slices": {name: _sampler_facts(sampler) for name, sampler in head.slices.items()},
        "noise": dict(head.noise),
        "units": dict(head.units),
        "typical": dict(head.typical),
        "scales": dict(head.scales),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, save(arrays, {_FACTS: json.dumps(facts)}))


def read_head(path: Path) -> KeptHead:
    """A head of a file; its volumes are read where they are needed.

    Args:
        path: A file of ``write_head``.

    Raises:
        UnreadableFile: It is no such file.
    """
    try:
        with safe_open(path, framework="np") as file:
            facts = json.loads((file.metadata() or {})[_FACTS])
            trees = {
                kind: Tree(
                    **{name: file.get_tensor(f"{kind} {name}") for name in _TREE}, names=tuple(facts["segments"][kind])
                )
                for kind in ("arteries", "veins")
            }
            vein_chi = file.get_tensor("vein_chi")
            shape = file.get_slice(f"{_VOLUME}inside").get_shape()
    except (OSError, SafetensorError, KeyError, ValueError) as problem:
        raise UnreadableFile(
            path.name, expected="a kept head", found=str(problem), do="write it with adumbra.phantom.local"
        ) from problem
    return KeptHead(
        facts["name"],
        Grid((shape[0], shape[1], shape[2]), np.array(facts["affine"])),
        Volumes(path),
        {name: Relaxation(**values) for name, values in facts["tissues"].items()},
        trees["arteries"],
        trees["veins"],
        vein_chi,
        Collaterals(facts["collateral_grade"]),
        _setup_of(facts["setup"]),
        {name: _sampler_of(values) for name, values in facts["slices"].items()},
        facts["noise"],
        facts["units"],
        facts["typical"],
        {modality: (centre, scale) for modality, (centre, scale) in facts["scales"].items()},
    )


def _sampler_facts(sampler: SliceSampler) -> dict[str, object]:
    """A sampler without a warp, as plain values."""
    head = {"shape": sampler.head.shape, "affine": sampler.head.affine.tolist()}
    return {"head": head, "stack": asdict(sampler.stack), "moved": sampler.moved.tolist()}


def _sampler_of(facts: dict[str, Any]) -> SliceSampler:
    head = Grid(tuple(facts["head"]["shape"]), np.array(facts["head"]["affine"]))
    return SliceSampler(head, _stack_of(facts["stack"]), np.array(facts["moved"]))


def _stack_of(values: dict[str, Any]) -> Stack:
    cover = values["cover_mm"]
    return Stack(**values | {"cover_mm": None if cover is None else tuple(cover)})


def _setup_of(values: dict[str, Any]) -> ScannerSetup:
    """A scanner of plain values."""
    echo = values["gradient_echo"]
    parts = {
        "diffusion": Protocol(**values["diffusion"]),
        "gradient_echo": GradientEcho(**echo | {"te_ms": tuple(echo["te_ms"])}),
        "angiography": TimeOfFlight(**values["angiography"]),
        "stacks": {name: _stack_of(stack) for name, stack in values["stacks"].items()},
        "sequences": tuple(values["sequences"]),
    }
    return ScannerSetup(**values | parts)
