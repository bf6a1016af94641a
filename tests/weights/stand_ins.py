"""Names of `tests.helpers.weight_files` at their former place."""

from tests.helpers.weight_files import *  # noqa: F403
