"""What `show` says of picks."""

import pytest

from pacbound.certificate.recheck import recheck_arithmetic, recheck_message
from pacbound.reports.show import FORMATS, NOT_SAID, render
from pacbound.specs.picks import MENUS
from tests.forge import honest
from tests.reports.picks_cases import picked
from tests.reports.test_show import plain

PEOPLE = [name for name in FORMATS if name != "json"]


def test_the_certificate_of_these_tests_stands() -> None:
    certificate = picked()
    for findings in (recheck_arithmetic(certificate), recheck_message(certificate)[0]):
        assert findings[-1].complaint is None


@pytest.mark.parametrize("name", PEOPLE)
def test_what_was_compressed_is_said_in_every_format(name: str) -> None:
    certificate = picked()
    text = plain(render(certificate, name))  # type: ignore[arg-type]
    assert "WARNING" not in text
    assert "25 of 60,000 examples; 600 errors on the others; k = 625" in text
    assert "400 bits, not charged" in text  # 25 indices of 16 bits
    assert "at size number 3" in text
    assert "SHA-256 of seed 0, example and label" in text
    assert "200 + 8 t / 64 steps for t picks" in text
    assert "Adam at rate 0.002" in text
    file = certificate.hypothesis.quantizer.file  # type: ignore[union-attr]
    assert f"lenet, in {file} beside this certificate (9 bytes)" in text
    assert "by picks_classical" in text
    assert "w = 0" not in text


@pytest.mark.parametrize("name", PEOPLE)
def test_what_is_not_said_is_about_the_file_and_on_its_authors_word(name: str) -> None:
    text = plain(render(picked(), name))  # type: ignore[arg-type]
    said = " ".join(text.split("What it does not say")[1].split())
    assert f"the network in {picked().hypothesis.quantizer.file}" in said  # type: ignore[union-attr]
    assert "its author's word until they are run again (verify --level replay)" in said
    assert "another machine may round otherwise" in said.lower()
    assert "decoded from the message" not in said
    assert NOT_SAID[0] in said
    assert NOT_SAID[-1] in said


@pytest.mark.parametrize("field", [*MENUS, "seed"])
def test_no_field_of_the_recipe_is_left_out(field: str) -> None:
    usual, changed = (MENUS[field][0], MENUS[field][1]) if field in MENUS else (0, 7)
    shown = [render(picked(stop=0, rounds=(), **{field: value})).split("Ledger")[0] for value in (usual, changed)]
    words = [
        [row for row in text.splitlines() if row.startswith(("  order of", "  growth", "  learner", "  augment"))]
        for text in shown
    ]
    assert len(words[0]) == 4
    assert words[0] != words[1]


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field in ("order", "augmentation") for value in MENUS[field]]
)
def test_every_entry_of_a_menu_of_words_has_words(field: str, value: str) -> None:
    assert "does not stand" not in render(picked(stop=0, rounds=(), **{field: value}))


def test_a_selection_that_left_nothing_says_so() -> None:
    assert "stopped where nothing was left to pick" in render(picked(stop=63, errors=0))


def test_other_certificates_say_nothing_of_picks() -> None:
    text = render(honest())
    assert "picked" not in text
    assert "decoded from the message" in text
