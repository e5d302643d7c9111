"""What the makers of the data sets known by name call their classes; digits are called by their numbers."""

CLASS_NAMES = {
    "fashion-mnist": (
        "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
    ),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}  # fmt: skip


def class_name(data: str, classes: int, label: int) -> str:
    """Return the name of a class, its number where this package knows none.

    >>> class_name("cifar10-86jpeg", 10, 3), class_name("mnist", 10, 3), class_name("cifar10", 2, 1)
    ('cat', '3', '1')
    """
    names = next((CLASS_NAMES[known] for known in CLASS_NAMES if data == known or data.startswith(f"{known}-")), ())
    return names[label] if len(names) == classes else str(label)
