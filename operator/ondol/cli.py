"""The command `ondol`."""

import argparse
import asyncio
import logging
import sys

from kubernetes.aio.config import ConfigException
from pydantic import ValidationError

from ondol import __version__, app
from ondol.cluster.client import ApiError
from ondol.cluster.lease import LeaseLostError
from ondol.settings import Settings


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="ondol", description=__doc__)
    parser.add_argument("--version", action="version", version=f"ondol {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="run the operator; settings are ONDOL_* variables")
    parser.parse_args(argv)
    return _run()


def _run() -> int:
    try:
        settings = Settings()
    except ValidationError as error:
        for wrong in error.errors():
            name = "ONDOL_" + "_".join(str(part) for part in wrong["loc"]).upper()
            print(f"{name}: {wrong['msg']}", file=sys.stderr)
        return 2
    logging.basicConfig(
        level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        asyncio.run(app.run(settings))
    except (ApiError, ConfigException, LeaseLostError) as error:
        print(f"ondol: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
