import hashlib
import os
from pathlib import Path

import pytest

from pacbound.certificate.files import read_capped, read_sidecar, write_atomic
from pacbound.errors import CertificateError


def test_writing_leaves_nothing_but_the_file(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a.json", b"old")
    write_atomic(tmp_path / "a.json", b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_bytes() == b"new"


def test_a_write_that_dies_leaves_the_old_content_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomic(tmp_path / "a.json", b"old")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "a.json", b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_bytes() == b"old"


def test_a_missing_folder_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="could not be written"):
        write_atomic(tmp_path / "none" / "a.json", b"")


def test_a_file_of_exactly_the_cap_is_read_and_one_byte_more_is_not(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_capped(tmp_path / "a", 5) == b"12345"
    with pytest.raises(CertificateError, match="at most, got 5"):
        read_capped(tmp_path / "a", 4)


@pytest.mark.parametrize("name", ["folder", "absent", "bad\0name"])
def test_what_is_not_a_regular_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(CertificateError):
        read_capped(tmp_path / name, 5)


@pytest.mark.parametrize("name", ["../a.message", "/a.message", ".a.message", "a.message/", "a\n.message", "A.message"])
def test_a_sidecar_name_has_no_way_out_of_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.message").write_bytes(b"x")
    digest = hashlib.sha256(b"x").hexdigest()
    assert read_sidecar(tmp_path, "a.message", 1, digest) == b"x"
    with pytest.raises(CertificateError, match="bare file name"):
        read_sidecar(tmp_path, name, 1, digest)


def test_a_sidecar_of_the_right_size_with_another_content_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.message").write_bytes(b"y")
    with pytest.raises(CertificateError, match="not the one declared"):
        read_sidecar(tmp_path, "a.message", 1, hashlib.sha256(b"x").hexdigest())


def test_a_sidecar_declared_too_large_is_refused_before_the_file_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="at most 268,435,456 bytes"):
        read_sidecar(tmp_path, "absent.message", (1 << 28) + 1, "0" * 64)
