"""The JSON Schema of a certificate, for readers in other languages: `python -m pacbound.certificate.export`."""

import json
from pathlib import Path

from .schema import OPTIONAL, SCHEMA_VERSION, Certificate

PATH = Path(__file__).with_name("schema.json")


def schema_text() -> str:
    """Return schema.json as it should stand: every field required, since a certificate writes out all of them."""
    schema = Certificate.model_json_schema(mode="serialization")
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:pacbound:certificate:{SCHEMA_VERSION}",
    }
    for part in (schema, *schema["$defs"].values()):
        part["required"] = [name for name in part["properties"] if part is not schema or name not in OPTIONAL]
    return json.dumps({**head, **schema}, indent=1) + "\n"


if __name__ == "__main__":
    PATH.write_text(schema_text(), encoding="utf-8")
