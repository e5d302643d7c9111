"""What a folder of sentence-transformers says of how the last layer of its encoder becomes one vector a text."""

import json
from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelError, first_line

MODULES, CONFIG = "modules.json", "config.json"
POOLINGS = {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}  # -> whether the first token alone


@dataclass(frozen=True)
class SentenceVector:
    """first: that of the first token, or else the mean over tokens. unit: of length one, up to a fixed scale."""

    first: bool = False
    unit: bool = False


def sentence_vector(folder: Path) -> SentenceVector:
    """Read modules.json: a transformer, a pooling, and a normalisation or none; without it, the mean over tokens.

    Raises: ModelError where the folder asks for anything else.
    """
    if not (folder / MODULES).exists():
        return SentenceVector()
    try:
        kinds = [str(part["type"]).rpartition(".")[2] for part in json.loads((folder / MODULES).read_text("utf-8"))]
        pooling = {} if "Pooling" not in kinds else json.loads(sentence_files(folder)[1].read_text("utf-8"))
        chosen = [name for name, asked in pooling.items() if name.startswith("pooling_mode") and asked is True]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as why:
        raise ModelError(
            f"load_model: {MODULES} of {folder.name} lists modules of sentence-transformers, got {first_line(why)}. "
            "Save the folder again."
        ) from None
    known = kinds in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
    if not known or len(chosen) != 1 or chosen[0] not in POOLINGS:
        raise ModelError(
            "load_model: a text becomes the mean over its tokens or its first token, and then perhaps of length one, "
            f"{folder.name} asks for {', '.join([*kinds, *chosen])}. Remove {MODULES} for the mean over tokens."
        )
    return SentenceVector(POOLINGS[chosen[0]], kinds[-1] == "Normalize")


def sentence_files(folder: Path) -> tuple[Path, ...]:
    """Return modules.json and the description of its pooling, as far as there are any within the folder."""
    modules = folder / MODULES
    try:
        parts = json.loads(modules.read_text("utf-8"))
        places = [str(part["path"]) for part in parts if str(part["type"]).rpartition(".")[2] == "Pooling"]
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError):  # said where it is read
        return (modules,)
    inside = [place for place in places if Path(place).name == place and (folder / place / CONFIG).is_file()]
    return (modules, *(folder / place / CONFIG for place in inside))
