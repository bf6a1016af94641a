"""The encoding of finished frames into the output."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from vidstyle.errors import Interrupted
from vidstyle.events import Encoding, Report, Stop
from vidstyle.rendering.packing import list_encoded, list_finished
from vidstyle.video.write import FinishedFilm, encode_film

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vidstyle.rendering.job import Job
    from vidstyle.storage.checkpoint import Checkpoint


def delivery_settings(job: Job, store: Checkpoint) -> dict[str, Any]:
    """Name all by which encoded files of the same render differ: what its frames are put together
    from, how they are encoded, and what comes along.
    """
    delivery = job.delivery
    labels = json.dumps(sorted(store.final.labels.items()))
    return {
        "composition": hashlib.sha256(labels.encode()).hexdigest()[:16],
        "codec": delivery.codec,
        "crf": delivery.crf,
        "container": delivery.container,
        "pix_fmt": delivery.pix_fmt,
        # Not named where it is as it was before it could be chosen.
        **({} if job.config.audio == "copy" else {"audio": job.config.audio}),
    }


def deliver(job: Job, store: Checkpoint, report: Report, stop: Stop) -> None:
    """Encode the frames and give the result its name."""
    encode_frames(job, store, report, stop, delivery_settings(job, store))
    store.log(f"delivered {store.output}")


def encode_frames(
    job: Job,
    store: Checkpoint,
    report: Report,
    stop: Stop,
    settings: dict[str, Any],
    pictures: Sequence[Path] = (),
) -> None:
    """Encode the frames, or as many other `pictures`, and give the result its name.

    Args:
        settings: what the record says of the encoded file.
    """

    def on_start(pid: int, temporary: Path) -> None:
        store.save_record(encoder={"pid": pid, "temporary": str(temporary)})

    def on_frame(done: int) -> None:
        if stop():
            raise Interrupted(
                "interrupted while encoding",
                "all frames are done and kept",
                "the same command continues",
                130,
            )
        report(Encoding(done, store.count))

    encoded = [] if pictures else list_encoded(job, store)
    film = FinishedFilm(
        pictures or ([] if encoded else list_finished(job, store)),
        job.rendered_timeline,
        job.delivery,
        job.source,
        sar=job.source.sar,
        trim=job.trim,
        blocks=encoded,
    )
    temporary = encode_film(film, store.folder, on_start, on_frame)
    store.deliver(temporary, settings, overwrite=job.config.overwrite)
