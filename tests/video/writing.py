"""Names of `tests.helpers.writing` at their former place."""

from tests.helpers.writing import *  # noqa: F403
