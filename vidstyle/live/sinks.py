"""Where live pictures go: a pipe, as YUV4MPEG2, or a local address, as Motion JPEG."""

from __future__ import annotations

import threading
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import BinaryIO, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from vidstyle.errors import OutputError

Pixels = NDArray[np.uint8]
"""(H, W, 3) RGB."""

JPEG_QUALITY = 85
BOUNDARY = "vidstyleframe"


class Sink(Protocol):
    """Takes pictures."""

    def show(self, pixels: Pixels) -> None:
        """Show one picture (H, W, 3)."""
        ...

    def close(self) -> None:
        """End the output."""
        ...


class PipeSink:
    """Writes YUV4MPEG2 with 4:2:0 chroma, which ffmpeg, mpv and others read from a pipe."""

    def __init__(self, stream: BinaryIO, rate: float) -> None:
        self.stream = stream
        self.rate = Fraction(rate).limit_denominator(1001)
        self.size: tuple[int, int] | None = None

    def show(self, pixels: Pixels) -> None:
        """Write one picture; sides of an odd length lose a pixel."""
        height, width = (n // 2 * 2 for n in pixels.shape[:2])
        if self.size is None:
            self.size = (width, height)
            rate = f"F{self.rate.numerator}:{self.rate.denominator}"
            self.stream.write(f"YUV4MPEG2 W{width} H{height} {rate} Ip A1:1 C420jpeg\n".encode())
        planes = cv2.cvtColor(pixels[:height, :width], cv2.COLOR_RGB2YUV_I420)
        self.stream.write(b"FRAME\n")
        self.stream.write(planes.tobytes())
        self.stream.flush()

    def close(self) -> None:
        """The stream is closed by whoever opened it."""


class BrowserSink:
    """Serves the last picture at http://127.0.0.1:PORT/ as Motion JPEG.

    Args:
        port: 0: any that is free.
    """

    def __init__(self, port: int = 0) -> None:
        self.condition = threading.Condition()
        self.jpeg = b""
        self.number = 0
        self.is_closed = False
        sink = self

        class Handler(BaseHTTPRequestHandler):
            """Sends one picture after the other until either side ends it."""

            def do_GET(self) -> None:
                if self.path != "/":
                    self.send_error(404)
                    return
                self.send_response(200)
                kind = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
                self.send_header("Content-Type", kind)
                self.end_headers()
                last = 0
                while (got := sink.wait_for_picture(last)) is not None:
                    last, jpeg = got
                    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\n"
                    head += f"Content-Length: {len(jpeg)}\r\n\r\n"
                    try:
                        self.wfile.write(head.encode() + jpeg + b"\r\n")
                    except OSError:
                        # The browser has gone.
                        return

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        try:
            self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        except OSError as e:
            hint = "another --port, or 0 for any that is free"
            raise OutputError(f"port {port} cannot be used", str(e), hint) from e
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def address(self) -> str:
        """Where it is to be seen."""
        return f"http://127.0.0.1:{self.server.server_address[1]}/"

    def wait_for_picture(self, last: int) -> tuple[int, bytes] | None:
        """Wait for a picture after number `last`; None at the end."""
        with self.condition:
            self.condition.wait_for(lambda: self.is_closed or self.number > last)
            return (self.number, self.jpeg) if self.number > last else None

    def show(self, pixels: Pixels) -> None:
        """Show one picture."""
        quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        _, encoded = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), quality)
        with self.condition:
            self.jpeg = encoded.tobytes()
            self.number += 1
            self.condition.notify_all()

    def close(self) -> None:
        """End the server."""
        with self.condition:
            self.is_closed = True
            self.condition.notify_all()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
