"""Names of `tests.helpers.films` at their former place."""

from tests.helpers.films import *  # noqa: F403
