"""Networks that other packages build: classifiers and text encoders of transformers from a local folder, timm by name.

Both packages are optional and imported when asked for. A folder is read, never run: code in it is not trusted, weights
are safetensors, and nothing is fetched.
"""

import hashlib
import importlib
import inspect
import json
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from ..errors import ModelError, first_line
from .classifiers import PixelClassifier, TextEncoder, check_reads_texts, padding_of, text_classifier
from .peft_folder import ADAPTER, ADAPTER_WEIGHTS, base_folder, for_texts, is_adapter_folder, merged, saved_with
from .sentences import sentence_files, sentence_vector

FOLDER, TIMM = "hf:", "timm:"
CONFIG = "config.json"
WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
INDICES = ("*.safetensors.index.json", "*.bin.index.json")  # the first that a folder has
SINGLE = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.ckpt")
INNER = "network."  # before every name of the network within its wrapper
FOREIGN = {ADAPTER: "an adapter of another network; merge the two with merge_and_unload() of peft"}
# how transformers builds what a folder holds
IMAGES, TEXTS, ENCODER = "AutoModelForImageClassification", "AutoModelForSequenceClassification", "AutoModel"
HUB_NAME = re.compile(r"(?!\.)[\w.-]+(/[\w.-]+)?")
CHUNK = 1 << 20


def build_from_folder(folder: str | Path, classes: int) -> nn.Module:
    """Build the network that config.json describes, with so many outputs; its values are not yet set.

    An image or sequence classifier is one itself. Any other network of texts is an encoder, which gets a linear `head`
    on the vector that sentences.py says.
    Raises: ModelError where the folder describes something else or the extra `transformers` is not installed.
    """
    path = Path(folder)
    transformers = optional("transformers", f"the network of {path.name}")
    config = folder_config(transformers, path)
    if config.num_labels != classes:  # type: ignore[attr-defined]
        config.num_labels = classes  # type: ignore[attr-defined]
    kind, options = _kind(transformers, config, for_texts(path))
    try:
        with torch.random.fork_rng(devices=[]):
            network = getattr(transformers, kind).from_config(config, **options).float()
            if kind == IMAGES:
                return PixelClassifier(network).eval()
            network.eval()
            if kind == TEXTS:
                return text_classifier(network).eval()
            padding = padding_of(config, path.name)
            check_reads_texts(network, padding)
            reading = sentence_vector(base_folder(path))
            width = config.hidden_size  # type: ignore[attr-defined]
            return TextEncoder(network, padding, width, classes, reading.first, reading.unit).eval()
    except ModelError:
        raise
    except Exception as why:  # a malformed description makes the builder fail in any way
        raise _refusal(path, why) from None


def build_from_timm(name: str, input_shape: Sequence[int], classes: int) -> nn.Module:
    """Build a network of timm by its name there, without weights.

    Raises: ModelError where timm does not know it or the extra `timm` is not installed.
    """
    timm = optional("timm", f"the network {TIMM}{name}")
    channels = input_shape[0] if len(input_shape) == 3 else 1
    try:
        with torch.random.fork_rng(devices=[]):
            module = timm.create_model(name, pretrained=False, num_classes=classes, in_chans=channels)
    except Exception as why:
        raise ModelError(f"load_model: timm cannot build {name!r}: {first_line(why)}.") from None
    if not isinstance(module, nn.Module):
        raise ModelError(f"load_model: timm builds a torch.nn.Module, got {type(module).__name__} for {name!r}.")
    return module


def folder_tensors(folder: str | Path) -> dict[str, Tensor]:
    """Read the weights of a folder by their names in `build_from_folder`'s network; shards are joined.

    transformers maps names of older versions to its own. An adapter of peft is merged (peft_folder.py). Tensors that
    the classifier has no place for are left out, as are parameters that the folder does not hold.
    Raises: ModelError where the folder holds no such weights or the extra `transformers` is not installed.
    """
    path = Path(folder)
    transformers = optional("transformers", f"the weights of {path.name}")
    config, own = folder_config(transformers, path), saved_with(path) if is_adapter_folder(path) else {}
    kind, options = _kind(transformers, config, for_texts(path))
    if heads := [value for value in own.values() if value.ndim == 2]:
        config.num_labels = len(heads[-1])  # type: ignore[attr-defined]  # the adapter was trained under this one
        options |= {"ignore_mismatched_sizes": True}
    network, absent = pretrained(transformers, kind, path, {"config": config, **options})
    return {INNER + name: tensor for name, tensor in network.state_dict().items() if name not in absent - own.keys()}


def pretrained(
    transformers: ModuleType, kind: str, folder: Path, options: dict[str, object]
) -> tuple[nn.Module, set[str]]:
    """Return the network of a folder, an adapter merged, and the names of its parameters that the folder does not hold.

    Raises: ModelError where transformers cannot read it.
    """
    bars, said = transformers.logging.is_progress_bar_enabled(), transformers.logging.get_verbosity()
    transformers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()  # what is missing is refused by its name where it is needed
    try:
        with torch.random.fork_rng(devices=[]):
            network, found = getattr(transformers, kind).from_pretrained(
                base_folder(folder), local_files_only=True, use_safetensors=True, trust_remote_code=False,
                output_loading_info=True, **options,
            )  # fmt: skip
            if is_adapter_folder(folder):
                network = merged(optional("peft", f"the adapter {folder.name}"), network, folder)
    except ModelError:
        raise
    except Exception as why:
        raise _refusal(folder, why) from None
    finally:
        transformers.logging.set_verbosity(said)
        if bars:
            transformers.logging.enable_progress_bar()
    return network, {*found["missing_keys"], *(entry[0] for entry in found["mismatched_keys"])}


def holds_network(folder: Path) -> bool:
    """Whether a folder says itself which network it holds."""
    return (folder / CONFIG).is_file() or is_adapter_folder(folder)


def weight_files(path: str | Path) -> tuple[Path | None, tuple[Path, ...]]:
    """Return the index of a sharded checkpoint, where there is one, and its shards in the order of their names.

    path: the index, or a folder without config.json: with an index, or with all shards NAME-0000i-of-0000N, or with
    one file of weights.
    Raises: ModelError where the index is malformed or names files elsewhere, or the folder does not say what is meant.
    """
    place = Path(path)
    index = place if not place.is_dir() else next((i for kind in INDICES for i in sorted(place.glob(kind))), None)
    if index is not None:
        _check_index(index, "*")
        shards = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
        return index, tuple(sorted(index.parent / shard for shard in shards))
    found = next((sorted(files) for kind in SINGLE if (files := list(place.glob(kind)))), [])
    of = [re.fullmatch(r"(.*)-(\d+)-of-(\d+)\.\w+", file.name) for file in found]
    numbers = [int(match[2]) for match in of if match]
    whole = len({(m[1], m[3]) if m else None for m in of}) == 1 and numbers == list(range(1, len(found) + 1))
    if (len(found) == 1 and not numbers) or (whole and of[0] and int(of[0][3]) == len(found)):
        return None, tuple(found)
    raise ModelError(
        f"read_checkpoint: the folder {place.name} has one file of weights, all shards of one, or an index, found "
        f"{', '.join(file.name for file in found[:5]) or 'none'}. Name the file."
    )


def folder_digest(folder: str | Path) -> str:
    """SHA-256, 64 hex digits, over what is read of a folder or of an index: a line `<sha256>  <name>` for each file.

    Lines are in the order of the names. Of an adapter of peft: its two files, and for `base` the digest of the folder
    that it goes with. Of a folder with config.json: that file, every safetensors file and their
    index, and what sentences.py reads, by their paths in the folder. Of any other folder, and of an index: the index,
    where there is one, and the shards.
    Raises: ModelError where a file cannot be read.
    """
    path, lines = Path(folder), []
    if is_adapter_folder(path):
        files, lines = {path / ADAPTER, path / ADAPTER_WEIGHTS}, [f"{folder_digest(base_folder(path))}  base\n"]
    elif (path / CONFIG).is_file():
        files = {path / CONFIG, *(file for pattern in WEIGHTS for file in path.glob(pattern)), *sentence_files(path)}
    else:
        index, shards = weight_files(path)
        files = {*shards, *([index] if index else [])}
    try:
        root = path if path.is_dir() else path.parent
        for name, file in sorted((file.relative_to(root).as_posix(), file) for file in files):
            with open(file, "rb") as stream:
                lines.append(f"{hashlib.file_digest(stream, 'sha256').hexdigest()}  {name}\n")
    except OSError as why:
        raise ModelError(f"folder_digest: {path.name} has readable files ({why.strerror}). Check it.") from None
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def optional(package: str, needed_by: str) -> ModuleType:
    """Import an optional package. Raises: ModelError with the extra to install where that fails."""
    try:
        return importlib.import_module(package)
    except (ImportError, RuntimeError) as why:  # a torchvision of another torch fails with the latter
        raise ModelError(
            f"load_model: {needed_by} needs {package}, which cannot be imported ({first_line(why)}). "
            f"Install the extra: pip install 'pacbound[{package}]'"
        ) from None


def from_hub(name: str) -> str:
    """Say what to do with a name that may be one of the Hugging Face hub; nothing where it cannot be.

    >>> from_hub("resnet.pth"), from_hub("org/model").split(",")[0]
    ('', ' Nothing is fetched: if it is a name of the Hugging Face hub')
    """
    if not HUB_NAME.fullmatch(name) or Path(name).suffix in (".safetensors", ".bin", ".pt", ".pth", ".th", ".json"):
        return ""
    return (
        f" Nothing is fetched: if it is a name of the Hugging Face hub, run hf download {name} --local-dir FOLDER "
        "where there is internet, and give FOLDER."
    )


def _kind(transformers: ModuleType, config: object, texts: bool = False) -> tuple[str, dict[str, object]]:
    """Return the class of transformers that builds what a configuration describes, and its options.

    texts: a classifier of texts, whatever the network was saved as.
    """
    options: dict[str, object] = {"attn_implementation": "eager"}
    named = " ".join(getattr(config, "architectures", None) or ())
    if "ForSequenceClassification" in named or texts:
        return TEXTS, options
    if "ForImageClassification" in named or not hasattr(config, "vocab_size"):
        return IMAGES, options
    built = transformers.MODEL_MAPPING.get(type(config), object)
    if "add_pooling_layer" in inspect.signature(built.__init__).parameters:
        options["add_pooling_layer"] = False  # a layer that the mean over tokens does not read
    return ENCODER, options


def folder_config(transformers: ModuleType, folder: Path) -> object:
    """Read config.json. Raises: ModelError where there is none, or it asks for what is not done here."""
    folder = base_folder(folder)
    try:
        raw = json.loads((folder / CONFIG).read_text("utf-8"))
    except (OSError, ValueError) as why:
        if not folder.exists():
            raise ModelError(
                f"load_model: {FOLDER}FOLDER is a folder on this computer, found none called {folder.name}."
                f"{from_hub(str(folder))}"
            ) from None
        raise ModelError(
            f"load_model: {folder.name} is a folder with {CONFIG} and safetensors, as save_pretrained writes it, "
            f"got {first_line(why)}. For weights alone name the network too, as --model module:callable."
        ) from None
    for index in folder.glob(WEIGHTS[1]):
        _check_index(index, WEIGHTS[0])
    refused = [what for name, what in FOREIGN.items() if (folder / name).exists()]
    if isinstance(raw, dict) and "quantization_config" in raw:
        refused.append("quantized weights; save them in floating point")
    if refused:
        raise ModelError(f"load_model: {folder.name} holds plain weights of one network, got {refused[0]}.")
    try:
        return transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as why:
        raise _refusal(folder, why) from None


def _check_index(index: Path, kind: str) -> None:
    """Refuse shards that `folder_digest` does not cover: of another kind, or elsewhere. Raises: ModelError."""
    try:
        shards = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
        inside = bool(shards) and all(Path(shard).name == shard and Path(shard).match(kind) for shard in shards)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as why:
        raise ModelError(
            f"load_model: {index.name} lists its shards under weight_map, got {why!r}. Save the network again."
        ) from None
    if not inside:
        raise ModelError(
            f"load_model: the shards of {index.name} are files in the folder itself, {kind}, got another place. "
            "Save the network again with save_pretrained(FOLDER)."
        )


def _refusal(folder: Path, why: Exception) -> ModelError:
    return ModelError(
        f"load_model: {folder.name} is read as an image classifier, a text classifier, a text encoder or a "
        f"language model of transformers, without running code of its own, and that failed: {first_line(why)}. "
        "Save it with save_pretrained(FOLDER), or give the file of weights itself, with a network of your own."
    )
