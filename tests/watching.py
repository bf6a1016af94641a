"""Names of `tests.helpers.decoding` at their former place."""

from tests.helpers.decoding import *  # noqa: F403
