"""The download of one file from the web, checked before it gets its name; a failed transfer leaves
nothing under the final name.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

DownloadProgress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all: once before the first, then after each block."""

DOWNLOAD_BLOCK_BYTES = 1 << 20

SILENCE_SECONDS = 30.0
"""After as long without a byte a connection is dead."""


class DownloadError(Exception):
    """The reason why a file could not be downloaded, in one line."""


def download_file(
    url: str,
    target: Path,
    sha256_prefix: str,
    size: int,
    progress: DownloadProgress | None = None,
    *,
    timeout: float = SILENCE_SECONDS,
) -> None:
    """Download `url` to `target` by way of `target`.part.

    Args:
        url: the address.
        target: the file to make; its folder is made as well. One that is there is replaced.
        sha256_prefix: the first digits of the file's digest.
        size: bytes in all, for `progress` when the server does not say.
        progress: told of every block.
        timeout: seconds without a byte after which the transfer is given up.

    Raises:
        DownloadError: no connection, an incomplete transfer, another digest, no space.
    """
    part = target.with_name(target.name + ".part")
    if progress:
        progress(0, size)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = _transfer(url, part, size, progress, timeout)
        if not digest.startswith(sha256_prefix):
            raise DownloadError(f"{url} has sha256 {digest[:16]}..., expected {sha256_prefix}")
        part.replace(target)
    except (OSError, HTTPException) as e:
        raise _explain_failure(url, e) from e
    finally:
        part.unlink(missing_ok=True)


def _transfer(
    url: str, part: Path, size: int, progress: DownloadProgress | None, timeout: float
) -> str:
    """Write the body of `url` to `part`, whole and flushed to the disk, and return its sha256."""
    request = Request(url, headers={"User-Agent": "vidstyle"})
    digest = hashlib.sha256()
    done = 0
    with urlopen(request, timeout=timeout) as response, part.open("wb") as out:
        promised = int(response.headers.get("Content-Length", 0))
        while block := response.read(DOWNLOAD_BLOCK_BYTES):
            out.write(block)
            digest.update(block)
            done += len(block)
            if progress:
                progress(done, max(promised or size, done))
        out.flush()
        os.fsync(out.fileno())
    if promised and done != promised:
        raise DownloadError(f"{url} ended after {done} of {promised} bytes")
    return digest.hexdigest()


def _explain_failure(url: str, error: Exception) -> DownloadError:
    """Give the cause in one line, without urllib's `<urlopen error ...>` around it."""
    if isinstance(error, HTTPError):
        # It holds the connection.
        error.close()
    cause = error.reason if type(error) is URLError else error
    return DownloadError(f"{url}: {' '.join(str(cause).split()) or type(cause).__name__}")
