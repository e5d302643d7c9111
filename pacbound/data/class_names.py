"""What the makers of the data sets known by name call their classes; digits are called by their numbers."""

from .examples import Examples

CLASS_NAMES = {
    "fashion-mnist": (
        "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
    ),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}  # fmt: skip


def names_of(examples: Examples) -> tuple[str, ...]:
    """Return what the data set calls its classes: by what it ships with, by this table, or by their numbers."""
    named = examples.labels
    known = [class_name(examples.name, examples.classes, label) for label in range(examples.classes)]
    return (*named, *known[len(named) :])


def class_name(data: str, classes: int, label: int) -> str:
    """Return the name of a class, its number where this package knows none.

    >>> class_name("cifar10-86jpeg", 10, 3), class_name("mnist", 10, 3), class_name("cifar10", 2, 1)
    ('cat', '3', '1')
    """
    names = next((CLASS_NAMES[known] for known in CLASS_NAMES if data == known or data.startswith(f"{known}-")), ())
    return names[label] if len(names) == classes else str(label)
