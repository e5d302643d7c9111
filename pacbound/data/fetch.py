"""Download a data set: pinned SHA-256, several mirrors, resumable. Standard library only."""

import contextlib
import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from .roots import data_root, layout

CHUNK_BYTES = 1 << 16
TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Pin:
    """One file of a data set: its name, its size in bytes and its SHA-256 in hex."""

    file: str
    size_bytes: int
    sha256: str


PINS: dict[str, tuple[Pin, ...]] = {
    "mnist": (
        Pin("train-images-idx3-ubyte.gz", 9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        Pin("train-labels-idx1-ubyte.gz", 28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        Pin("t10k-images-idx3-ubyte.gz", 1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        Pin("t10k-labels-idx1-ubyte.gz", 4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ),
    "fashion-mnist": (
        Pin("train-images-idx3-ubyte.gz", 26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        Pin("train-labels-idx1-ubyte.gz", 29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        Pin("t10k-images-idx3-ubyte.gz", 4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        Pin("t10k-labels-idx1-ubyte.gz", 5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ),
}

MIRRORS: dict[str, tuple[str, ...]] = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    "fashion-mnist": (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
}


def fetch(name: str, root: str | Path | None = None, mirrors: Sequence[str] = ()) -> Path:
    """Download a data set into root/name; files already there with the right digest stay.

    Args: name: mnist or fashion-mnist. root: the data root, see `data_root`. mirrors: addresses of folders,
        tried in order instead of the built-in list.
    Returns: the folder. Raises: DataError where no mirror delivered a file, or the set cannot be fetched.
    """
    if name not in PINS:
        raise DataError(_why_not(name))
    for mirror in mirrors:
        if not re.match("https?://", mirror):
            raise DataError(f"fetch: a mirror is an http or https address, got {mirror!r}.")
    folder = data_root(root) / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise DataError(f"fetch: the data root is a folder that can be written, got: {cause}. Give --root.") from None
    for pin in PINS[name]:
        fetch_file(pin, folder, tuple(mirrors) or MIRRORS[name])
    return folder


def fetch_file(pin: Pin, folder: Path, mirrors: Sequence[str]) -> Path:
    """Download one file through `<file>.part`, which survives an interruption and is continued next time.

    A part whose digest is wrong is deleted; if an earlier attempt had begun it, the same mirror gets a fresh
    chance. The file gets its name only after its digest was checked.

    Returns: its path. Raises: DataError, naming what each mirror did.
    """
    final, part = folder / pin.file, folder / f"{pin.file}.part"
    if final.is_file() and _sha256(final) == pin.sha256:
        return final
    failures: list[str] = []
    for mirror in mirrors:
        address = mirror.rstrip("/") + "/" + pin.file
        begun_before = part.exists()
        failure = _attempt(address, pin, part)
        if failure and begun_before and not part.exists():
            failures.append(f"{address}, continued: {failure}")
            failure = _attempt(address, pin, part)
        if failure is None:
            os.replace(part, final)
            return final
        failures.append(f"{address}: {failure}")
    kept = f" {part.stat().st_size} bytes are kept; run the command again to continue." if part.exists() else ""
    raise DataError(
        f"fetch: no mirror delivered {pin.file}.{kept} Another one can be given with --mirror URL.\n  "
        + "\n  ".join(failures)
    )


def _attempt(address: str, pin: Pin, part: Path) -> str | None:
    """Complete the part from one address; return None, or what went wrong."""
    try:
        _download(address, pin, part)
    except (OSError, http.client.HTTPException) as cause:  # urllib's errors are OSErrors
        return str(cause) or type(cause).__name__
    got = part.stat().st_size
    if got < pin.size_bytes:
        return f"the transfer ended after {got} of {pin.size_bytes} bytes"
    if got == pin.size_bytes and _sha256(part) == pin.sha256:
        return None
    part.unlink()
    return "not the expected file: its SHA-256 differs from the pinned one; what was downloaded is deleted"


def _download(address: str, pin: Pin, part: Path) -> None:
    """Append to the part what the server still has; start over where it cannot continue."""
    have = part.stat().st_size if part.exists() else 0
    if have >= pin.size_bytes:
        return
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as refused:
        with contextlib.closing(refused):
            if refused.code == 416:  # the server's file is shorter than the part: not the same file
                part.unlink()
            raise OSError(f"the server answered {refused.code} {refused.reason}") from None
    with answer:
        continues = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        _copy(answer, pin, part, have if continues else 0)


def _copy(answer: http.client.HTTPResponse, pin: Pin, part: Path, start: int) -> None:
    from ..progress import hidden, tqdm

    bar = tqdm(total=pin.size_bytes, initial=start, desc=pin.file, unit="B", unit_scale=True, disable=hidden())
    with bar, open(part, "r+b" if start else "wb") as out:
        out.seek(start)
        room = pin.size_bytes - start + 1  # one byte too many shows that the file is another one
        while room > 0 and (block := answer.read(min(CHUNK_BYTES, room))):
            out.write(block)
            bar.update(len(block))
            room -= len(block)


def _sha256(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _why_not(name: str) -> str:
    if name == "digits":
        return "fetch: digits is embedded in scikit-learn and needs no files. Run: pacbound certify --data digits"
    if name == "cifar10":
        return (
            "fetch: cifar10 is not fetched, as its official digest is not pinned here. Unpack the binary version "
            f"of the archive below the data root, which then holds\n{layout(name)}"
        )
    return f"fetch: data sets that can be fetched are {', '.join(PINS)}, got {name!r}."
