"""The animals: each a good upstream, or one that goes wrong in one way.

A module holds those of one stage of a connection, `words.py` what nginx says of them. `ALL` is
every one of them by its name.
"""

from sniproxy.testing.zoo.animals import answers, before, certificates, good, settings, sni
from sniproxy.testing.zoo.animals.answers import *  # noqa: F403
from sniproxy.testing.zoo.animals.before import *  # noqa: F403
from sniproxy.testing.zoo.animals.certificates import *  # noqa: F403
from sniproxy.testing.zoo.animals.good import *  # noqa: F403
from sniproxy.testing.zoo.animals.settings import *  # noqa: F403
from sniproxy.testing.zoo.animals.sni import *  # noqa: F403
from sniproxy.testing.zoo.animals.words import *  # noqa: F403
from sniproxy.testing.zoo.behaviour import Upstream

ALL: dict[str, Upstream] = {
    value.name: value
    for module in (good, sni, before, certificates, settings, answers)
    for value in vars(module).values()
    if isinstance(value, Upstream)
}
