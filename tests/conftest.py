"""What all tests share: annotations are checked at every call, threads are few, real files are found or skipped."""

import importlib.util
import os
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
from hypothesis import settings

# Before anything of adumbra is imported: from here on a wrong shape or dtype is an error, in tests only.
jaxtyping.install_import_hook("adumbra", "type_checker.checked")

# Set before torch and ITK start their pools. Two threads: the sums of a convolution depend on how they are cut.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # two processes of two threads would wait for each other busily
os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "2")

# Shared machines are slow at times, and a test must not depend on the day's luck.
settings.register_profile("steady", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("steady")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def rng():
    return np.random.default_rng(20260101)


@pytest.fixture(scope="session")
def project_root():
    return ROOT


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real files; its README tells what they are."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real files: ../shared/data is not there")
    return folder


@pytest.fixture(scope="session")
def isles_case_dir(shared_data):
    """ISLES'22 case 0009, in the challenge's own layout: three grids, oblique, skull-stripped."""
    return shared_data / "isles22" / "rawdata" / "sub-strokecase0009" / "ses-0001"


@pytest.fixture(scope="session", autouse=True)
def two_torch_threads():
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(2)
