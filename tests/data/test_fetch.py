"""Downloads from a local HTTP server that can misbehave on demand."""

import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pacbound.data import fetch as module
from pacbound.data.fetch import MIRRORS, PINS, Pin, fetch, fetch_file
from pacbound.data.registry import load
from pacbound.data.roots import FILES
from pacbound.errors import DataError

CONTENT = bytes(range(256)) * 1000
OTHER = bytes(reversed(CONTENT))
PIN = Pin("blob.gz", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
HALF = len(CONTENT) // 2
ENDLESS_BYTES = 1 << 26


class Mirror(BaseHTTPRequestHandler):
    """Serves CONTENT under folders named by how they behave, and notes each request."""

    log: list[tuple[str, str | None]]
    files: dict[str, bytes]
    finished: threading.Event  # set when an endless answer came to its end

    def do_GET(self):
        _, behaviour, file = self.path.split("/")
        wanted = self.headers.get("Range")
        self.log.append((behaviour, wanted))
        if behaviour == "absent":
            self.send_error(404)
            return
        if behaviour == "endless":
            self.send_without_end()
            return
        body = {"wrong": OTHER, "longer": CONTENT + b"x", "shorter": CONTENT[:100]}.get(behaviour)
        body = self.files[file] if body is None else body
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and behaviour != "rangeless" else 0
        if start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        cut = max(HALF - start, 0) if behaviour == "cut" else len(body)
        self.wfile.write(body[start : start + cut])

    def send_without_end(self):
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(ENDLESS_BYTES // len(CONTENT)):
                self.wfile.write(CONTENT)
        except OSError:  # the client hung up
            self.log.append(("hung up", None))
        self.finished.set()

    def log_message(self, *args):
        """Keep quiet."""


@pytest.fixture
def mirror(monkeypatch) -> Iterator[type[Mirror]]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = type("Fresh", (Mirror,), {"log": [], "files": {"blob.gz": CONTENT}, "finished": threading.Event()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


def fetched(mirror: type[Mirror], folder: Path, *behaviours: str) -> bytes:
    path = fetch_file(PIN, folder, [f"{mirror.address}/{behaviour}" for behaviour in behaviours])
    assert path == folder / "blob.gz"
    assert not (folder / "blob.gz.part").exists()
    return path.read_bytes()


def test_a_whole_file_arrives_and_is_not_asked_for_twice(mirror, tmp_path):
    assert fetched(mirror, tmp_path, "good") == CONTENT
    assert fetched(mirror, tmp_path, "good") == CONTENT
    assert mirror.log == [("good", None)]


def test_the_next_mirror_takes_over_after_404_and_after_a_dead_address(mirror, tmp_path):
    assert fetched(mirror, tmp_path, "absent", "good") == CONTENT
    assert [behaviour for behaviour, _ in mirror.log] == ["absent", "good"]
    (tmp_path / "blob.gz").unlink()
    dead = "http://127.0.0.1:9"  # the discard port, closed
    fetch_file(PIN, tmp_path, [dead, f"{mirror.address}/good"])
    assert (tmp_path / "blob.gz").read_bytes() == CONTENT


def test_a_truncated_transfer_is_continued_where_it_stopped(mirror, tmp_path):
    assert fetched(mirror, tmp_path, "cut", "good") == CONTENT
    assert mirror.log == [("cut", None), ("good", f"bytes={HALF}-")]


def test_a_truncated_transfer_leaves_its_part_for_the_next_run(mirror, tmp_path):
    with pytest.raises(DataError, match=rf"{HALF} bytes are kept; run the command again"):
        fetched(mirror, tmp_path, "cut")
    assert not (tmp_path / "blob.gz").exists()
    assert (tmp_path / "blob.gz.part").read_bytes() == CONTENT[:HALF]
    assert fetched(mirror, tmp_path, "good") == CONTENT
    assert mirror.log[-1] == ("good", f"bytes={HALF}-")


def test_a_server_without_ranges_makes_it_start_over(mirror, tmp_path):
    (tmp_path / "blob.gz.part").write_bytes(b"?" * HALF)  # would spoil the file if it were appended to
    assert fetched(mirror, tmp_path, "rangeless") == CONTENT
    assert mirror.log == [("rangeless", f"bytes={HALF}-")]


def test_a_wrong_file_is_deleted_and_said(mirror, tmp_path):
    with pytest.raises(DataError, match=r"SHA-256 differs.*deleted"):
        fetched(mirror, tmp_path, "wrong")
    assert list(tmp_path.iterdir()) == []
    assert fetched(mirror, tmp_path, "wrong", "good") == CONTENT


def test_a_part_of_another_file_does_not_poison_a_good_mirror(mirror, tmp_path):
    (tmp_path / "blob.gz.part").write_bytes(OTHER[:HALF])
    assert fetched(mirror, tmp_path, "good") == CONTENT
    assert mirror.log == [("good", f"bytes={HALF}-"), ("good", None)]


def test_a_part_longer_than_the_servers_file_does_not_stay_in_the_way(mirror, tmp_path):
    (tmp_path / "blob.gz.part").write_bytes(CONTENT[:HALF])
    assert fetched(mirror, tmp_path, "shorter", "good") == CONTENT


def test_one_byte_too_many_is_refused_unhashed(mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_sha256", lambda path: pytest.fail("hashed a file of the wrong size"))
    with pytest.raises(DataError, match="deleted"):
        fetched(mirror, tmp_path, "longer")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_sends_without_end_is_cut_off(mirror, tmp_path):
    with pytest.raises(DataError, match="deleted"):
        fetched(mirror, tmp_path, "endless")
    assert list(tmp_path.iterdir()) == []
    mirror.finished.wait(10)
    assert mirror.log == [("endless", None), ("hung up", None)]


def test_a_complete_part_is_checked_without_a_request(mirror, tmp_path):
    (tmp_path / "blob.gz.part").write_bytes(CONTENT)
    assert fetched(mirror, tmp_path, "absent") == CONTENT
    assert mirror.log == []


def test_a_damaged_file_in_place_is_replaced(mirror, tmp_path):
    (tmp_path / "blob.gz").write_bytes(CONTENT[:-1] + b"?")
    assert fetched(mirror, tmp_path, "good") == CONTENT


@pytest.mark.parametrize("name", PINS)
def test_pins_agree_with_the_files_and_with_what_load_expects(name, data_root):
    assert {pin.file for pin in PINS[name]} == {file for files in FILES[name].values() for file in files}
    for pin in PINS[name]:
        raw = (data_root / name / pin.file).read_bytes()
        assert (len(raw), hashlib.sha256(raw).hexdigest()) == (pin.size_bytes, pin.sha256)


def test_every_pinned_set_has_two_mirrors():
    assert MIRRORS.keys() == PINS.keys()
    for addresses in MIRRORS.values():
        assert len({re.match("https?://[^/]+/", address)[0] for address in addresses}) >= 2


def test_a_fetched_set_loads(mirror, tmp_path, data_root):
    mirror.files = {pin.file: (data_root / "mnist" / pin.file).read_bytes() for pin in PINS["mnist"]}
    folder = fetch("mnist", tmp_path, [f"{mirror.address}/absent", f"{mirror.address}/good/"])
    assert folder == tmp_path / "mnist"
    assert load("mnist", tmp_path).digest() == load("mnist", data_root).digest()


def test_sets_that_cannot_be_fetched_say_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"cifar10/cifar-10-batches-bin/test_batch\.bin"):
        fetch("cifar10", tmp_path)
    with pytest.raises(DataError, match="embedded"):
        fetch("digits", tmp_path)
    with pytest.raises(DataError, match="mnist, fashion-mnist, got 'imagenet'"):
        fetch("imagenet", tmp_path)
    with pytest.raises(DataError, match="http"):
        fetch("mnist", tmp_path, ["file:///etc/"])
    assert list(tmp_path.iterdir()) == []


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("")
    with pytest.raises(DataError, match="the data root is a folder that can be written"):
        fetch("mnist", tmp_path / "root")
