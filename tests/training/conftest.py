import pytest

from training.blobs import BlobRef, blob_case, tiny


@pytest.fixture
def made_case():
    return blob_case


@pytest.fixture
def blob_refs():
    return lambda count, **about: [BlobRef(n, **about) for n in range(count)]


@pytest.fixture
def tiny_config():
    return tiny
