"""Options: one record, strict, that names what is wrong and what was probably meant."""

import json
from pathlib import Path

import pytest

from pacbound.errors import RequestError
from pacbound.request.presets import PRESETS, preset
from pacbound.request.request import Request, group_of, help_of, make_request, parse_projector, read_toml
from pacbound.specs.specs import PROJECTOR_KINDS


def test_an_empty_request_certifies_digits_with_every_default_written_down() -> None:
    assert json.loads(Request().model_dump_json()) == {
        "data": "digits", "model": "auto", "method": "subspace", "budget": None, "test": None, "delta": 0.05,
        "loss": "zero_one", "theorem": "auto", "base": "seeded", "checkpoint": None, "disjoint": False,
        "new_head": False, "head_rows": [], "train": "all", "rename": [], "key": None, "unlabelled": None,
        "earlier_looks": None, "surrogate": "auto",
        "prior_share": None, "preprocess": "auto", "tokenizer": None, "text_column": None, "label_column": None,
        "encoding": "utf-8", "layout": "auto", "classes": None, "name": None, "model_name": None, "standardise": None,
        "frozen_buffers": [], "d": None,
        "projector": None, "layer_scale": True, "seed": 0, "encoder": "posterior", "step": None, "levels": 7,
        "codebook_init": "kmeans", "code": ["gaussian", "laplace", "adaptive", "static"], "epochs": None,
        "batch": None, "rate": 0.005, "beta": 3.0, "encoder_seed": 0, "encoder_seeds": 1,
        "posterior": "point", "earlier_draws": None,
        "device": "auto", "repeats": None, "pick_order": None, "pick_first": None, "pick_growth": None,
        "pick_steps": None, "pick_epochs": None, "pick_batch": None, "pick_rate": None, "augmentation": None,
        "max_picks": None, "surrogate_by": "codes", "surrogate_checkpoint": None, "start_minutes": None,
        "surrogate_preprocess": "auto", "optimizer": "adam", "task": "classify", "statement": "stream",
        "alphabet": "bytes", "held_out": None, "context": None, "stride": None, "positions": None, "separator": None,
        "reference": None, "quantize": [], "smoothing": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("epoch", "epochs"), ("detla", "delta"), ("projektor", "projector"), ("encoder-seed", "encoder_seed")],
)
def test_an_unknown_option_is_refused_with_the_nearest_name(wrong: str, meant: str) -> None:
    with pytest.raises(RequestError, match=f"there is no option '{wrong}'. Did you mean '{meant}'?"):
        make_request({wrong: 1}, "api")


def test_an_option_like_no_other_is_refused_with_all_names() -> None:
    with pytest.raises(RequestError, match=r"Options are data, model, method, task, test, .*budget"):
        make_request({"zzz": 1}, "api")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("d", "16"), ("d", 16.0), ("d", True), ("d", 0), ("delta", 0.0), ("delta", 1.0), ("delta", "0.05"),
        ("delta", float("nan")), ("rate", float("inf")), ("rate", 0), ("step", 0.0), ("step", float("inf")),
        ("budget", -1.0), ("budget", float("inf")), ("levels", 1), ("levels", 257), ("code", ()),
        ("code", ("huffman",)), ("code", ("profile",)), ("code", "gaussian"), ("theorem", "test_set"),
        ("base", "checkpoint"), ("encoder", "magic"), ("preprocess", "whiten"), ("layer_scale", 1),
        ("seed", -1), ("seed", 1 << 63),
        ("batch", 0), ("epochs", 0), ("beta", -0.1), ("encoder_seed", 1 << 31), ("encoder_seeds", 0),
        ("frozen_buffers", (1,)),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_type_or_range_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(RequestError, match=f"^config x: option '{name}': .*got "):
        make_request({name: value}, "config x")


def test_lists_stand_for_tuples_and_the_rest_of_the_base_stays() -> None:
    base = Request(d=7, delta=0.01)
    changed = make_request({"code": ["static", "laplace"], "delta": 0.02}, "api", base)
    assert (changed.code, changed.d, changed.delta) == (("static", "laplace"), 7, 0.02)
    assert base.delta == 0.01


def test_toml_is_read_over_a_preset(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('data = "mnist"\nd = 64\nrate = 1\nlayer_scale = true\ncode = ["static", "adaptive"]\n')
    request = read_toml(path, preset("lotfi2022"))
    assert (request.data, request.d, request.rate, request.code) == ("mnist", 64, 1.0, ("static", "adaptive"))
    assert (request.layer_scale, request.theorem) == (True, "catoni_grid")  # of the file, of the preset
    assert read_toml(path).theorem == "auto"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"epoch = 3", r"config run.toml: there is no option 'epoch'. Did you mean 'epochs'\?"),
        (b"delta = 'small'", "config run.toml: option 'delta'"),
        (b"[training]\nepochs = 3", "there is no option 'training'"),
        (b"d = = 3", "not a readable TOML file"),
        (b"d = 3\nd = 4", "not a readable TOML file"),
        (b"\xff\xfe", "not a readable TOML file"),
    ],
)
def test_a_bad_file_is_refused_with_its_name(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "run.toml").write_bytes(content)
    with pytest.raises(RequestError, match=complaint):
        read_toml(tmp_path / "run.toml")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"none.toml' is not a readable TOML file"):
        read_toml(tmp_path / "none.toml")


def test_every_option_has_a_group_and_a_line_of_help() -> None:
    groups = {group_of(name) for name in Request.model_fields}
    own = {"Language", "Quantization"}
    assert groups == {"Main", "Data", "Statement", "Network", "Subspace", "Picks", "Code", "Training", *own}
    main = [name for name in Request.model_fields if group_of(name) == "Main"]
    assert main == ["data", "model", "method", "task", "budget"]
    lines = [help_of(name) for name in Request.model_fields]
    assert all(3 < len(line) < 90 and line == line.strip() for line in lines)
    assert len(set(lines)) == len(lines)


@pytest.mark.parametrize("kind", [kind for kind in PROJECTOR_KINDS if kind not in ("sum", "permuted")])
def test_a_kind_is_an_expression(kind: str) -> None:
    spec = parse_projector(kind, 100, 10, 3, (3, 8, 8))
    assert (spec.kind, spec.D, spec.seed, spec.parts) == (kind, 100, 3, ())
    assert spec.d == (100 if kind == "identity" else 10)
    assert spec.shape == ((3, 8, 8) if kind == "ekfac" else None)


def test_expressions_nest_sums_of_permuted_kinds() -> None:
    spec = parse_projector("film+permuted:kron_qr+dense", 100, 10, 3)
    assert spec.kind == "sum"
    assert [part.kind for part in spec.parts] == ["film", "permuted", "dense"]
    assert spec.parts[1].parts[0].kind == "kron_qr"
    assert {(part.D, part.d) for part in (*spec.parts, spec.parts[1].parts[0])} == {(100, 10)}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("fastfod", "got 'fastfod'. Did you mean 'fastfood'?"),
        ("", "a kind is one of fastfood"),
        ("sum", "a kind is one of"),
        ("permuted", "a kind is one of"),
        ("dense+", "got ''"),
        ("permuted:permuted:dense", "nest no deeper"),
        ("ekfac", "ekfac is for networks of images or vectors, got other inputs"),
        ("permuted:ekfac", "ekfac is for networks of images or vectors"),
        ("dense+identity", "the D and d of the whole"),
        ("+".join(["dense"] * 5), "at most 4"),
    ],
)
def test_a_wrong_expression_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(RequestError, match=complaint.replace("?", r"\?")):
        parse_projector(text, 100, 10, 0)


def test_every_preset_is_a_request_that_survives_json_and_toml_types() -> None:
    for request in PRESETS.values():
        values = {k: v for k, v in json.loads(request.model_dump_json()).items() if v is not None}
        assert make_request(values, "json") == request


@pytest.mark.parametrize("word", ["lora:0", "lora:4096", "lora:x"])
def test_a_wrong_rank_is_said_once(word: str) -> None:
    with pytest.raises(RequestError) as refusal:
        make_request({"train": word}, "certify")
    assert str(refusal.value) == f"certify: option 'train': lora has a rank in 1..1024, as in lora:8, got {word!r}."
