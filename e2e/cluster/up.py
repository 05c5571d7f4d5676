"""Starting the cluster, or bringing it up to date."""

from concurrent.futures import ThreadPoolExecutor

from e2e.cluster import (
    apt,
    binaries,
    check,
    containerd,
    control_plane,
    dns,
    gpus,
    images,
    kind,
    models,
    network,
    node,
    storage,
)
from e2e.cluster.log import say
from e2e.cluster.paths import KUBECONFIG, MODELS
from e2e.cluster.shell import locked


def up(*, gpu_count: int) -> None:
    """Start what does not run, build and load what has changed, and wait until pods can run.

    Raises
    ------
    ClusterError
        When something is missing or does not become ready.
    """
    if kind.wanted():
        kind.up(gpu_count=gpu_count)
        return
    check.ensure(node=True)
    with locked("cluster"):
        _prepare()
        _start(gpu_count)
    say(f"ready; export KUBECONFIG={KUBECONFIG}")
    say(f"models: {MODELS}, as volume ondol-models for the claim demo/models")


def images_only() -> None:
    """Build and load the images of Ondol's parts.

    Raises
    ------
    ClusterError
        When a build or a load fails.
    """
    if kind.wanted():
        kind.load(images.PRODUCT)
        return
    check.ensure(node=True)
    apt.install()
    containerd.start()
    images.ensure(images.PRODUCT)


def models_only() -> None:
    """Prepare the models, and the images first: one of them does the conversion.

    Raises
    ------
    ClusterError
        When something cannot be built or converted.
    """
    images_only()
    if kind.wanted():
        kind.prepare_models()
    else:
        models.prepare()


def load_operator() -> None:
    """Build and load the operator's image only.

    Raises
    ------
    ClusterError
        When the build or the load fails.
    """
    if kind.wanted():
        kind.load([images.OPERATOR])
        return
    containerd.start()
    images.ensure([images.OPERATOR])


def _prepare() -> None:
    """Compile on the one hand and fetch packages on the other: they do not wait for the same."""
    apt.install()
    with ThreadPoolExecutor() as pool:
        compiled = pool.submit(binaries.build)
        fetched = pool.submit(_images_and_models)
        compiled.result()
        fetched.result()
    images.ensure(images.NODE)


def _images_and_models() -> None:
    containerd.start()
    images.ensure(images.PRODUCT)
    models.prepare()


def _start(gpu_count: int) -> None:
    network.set_up()
    control_plane.start()
    node.start()
    gpus.pretend(node.NAME, gpu_count)
    storage.start()
    dns.start()
