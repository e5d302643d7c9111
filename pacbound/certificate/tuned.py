"""Data sets on which this package's default settings were chosen: known by name, and under any other by their digest
or by the fingerprints of their inputs (data/likeness.py).

A look at them costs 8 bits in the ledger, whoever loads them and whatever the file is called.
"""

import re
from typing import Literal

TUNED_ON = ("digits", "mnist", "fashion-mnist", "cifar10", "cifar10-86jpeg")
ALTERED = "."  # between the name of a data set and what was done to it
ALTERATION = re.compile(r"(?P<kind>rotated|permuted|random_labels)(?:_(?P<seed>0|[1-9][0-9]{0,8}))?", re.ASCII)
TunedName = Literal["digits", "mnist", "fashion-mnist", "cifar10"]  # that data/likeness.py recognises

# digest of a sample (certificate/FORMAT.md) as the registry reads it, without its channel, and flat -> its name
DIGESTS = {
    "20f1b3068b9c209023c4ab2f5bce41df18d355456be5336be0926a1ba90a7363": "digits",  # train, (1437, 1, 8, 8)
    "a3c401aa82158b76052cfb70cea961796f2bbb9bbadffcae7bdb46fc92a3de1a": "digits",  # train, (1437, 8, 8)
    "c9f29e905bf46416713bf045012bbd6913bc7cfb42da995c9d5ec5ddf68ddf53": "digits",  # train, (1437, 64)
    "cba65624a291cd90103410dd65a420607fc378aaebd751db792354f6aa3899e2": "digits",  # test, (360, 1, 8, 8)
    "402e50a8e7c525624bc22443068c0c3299ce0bb409f177a5650da659bf64fc4f": "digits",  # test, (360, 8, 8)
    "92e15ede2a63794de6d82fce66b8537a7ef536f7820f5b8a092c05de8c11db6c": "digits",  # test, (360, 64)
    "03bdb62c7f3f897c168070dfa34a1e4e9700733eac0030b4cd5e639c252ca914": "mnist",  # train, (60000, 1, 28, 28)
    "99d82ab68429198d2779b40ba4bf90ac94704b9ac9dd080bf932c7c40c3a36ee": "mnist",  # train, (60000, 28, 28)
    "f10641fe51bef1b22c9b1227367f8876ee8491dbf312da74b90e57bdf6fdda7f": "mnist",  # train, (60000, 784)
    "bf7e93e2e748f1ed4ee143d3fec1c83db52773fb83b4a0fd36b94779c7b0701d": "mnist",  # test, (10000, 1, 28, 28)
    "d18a712f79ea44f4153caaaeadd8cff1770a9cb0006e5f341b1119165a4def6c": "mnist",  # test, (10000, 28, 28)
    "071a0d60a46b32874546b223508430cd18d1b43ce90ca633b1ba5eb8f36e12d0": "mnist",  # test, (10000, 784)
    "e2be7deac2a336f3f499347416f8b651da082a1c6bb135dadc02b68c0e0dfab6": "fashion-mnist",  # train, (60000, 1, 28, 28)
    "de0e3ca38fc5a11e9b2c996cef7ffc5c9bd74bc14d8d5a0c81487bc686366fa4": "fashion-mnist",  # train, (60000, 28, 28)
    "d7fc24b3583396cbab36151569fecb6c36ea4fa1b2afdd6e2fc5c548c51cedc9": "fashion-mnist",  # train, (60000, 784)
    "df0e52cec2432cb876da3132b3712f2fc5bbb9185164de906c6ac926b88891bb": "fashion-mnist",  # test, (10000, 1, 28, 28)
    "b35dd971ab86909bd0ea4204021a117c04e08b42a2aead38f1df5d8ff2dff000": "fashion-mnist",  # test, (10000, 28, 28)
    "23e6c8c9d16de765007586f6f4cc98ff2a46c2bebdec5e96368f432dfd5d9d72": "fashion-mnist",  # test, (10000, 784)
    "147e403d9008a01cd1c9135b2db9c0cf83588e34f1f1860bb8959e5066de6a45": "cifar10-86jpeg",  # train, (50000, 3, 32, 32)
    "441505f5e8eb44fade41d5089cddbff9306794db39495b7069c4916e0986d444": "cifar10-86jpeg",  # test, (10000, 3, 32, 32)
    "b0d02754cfefaefb0d8722f5ac65dfe84ef65e1ab07d959066f1f69f22f2c126": "digits",  # all, (1797, 64), float64
    "1caa431ccc459b9ca8b3ababf7b112bae59a549322c50551e074464d2eee4d97": "digits",  # all, (1797, 8, 8), float64
}


def tuned_on(name: str, digest: str, like: str | None = None) -> str | None:
    """Return the data set that was looked at; None where it is none.

    name, digest: of a sample. like: the data set that its inputs were recognised as.

    >>> tuned_on("mnist", "0" * 64), tuned_on("my-own", "0" * 64), tuned_on("my-own", "0" * 64, "digits")
    ('mnist', None, 'digits')
    """
    return named_after(name) or DIGESTS.get(digest, like)


def named_after(name: str) -> str | None:
    """Return the data set that a name says was looked at, itself or altered (data/altered.py), None where it says none.

    >>> named_after("mnist"), named_after("mnist.rotated"), named_after("mnist-like")
    ('mnist', 'mnist', None)
    """
    first = name.partition(ALTERED)[0]
    return first if first in TUNED_ON else None


def check_like(name: str, like: str | None) -> None:
    """Refuse a likeness beside a name that says as much. Raises: ValueError."""
    if like is not None and named_after(name) is not None:
        raise ValueError(f"like is left out where the name says what was looked at, got {like} beside {name}")
