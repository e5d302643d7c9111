"""Finish certificates again from their messages, without training: decode, count, a new ledger, a new bound.

    python results/finish_again.py [FILE ...]      by default every certificate of results/ in an older version

What was trained is in the message; what is said about it follows from the rules of today. Whatever the rules of a new
schema version charge is charged, bounds move accordingly, and nothing is trained. The environment (versions, seconds,
epochs) stays that of the training. PACBOUND_DATA names the data root. Certificates that are of this version already
are left alone.
"""

import base64
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pacbound as pb
from pacbound.bits import message as messages
from pacbound.bits.coder import Stream, Symbols
from pacbound.bounds.claims import Measure
from pacbound.certificate.files import read_sidecar
from pacbound.certificate.schema import SCHEMA_VERSION, Certificate, Environment
from pacbound.methods import surrogate as surrogates
from pacbound.methods.direct.certify import direct_setup
from pacbound.methods.work import Work
from pacbound.networks.checkpoints import start_base
from pacbound.networks.original import count_differing
from pacbound.pipeline.finish import beside, finish_one, issue
from pacbound.pipeline.preparation import Setup, prepare
from pacbound.specs.specs import DrawSpec, HypothesisSpec
from pacbound.training.plain import Candidate

RESULTS = Path(__file__).parent
ROOT = Path(os.environ.get("PACBOUND_DATA", "."))
CHECKPOINTS = {
    "lenet": "lenet5-mnist/mnist_lenet5_clntrained.pt",
    "resnet20": "resnet-cifar10/resnet20-12fca82f.th",
    "resnet32": "resnet-cifar10/resnet32-d509ac18.th",
}

Json = dict[str, Any]


def main() -> None:
    files = [Path(name) for name in sys.argv[1:]] or sorted(RESULTS.glob("*/*.json"))
    for file in files:
        document = json.loads(file.read_text("utf-8"))
        if document.get("schema_version") in (None, SCHEMA_VERSION):
            continue
        before = document["bound"]["value"]
        certificate = finished_again(file, document)
        assert pb.verify(certificate, level="message").require().stands
        certificate.save(file)
        now, bits = certificate.bound.value, certificate.ledger.bits
        old_bits = sum(entry["bits"] for entry in document["ledger"])
        print(f"{file.parent.name}/{file.stem}: {before:.4f} -> {now:.4f}, {old_bits:,} -> {bits:,} bits", flush=True)


def finished_again(file: Path, document: Json) -> Certificate:
    """Return the certificate of the same message by the rules of today."""
    spec, symbols = read_message(file, document)
    setup = prepared(file, document, spec)
    posterior = (
        (file.parent / spec.quantizer.file).read_bytes() if spec.quantizer and spec.quantizer.kind == "draw" else None
    )
    candidate = None if spec.quantizer is None else Candidate(symbols, spec.quantizer, spec.code, posterior)
    environment = Environment.model_validate_json(json.dumps(document["environment"]))
    if document["parts"]:
        certificate = compared_again(file, document, setup, candidate, environment)
    else:
        one = finish_one(setup, candidate)
        certificate = issue(setup, one, environment, beside(setup, one))
    assert certificate.hypothesis.model_dump(exclude={"base"}) == spec.model_dump(exclude={"base"}), file
    measures = tuple(Measure.model_validate_json(json.dumps(measure)) for measure in document["measures"])
    return certificate.with_measures(measures) if measures else certificate


def read_message(file: Path, document: Json) -> tuple[HypothesisSpec, Symbols]:
    """Decode the payload of an older version: there the network was a number in a list."""
    declared = HypothesisSpec.model_validate_json(json.dumps(document["hypothesis"]))
    stated = document["message"]
    if "payload" in stated:
        payload = base64.b64decode(stated["payload"])
    else:
        payload = read_sidecar(file.parent, stated["file"], stated["size"], stated["sha256"])
    with mock.patch.object(messages, "code_model", old_model):
        spec, symbols, _ = messages.unpack(payload, declared)
    return spec, symbols


OLD_MODELS = (
    "user", "lenet", "mlp", "cnn", "resnet20", "resnet20-bn", "resnet32-bn", "lenet-mnist", "lenet1", "pooled",
)  # fmt: skip


def old_model(stream: Stream, model: str | None) -> str:
    """Read, or to compare write, the network as version 1 did: the gamma code of its place in a list."""
    return OLD_MODELS[stream.gamma("model", "version 1", None if model is None else OLD_MODELS.index(model))]


def prepared(file: Path, document: Json, spec: HypothesisSpec) -> Setup:
    """Fix what was fixed before training, from what the certificate says of it."""
    folder, name = file.parent.name, file.stem
    data, model, test = sources(folder, name, document, spec)
    base = spec.base
    options: Json = {
        "seed": base.seed,
        "delta": document["bound"]["delta"],
        "layer_scale": spec.layer_scale or spec.quantizer is None,
        "preprocess": "auto" if spec.preprocess.name == "none" else spec.preprocess.name,
        "prior_share": None if base.split is None else base.split.parts / 64,
    }
    if isinstance(spec.quantizer, DrawSpec):
        options |= {"posterior": "draw", "earlier_draws": spec.quantizer.index - 1}
    if document["bound"]["theorem"] in ("occam_kl", "occam_hoeffding", "pac_bayes_kl", "catoni_grid"):
        options["theorem"] = document["bound"]["theorem"]
    if base.kind.startswith("checkpoint"):
        checkpoint = ROOT / "checkpoints" / CHECKPOINTS["resnet20"]
        options |= {"checkpoint": str(checkpoint), "disjoint": True, "new_head": base.kind.endswith("new_head")}
    setup = prepare(model, data, test, pb.Request.model_validate(options), document["risk"]["loss"], ROOT)
    if base.kind == "zero":
        setup = direct_setup(setup)
    if spec.projector is not None:
        setup = replace(setup, projector=spec.projector)
    if base.split is not None:
        raw = (file.parent / base.file).read_bytes()
        setup = replace(setup, base=start_base(setup.base.module, raw, base), theta0=raw)
    return setup


def sources(folder: str, name: str, document: Json, spec: HypothesisSpec) -> tuple[str, str, str | None]:
    """Data, network and held-out examples as the experiment's own command named them."""
    data, model = document["data"]["name"].removesuffix("-86jpeg").removesuffix("-random-labels"), spec.model
    held_out = any(other.get("sample") == "test" and other["kind"] == "bound" for other in document["also"])
    own = {"redundancy": "subset", "random_labels": "labels", "transfer": "targets"}.get(folder)
    if own is not None:
        sys.path.insert(0, str(RESULTS / folder))
    if folder == "redundancy":
        model = f"designs:{name.split('_', 1)[1].rsplit('_', 1)[0]}"
        data = data.replace("-", "_")
    if folder == "transfer":
        data = name.rsplit("_", 1)[0].removesuffix("_random")
    test = data if folder == "direct" and held_out else None
    return (f"{own}:{data}" if own else data), model, test


def compared_again(
    file: Path, document: Json, setup: Setup, candidate: Candidate | None, environment: Environment
) -> Certificate:
    """The same for a bound about an original network: both counts again."""
    data, which = document["data"]["name"].removesuffix("-86jpeg"), file.stem.rsplit("_", 1)[1]
    model = {"lenet": "lenet-mnist", "resnet20": "resnet20-bn", "resnet32": "resnet32-bn"}[which]
    looks = document["parts"][1]["looks"]
    request = pb.Request(
        method="surrogate",
        checkpoint=str(ROOT / "checkpoints" / CHECKPOINTS[which]),
        model=model,
        earlier_looks=looks - 1,
    )
    work = Work(model, data, f"{data}:test:2/2", f"{data}:test:1/2", request, None, ROOT, None, True)
    task = surrogates.checked(work)
    best = finish_one(setup, candidate)
    differing = count_differing(best.hypothesis, task.original, task.inputs, True)
    compared = surrogates.Compared(best, task.inputs, task.record, differing, looks)
    held_out = surrogates._held_out(task.original, task.test, document["bound"]["delta"])
    return surrogates._issue(setup, compared, task.original, held_out, environment)


if __name__ == "__main__":
    main()
