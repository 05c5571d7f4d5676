"""``python3.11 -m e2e.cluster CMD``; run it from the repository's root."""

import argparse
import sys

from e2e.cluster import binaries, check, down, environment, up
from e2e.cluster.log import ClusterError


def main() -> int:
    """Run the command that the arguments name and return the exit code."""
    args = _arguments()
    try:
        _run(args)
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _run(args: argparse.Namespace) -> None:
    match args.command:
        case "check":
            check.ensure(node=True)
        case "binaries":
            check.ensure(node=False)
            print(binaries.build(_wanted(args)))
        case "images":
            up.images_only()
        case "models":
            up.models_only()
        case "up":
            up.up(gpu_count=args.gpus)
        case "load-operator":
            up.load_operator()
        case "down":
            down.down()
        case _:
            print(environment.exports(), end="")


def _wanted(args: argparse.Namespace) -> list[binaries.Binary]:
    if args.purpose != "tests":
        return [*binaries.ALL]
    extra = [binaries.CONTROLLER_MANAGER] if args.with_controller_manager else []
    return [*binaries.FOR_TESTS, *extra]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3.11 -m e2e.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="CMD")
    commands.add_parser("check", help="say what this machine lacks")
    build = commands.add_parser(
        "binaries", help="build Kubernetes; the last line is the folder (KUBEBUILDER_ASSETS)"
    )
    build.add_argument("--for", dest="purpose", choices=("node", "tests"), default="node")
    build.add_argument("--with-controller-manager", action="store_true", help="with --for tests")
    commands.add_parser("images", help="build the images and load them")
    commands.add_parser("models", help="prepare the two small models")
    start = commands.add_parser("up", help="start the cluster, or bring it up to date")
    start.add_argument("--gpus", type=int, default=4, help="pretended GPUs of the node (4)")
    commands.add_parser("load-operator", help="build and load the operator's image only")
    commands.add_parser("env", help="print what a shell must export")
    commands.add_parser("down", help="stop the cluster and leave nothing but the cache")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
