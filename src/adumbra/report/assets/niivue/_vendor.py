"""Writes ``niivue.js.gz`` from the file ``niivue.umd.js`` of NiiVue, see ``README.md``."""

import gzip
import hashlib
import re
import sys
from pathlib import Path

SHA256 = "47b896b77ec4a5be3ef1949c33ad393b6f45629921f326c279000bcf51bdb4af"
"""Hash of ``niivue.umd.js`` of NiiVue 0.69.0."""


def vendored(source: bytes, licences: str) -> bytes:
    """The compressed code with its licences as a comment, and without the WebAssembly of Zarr codecs."""
    if hashlib.sha256(source).hexdigest() != SHA256:
        raise ValueError("the file is not niivue.umd.js of NiiVue 0.69.0: check its licences and change the hash here")
    code, removed = re.subn(rb'(["`])AGFzbQ[A-Za-z0-9+/=]*\1', b'""', source)
    if removed != 3 or "*/" in licences:
        raise ValueError(f"{removed} WebAssembly modules instead of 3, or a licence that ends its comment")
    return gzip.compress(b"/*!\n" + licences.encode() + b"*/\n" + code, compresslevel=9, mtime=0)


if __name__ == "__main__":
    folder = Path(__file__).parent
    licences = (folder / "LICENSE.txt").read_text("utf-8")
    (folder / "niivue.js.gz").write_bytes(vendored(Path(sys.argv[1]).read_bytes(), licences))
