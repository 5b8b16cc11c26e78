"""onnxruntime-web, which runs networks in a browser: one pinned version of its npm package."""

import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from stylesr.errors import InputError, StyleSRError

__all__ = ["FILES", "PACKAGE", "fetch_runtime", "read_runtime"]

PACKAGE = "onnxruntime-web@1.30.0"
SHA512 = (
    "ab4cbe26baedba45d2cec05610c71c55fa97db92d19a8b171c5f8269126683ca"
    "590a5cdc57bb2f35ce2b298de32f4d956fb42644c0ecd528a0a91e025c07ca61"
)
TARBALL = f"{PACKAGE.replace('@', '-')}.tgz"
FILES = (
    "ort.wasm.min.mjs",  # for the processor
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.min.mjs",  # for the graphics card
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
PATIENCE = 600  # seconds that npm has for 33 MB


def read_runtime(tarball: str | Path | None = None) -> dict[str, bytes]:
    """The files that a page needs, checked against the package's SHA-512.

    Args:
        tarball: the package's file; None has npm fetch it, once, and keeps it in torch's cache.

    Returns:
        Contents by name, those of `FILES`.

    Raises:
        InputError: the file is missing or another one, or there is no npm.
        StyleSRError: npm cannot fetch it.
    """
    path = fetch_runtime() if tarball is None else Path(tarball)
    if not path.is_file():
        raise InputError(f"there is no file {str(path)!r}; give {TARBALL} of npm")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha512").hexdigest()
    if found != SHA512:
        raise InputError(f"{path} is not {PACKAGE} as it was published (SHA-512 {found[:16]}…)")
    with tarfile.open(path) as archive:
        members = {name: archive.extractfile(f"package/dist/{name}") for name in FILES}
        return {name: member.read() for name, member in members.items() if member}


def fetch_runtime() -> Path:
    """The package's file, from the cache or by npm, which knows the user's registry and proxies.

    Raises:
        InputError: there is no npm.
        StyleSRError: npm cannot fetch it.
    """
    cached = Path(torch.hub.get_dir()) / "stylesr" / TARBALL
    if cached.is_file():
        return cached
    npm = shutil.which("npm")
    if npm is None:
        raise InputError(
            f"{PACKAGE} is fetched by npm, which comes with Node.js; install that, or fetch "
            f"{TARBALL} elsewhere and give it with --runtime"
        )
    cached.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cached.parent) as folder:  # whole or not at all
        command = [npm, "pack", PACKAGE, "--silent", "--pack-destination", folder]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or error
            raise StyleSRError(
                f"npm could not fetch {PACKAGE} ({' '.join(str(said).split())[:300]}); try again, "
                f"or fetch {TARBALL} elsewhere and give it with --runtime"
            ) from error
        (Path(folder) / TARBALL).replace(cached)
    return cached
