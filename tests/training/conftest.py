import pytest

from training.blobs import BlobRef, blob_case, tiny


@pytest.fixture
def synthetic_case():
    return blob_case


@pytest.fixture
def blob_refs():
    return lambda count, **options: [BlobRef(n, **options) for n in range(count)]


@pytest.fixture
def tiny_config():
    return tiny
