"""The images, each built again only when what it is made of changes."""

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import binaries, buildah, containerd
from e2e.cluster.log import say
from e2e.cluster.paths import IMAGES, ROOT
from e2e.cluster.shell import locked


@dataclass(frozen=True)
class Image:
    """One image and what it is made of."""

    name: str
    folder: Path
    """Where its Dockerfile lies."""
    suite: str | None = None
    """The Debian that it starts from, or nothing."""
    parts: Sequence[str] = (".",)
    """What in the folder decides whether it must be built again."""
    keep_steps: bool = False
    """Keep what its build steps made: it is built often, and its packages change seldom."""


ENGINE = Image("localhost/ondol-engine-cpu:0.32.0", IMAGES / "engine-cpu", "trixie")
LITELLM = Image("localhost/ondol-litellm:1.106.2", IMAGES / "litellm", "trixie")
OPEN_WEBUI = Image("localhost/ondol-open-webui:0.12.4", IMAGES / "open-webui", "bookworm")
OPERATOR = Image(
    "localhost/ondol-operator:dev",
    ROOT,
    "trixie",
    ("Dockerfile", ".dockerignore", "requirements.lock", "pyproject.toml", "operator", "crds"),
    keep_steps=True,
)
PAUSE = Image(containerd.PAUSE_IMAGE, IMAGES / "pause")
COREDNS = Image("localhost/ondol-coredns:1", IMAGES / "coredns")

PRODUCT: Sequence[Image] = (ENGINE, LITELLM, OPEN_WEBUI, OPERATOR)
"""What Ondol itself runs, the one that others wait for first."""

NODE: Sequence[Image] = (PAUSE, COREDNS)
"""What every node runs; made of our binaries."""


def ensure(images: Iterable[Image]) -> None:
    """Build and load what is missing or has changed; containerd must run.

    Raises
    ------
    ClusterError
        When a build or a load fails.
    """
    for image in images:
        if not (image.folder / "Dockerfile").exists():
            say(f"{image.name} is left out: {image.folder}/Dockerfile is not there yet")
            continue
        with locked(image.name.rpartition("/")[2]):
            if containerd.image_key(image.name) != (key := key_of(image)):
                _build(image, key)


def key_of(image: Image) -> str:
    """Return a digest of all that an image is made of."""
    digest = hashlib.sha256(str(image.suite or binaries.directory()).encode())
    for path in sorted(_files(image)):
        digest.update(f"{path.relative_to(image.folder)} {path.stat().st_mode}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _files(image: Image) -> Iterable[Path]:
    for part in image.parts:
        top = image.folder / part
        for path in [top, *top.rglob("*")]:
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def _build(image: Image, key: str) -> None:
    start = time.monotonic()
    args: dict[str, str] = {}
    context = image.folder if image.suite else binaries.directory()
    if image.suite:
        args["BASE"] = buildah.base(image.suite)
    say(f"building {image.name}")
    dockerfile = image.folder / "Dockerfile"
    buildah.build(image.name, dockerfile, context, args=args, keep_steps=image.keep_steps)
    say(f"loading {image.name}, built in {time.monotonic() - start:.0f} s")
    buildah.move_to_containerd(image.name)
    containerd.set_image_key(image.name, key)
    containerd.remove_replaced_images()
    say(f"{image.name} is there, {time.monotonic() - start:.0f} s in all")
