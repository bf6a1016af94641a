"""Brings a checked file from the web to its place; a failed transfer leaves nothing under the final
name.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all."""


CHUNK = 1 << 20


TIMEOUT = 30
"""Seconds without a byte after which the connection counts as dead."""


class DownloadError(Exception):
    """Why there is no file now, in one line."""


def from_web(
    url: str, target: Path, prefix: str, size: int, progress: Progress | None = None
) -> None:
    """Download `url` to `target` by way of `target`.part.

    Args:
        prefix: what the file's sha256 begins with.
        size: bytes in all, for `progress` when the server does not say.

    Raises:
        DownloadError: no connection, an incomplete transfer, another digest, no space.
    """
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            urlopen(Request(url, headers={"User-Agent": "vidstyle"}), timeout=TIMEOUT) as response,
            part.open("wb") as out,
        ):
            promised = int(response.headers.get("Content-Length", 0))
            digest, done = hashlib.sha256(), 0
            while block := response.read(CHUNK):
                out.write(block)
                digest.update(block)
                done += len(block)
                if progress:
                    progress(done, max(promised or size, done))
            out.flush()
            os.fsync(out.fileno())
        if promised and done != promised:
            raise DownloadError(f"{url} ended after {done} of {promised} bytes")
        if not digest.hexdigest().startswith(prefix):
            raise DownloadError(f"{url} has sha256 {digest.hexdigest()[:16]}..., expected {prefix}")
        part.replace(target)
    except (OSError, HTTPException) as e:
        raise _failure(url, e) from e
    finally:
        part.unlink(missing_ok=True)


def from_hub(
    url: str, target: Path, prefix: str, size: int, progress: Progress | None = None
) -> None:
    """The same by torch.hub's own downloader, which tells `progress` only the beginning and the
    end.
    """
    import torch

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if progress:
            progress(0, size)
        torch.hub.download_url_to_file(url, str(target), hash_prefix=prefix, progress=False)
        if progress:
            progress(size, size)
    except (
        OSError,
        HTTPException,
        RuntimeError,
    ) as e:  # RuntimeError is torch.hub's word for another digest
        raise _failure(url, e) from e


def _failure(url: str, e: Exception) -> DownloadError:
    """The cause in one line, without urllib's `<urlopen error ...>` around it."""
    if isinstance(e, HTTPError):
        e.close()  # it holds the connection
    cause = e.reason if type(e) is URLError else e
    return DownloadError(f"{url}: {' '.join(str(cause).split()) or type(cause).__name__}")
