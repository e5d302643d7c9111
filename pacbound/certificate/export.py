"""The JSON Schemas of certificates, for readers in other languages: `python -m pacbound.certificate.export`."""

import json
from pathlib import Path

from ..records import SparseRecord
from ..specs.language import AlphabetSpec, PredictionSpec, UnitsSpec
from ..specs.preprocess import PreprocessSpec
from ..specs.specs import BaseOrigin, HypothesisSpec, ProjectorSpec, SplitSpec
from .difference import DIFFERENCE_ID, DifferenceCertificate, VersionRow
from .language import LANGUAGE_ID, LanguageCertificate, OtherAnswers, OtherPredictor, StatedLoss
from .parts import InputsRecord
from .schema import SCHEMA_ID, Certificate, DataRecord, Environment, OtherBound
from .sweep import SweepRecord

PATH = Path(__file__).with_name("schema.json")
LANGUAGE_PATH = Path(__file__).with_name("language.schema.json")
DIFFERENCE_PATH = Path(__file__).with_name("difference.schema.json")
SPARSE = (
    BaseOrigin, DataRecord, Environment, HypothesisSpec, InputsRecord, OtherBound, PreprocessSpec, ProjectorSpec,
    SplitSpec, SweepRecord, AlphabetSpec, OtherAnswers, OtherPredictor, PredictionSpec, StatedLoss, UnitsSpec,
    VersionRow,
)  # fmt: skip
LEFT_OUT = {record.__name__: record.LEFT_OUT for record in SPARSE}


def schema_text() -> str:
    """Return schema.json as it should stand: a certificate writes out every field but those that it leaves out."""
    return _text(Certificate, SCHEMA_ID)


def language_schema_text() -> str:
    """Return language.schema.json, of certificates of language models, as it should stand."""
    return _text(LanguageCertificate, LANGUAGE_ID)


def difference_schema_text() -> str:
    """Return difference.schema.json, of certificates of what versions lose, as it should stand."""
    return _text(DifferenceCertificate, DIFFERENCE_ID)


def _text(record: type[SparseRecord], identity: str) -> str:
    schema = record.model_json_schema(mode="serialization")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": identity}
    for title, part in (("", schema), *schema["$defs"].items()):
        left_out = LEFT_OUT.get(title, ()) if title else record.LEFT_OUT
        part["required"] = [name for name in part["properties"] if name not in left_out]
    return json.dumps({**head, **schema}, indent=1) + "\n"


if __name__ == "__main__":
    PATH.write_text(schema_text(), encoding="utf-8")
    LANGUAGE_PATH.write_text(language_schema_text(), encoding="utf-8")
    DIFFERENCE_PATH.write_text(difference_schema_text(), encoding="utf-8")
