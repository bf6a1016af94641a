"""The style loss. Every module of this folder is imported here, so that each style term registers
itself (`term.register_style_term`): a new term takes one new file.
"""

from __future__ import annotations

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
