"""Write a copy of a certificate with one ledger line lowered, sums and digest put right: forge.py FROM TO."""

import hashlib
import json
import sys
from pathlib import Path

source, target = map(Path, sys.argv[1:])
document = json.loads(source.read_text("utf-8"))
line = max(document["ledger"], key=lambda entry: entry["bits"])
line["bits"] -= 1
document["message"]["bits"] -= line["kind"] == "counted"
del document["digest"]
canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
document["digest"] = hashlib.sha256(canonical.encode("ascii")).hexdigest()
target.write_text(json.dumps(document), "utf-8")
