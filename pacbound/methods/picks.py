"""Method picks: a fixed learner makes the network from a few examples, and the certificate says which.

Sample compression by pick-to-learn: picking/selection.py runs it, bounds/preference.py is the theorem.
"""

from dataclasses import replace

from pydantic import ValidationError

from ..certificate.schema import Certificate
from ..data.preprocess import shape_after
from ..errors import RequestError
from ..models.others import failures
from ..networks.captured import Frozen
from ..picking.augment import fitting, usual
from ..pipeline.capturing import frozen_of
from ..pipeline.finish import Finished, beside, environment, issue
from ..pipeline.picked import affordable, best_round, bind, bound_of, finish_picked, select
from ..pipeline.preparation import Setup, prepare
from ..request.request import PICK_OPTIONS, Request, refuse_options
from ..specs.grammar import OWN_NETWORK
from ..specs.picks import RecipeSpec
from ..stages import clocked, counted
from ..training.state import Checkpoint
from .work import Work, refuse_surrogate_options, with_theta0

MOST_SHARE = 4  # by default at most a quarter of the sample is picked
UNREAD = (
    "theorem", "posterior", "earlier_draws", "d", "projector", "layer_scale", "encoder", "step", "levels",
    "codebook_init", "code", "epochs", "batch", "rate", "beta", "encoder_seed", "encoder_seeds",
)  # fmt: skip


def picks(work: Work) -> Certificate:
    """Return the certificate of the size of T with the fewest picks and errors together.

    Raises: RequestError for options of other methods; other PacboundErrors with the reason of a refusal.
    """
    with counted() as times:
        with clocked("preparation"):
            setup, recipe = chosen(work)
        with failures("certify", setup.model == OWN_NETWORK):
            setup = with_theta0(work, setup)
            finished = run(setup, recipe, Checkpoint(work.state, setup.key), work.progress)
            with clocked("counting"):
                also = beside(setup, finished, work.progress)
            made = environment(times.seconds(), 0, (*setup.base.notes, *setup.notes))
            return issue(setup, finished, made, also)


def chosen(work: Work) -> tuple[Setup, RecipeSpec]:
    """Fix theta0 and the learner. Raises: RequestError for options of other methods, or outside the menus."""
    refuse_surrogate_options(work.request, work.unlabelled)
    _refuse_unread(work)
    recipe_of(work.request, ())  # before anything is loaded
    setup = prepare(work.model, work.train, work.test, work.request, "zero_one", work.data_dir)
    shape = shape_after(setup.train.x, setup.preprocess)
    recipe = recipe_of(work.request, shape, isinstance(frozen_of(setup), Frozen))
    return replace(setup, methods=work.methods, sweep=work.sweep), _check_fits(recipe, shape)


def run(setup: Setup, recipe: RecipeSpec, checkpoint: Checkpoint, progress: bool = True) -> Finished:
    """Run a selection and count the errors of the best of its networks."""
    with clocked("picking"):
        selection = bind(setup, recipe, checkpoint.path)
        last = checkpoint.note("last", lambda: [affordable(selection, most_picks(setup), setup.request.budget)])[0]
        selected = select(selection, last, checkpoint, progress, bound_of(setup, recipe))
        taken = best_round(selection, selected)
    with clocked("counting"):
        return finish_picked(setup, selection, taken, selected, progress)


def recipe_of(request: Request, shape: tuple[int, ...], frozen: bool = False) -> RecipeSpec:
    """Return the learner that a request asks for; augmentation follows the shape of an example where nobody says.

    frozen: whether all before the trained part is: then there is none, and what reaches that part is computed once.

    Raises: RequestError outside the menus.
    """
    given = {field: value for name, field in PICK_OPTIONS.items() if (value := getattr(request, name)) is not None}
    given.setdefault("augmentation", "none" if frozen else usual(shape, "elastic"))
    device = "cuda" if request.device == "cuda" else "cpu"
    try:
        return RecipeSpec.model_validate({**given, "seed": request.seed, "device": device})
    except ValidationError as cause:
        raise RequestError(f"picks: {cause.errors()[0]['msg'].removeprefix('Value error, ')}.") from None


def _check_fits(recipe: RecipeSpec, shape: tuple[int, ...]) -> RecipeSpec:
    """Return the recipe. Raises: RequestError where its augmentation is for examples of another shape."""
    if fitting(recipe.augmentation, shape):
        return recipe
    raise RequestError(
        f"picks: the augmentation {recipe.augmentation} is for images, (height, width) or (channels, height, width), "
        f"got examples {shape}. Leave --augmentation out."
    )


def most_picks(setup: Setup) -> int:
    """Return how many examples may be picked: what was asked for, or a quarter of them."""
    most = setup.request.max_picks
    return max(1, setup.train.n // MOST_SHARE) if most is None else most


def refuse_options_of_codes(request: Request) -> None:
    """Refuse what only a network that is coded has a use for. Raises: RequestError."""
    refuse_options(request, UNREAD, "is for networks that are coded, not for picked examples", "picks")


def _refuse_unread(work: Work) -> None:
    """Refuse what this method has no use for. Raises: RequestError."""
    refuse_options_of_codes(work.request)
    if work.loss not in (None, "zero_one") or work.request.loss != "zero_one":
        raise RequestError("picks: an example is misclassified or not, so the loss is zero_one. Leave --loss out.")
