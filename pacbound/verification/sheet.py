"""The picked examples as pictures: the first and the last of them, in the order in which they were picked.

The sample is the reader's own, and is seen to be the one that the certificate names before anything is drawn.
"""

import base64
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..certificate.schema import Certificate
from ..errors import CertificateError, DataError, RequestError
from ..reports.complaint import complaint
from ..reports.image_files import check_figure_path, save_figure
from ..reports.picked import Strip, Thumbnail
from .recount import EMBEDDED_DATA, load_sample
from .samples import check_data, parts_of_split

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..data.examples import Examples

MOST = 40  # examples of each end
COLUMNS = 10
CELL = (0.78, 0.98)  # width and height of a picture with its label, in inches
HEAD = 0.35  # inches above each block
DARK_ON_LIGHT = ("ink", "digits")  # treatments of pictures whose 0 is paper
CHANNELS = (1, 3)


class Picture(NamedTuple):
    """One picked example: its place in the order of picking from 1, its place in the sample from 0, pixels, label.

    pixels: (height, width) or (height, width, 3), float in [0, 1].
    """

    rank: int
    place: int
    pixels: NDArray[np.float64]
    label: str


class Block(NamedTuple):
    """Pictures under one heading."""

    heading: str
    pictures: tuple[Picture, ...]


def picked_pictures(certificate: Certificate, data: object = None, data_dir: str | Path | None = None) -> list[Block]:
    """Return the first and the last MOST picked examples as pictures, each at most once.

    Args: certificate: of picks. data: as verify takes it; an embedded data set needs none. data_dir: as for verify.
    Raises: RequestError where there are no picks or no data; DataError where the data are not those of the certificate
    or no pictures; CertificateError where the picks do not stand.
    """
    part = certificate.picks
    if part is None or not part.picked:
        lacking = "picked none" if part is not None else "is of another kind"
        raise RequestError(f"sheet: it shows picked examples, and this certificate {lacking}. Certify by picks.")
    if wrong := complaint(certificate):
        raise CertificateError(f"sheet: the certificate does not stand: {wrong}.")
    examples = _sample(certificate, data, data_dir)
    pictures = _pictures(examples, part.order(certificate.risk.n))
    first, last = pictures[:MOST], pictures[max(MOST, len(pictures) - MOST) :]
    head = (
        f"The first {len(first)} of {part.picked:,} picks from {certificate.risk.n:,} examples of "
        f"{certificate.data.name}: label above, place in the sample below"
    )
    blocks = [Block(head, tuple(first))]
    if last:
        blocks.append(Block(f"The last {len(last)}: picks {last[0].rank:,} to {part.picked:,}", tuple(last)))
    return blocks


def thumbnails(certificate: Certificate, data: object = None, data_dir: str | Path | None = None) -> tuple[Strip, ...]:
    """Return the same pictures for a page, each within its own address. Raises: as `picked_pictures`."""
    return tuple(
        Strip(
            block.heading,
            tuple(Thumbnail(_address(one.pixels), one.label, f"no. {one.place:,}") for one in block.pictures),
        )
        for block in picked_pictures(certificate, data, data_dir)
    )


def _address(pixels: NDArray[np.float64]) -> str:
    """A picture as a data: URL. Raises: RequestError where Pillow is missing."""
    try:
        from PIL import Image
    except ImportError:
        raise RequestError("sheet: Pillow is not installed. Install pacbound[report].") from None
    content = BytesIO()
    Image.fromarray(np.round(255 * pixels).astype(np.uint8)).save(content, "PNG")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode('ascii')}"


def draw_sheet(
    certificate: Certificate, path: str | Path, data: object = None, data_dir: str | Path | None = None
) -> None:
    """Draw the first and the last picked examples, with their labels and places in the sample, into a file.

    Args: path: a .png, .svg or .pdf file. The others: as of `picked_pictures`.
    Raises: as `picked_pictures`; RequestError where matplotlib is missing or the file cannot be written.
    """
    check_figure_path(Path(path))
    blocks = picked_pictures(certificate, data, data_dir)
    rows = [-(-len(block.pictures) // COLUMNS) for block in blocks]
    heights = [HEAD + CELL[1] * count for count in rows]

    def draw(figure: "Figure") -> None:
        parts = figure.subfigures(len(blocks), 1, height_ratios=heights, squeeze=False)[:, 0]
        for part, block, count in zip(parts, blocks, rows, strict=True):
            part.suptitle(block.heading, x=0.01, ha="left", fontsize=10)
            cells = part.subplots(count, COLUMNS, squeeze=False).flat
            for axes, picture in zip(cells, block.pictures, strict=False):
                _draw_picture(axes, picture)
            for axes in part.axes[len(block.pictures) :]:
                axes.set_axis_off()

    save_figure(draw, (CELL[0] * COLUMNS, sum(heights)), Path(path))


def _draw_picture(axes: "Axes", picture: Picture) -> None:
    axes.imshow(picture.pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color="0.8", linewidth=0.5)
    axes.set_title(picture.label, fontsize=8, pad=2)
    axes.set_xlabel(f"no. {picture.place:,}", fontsize=5.5, color="0.45", labelpad=2)


def _sample(certificate: Certificate, data: object, data_dir: str | Path | None) -> "Examples":
    """The examples that the picks are of. Raises: RequestError, DataError."""
    name = certificate.data.name
    if data is None and name not in EMBEDDED_DATA:
        raise RequestError(f"sheet: the examples are not in the certificate, which is about {name}. Give --data.")
    whole = load_sample(certificate, data, data_dir)
    (finding,) = check_data(certificate, whole)
    examples = whole
    if finding.complaint is None and certificate.hypothesis.base.split is not None:
        _, examples, finding = parts_of_split(certificate, whole)
    if finding.complaint is not None:
        raise DataError(f"sheet: {finding.complaint}. Give the sample that was certified.")
    return examples


def _pictures(examples: "Examples", order: NDArray[np.int64]) -> list[Picture]:
    """Both ends of the order, in order. Raises: DataError where the inputs are no pictures."""
    from ..data.class_names import class_name
    from ..data.mixed import of_one_shape

    shape = examples.shape
    if len(shape) not in (2, 3) or min(shape[-2:]) < 2 or (len(shape) == 3 and shape[0] not in CHANNELS):
        raise DataError(
            f"sheet: pictures have shape (height, width) or (1 or 3, height, width), got inputs of shape {shape}. "
            "There is nothing to look at."
        )
    ranks = np.unique(np.r_[: min(MOST, len(order)), max(0, len(order) - MOST) : len(order)])
    chosen = order[ranks]
    x = of_one_shape(examples.x, "shown")[chosen].numpy().astype(np.float64)  # (m, ...)
    low = float(x.min()) if examples.x.dtype.is_floating_point else 0.0
    x = (x - low) / ((float(x.max()) - low) or 1.0)
    x = 1 - x if examples.preprocess in DARK_ON_LIGHT else x
    pixels = x.transpose(0, 2, 3, 1) if shape[0] == 3 and len(shape) == 3 else x.reshape(len(x), *shape[-2:])
    labels = examples.y[chosen].tolist()
    return [
        Picture(int(rank) + 1, int(place), image, class_name(examples.name, examples.classes, label))
        for rank, place, image, label in zip(ranks, chosen, pixels, labels, strict=True)
    ]
