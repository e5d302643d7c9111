"""The certificates that the project itself publishes: each stands, and README.md says what they say."""

import subprocess
import sys
from pathlib import Path

import pytest

import pacbound as pb

ROOT = Path(__file__).parents[1]
CERTIFICATES = sorted(
    path for path in (ROOT / "results").glob("*/*.json") if '"schema_version"' in path.read_text("utf-8")[:200]
)


@pytest.mark.parametrize("path", CERTIFICATES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_published_certificate_stands_at_level_message(path):
    assert pb.verify(path, level="message").require().stands


def test_there_are_published_certificates():
    assert len(CERTIFICATES) >= 5


def test_the_readmes_say_what_results_say():
    check = [sys.executable, str(ROOT / "results" / "table.py"), "--check"]
    assert subprocess.run(check, capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("name", "most"), [("digits/seed_0", 0.32), ("plain/mnist", 0.105), ("plain/fashion-mnist", 0.26)]
)
def test_headline_certificates_reach_their_targets(name, most):
    assert pb.Certificate.load(ROOT / "results" / f"{name}.json").bound.value <= most


def test_the_digits_certificate_stands_at_level_risk():
    assert pb.verify(ROOT / "results" / "digits" / "seed_0.json", level="risk").require().recount is not None


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_published_certificates_stand_at_level_risk(name, data_root):
    path = ROOT / "results" / "plain" / f"{name}.json"
    verdict = pb.verify(path, data=name, level="risk", data_dir=data_root).require()
    assert verdict.recount is not None
    assert verdict.recount.errors <= pb.Certificate.load(path).risk.errors
