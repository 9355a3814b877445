"""`python -m pipeline.prepare`."""

import argparse
import re
import tempfile
from pathlib import Path

from pipeline.core import paths
from pipeline.core.command import command
from pipeline.core.errors import PipelineError
from pipeline.core.locks import exclusive

RESERVED = ("fer2013", "synthetic", "null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf")
"""Names that are taken, and words that YAML or Hydra do not read as text."""


@command
def main(arguments: list[str]) -> None:
    """Write data/own/NAME.zip and conf/data/NAME.yaml: a dataset of pictures in folders by class, or of a table."""
    args = _parser().parse_args(arguments)
    _check(args)
    from pipeline.prepare import summary, writing
    from pipeline.prepare.understanding import Options, understand

    options = Options(
        inside=args.inside,
        mapped=_mapped(args.map),
        keep_names=args.keep_names,
        val_share=args.val_share,
        test_share=args.test_share,
        seed=args.seed,
        skip_broken=args.skip_broken,
    )
    with exclusive(paths.data_lock(args.name), f"a command on the dataset {args.name}"):
        target, option = paths.own(args.name), writing.option(args.name)
        if not args.force and (taken := [str(path) for path in (option, target) if path.exists()]):
            raise PipelineError(
                f"{' and '.join(taken)} exist; accepted: another --name, or --force, which replaces them"
            )
        with tempfile.TemporaryFile(dir=paths.HOME) as pixels:  # has no name: nothing of it can be left
            found = understand(args.source, options, pixels)
            facts = summary.facts(args.source, found, args.seed)
            print("\n".join([*facts, *summary.table(found.counts())]))
            if args.dry_run:
                return
            data = writing.write(found, pixels, args.name, ["Written by `python -m pipeline.prepare`.", *facts])
    print(f"{target}, SHA-256 {str(data.sha256)[:12]}\n{option}\n{summary.commands(args.name)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.prepare", description=main.__doc__)
    source = "a folder, .zip, .tar or .tar.gz of pictures in folders by class, or a .csv table; it is only read"
    parser.add_argument("source", type=Path, metavar="FOLDER_OR_ARCHIVE", help=source)
    parser.add_argument("--name", required=True, help="the dataset's name, for data=NAME")
    inside = "read only what is in this folder of the source"
    parser.add_argument("--inside", default="", metavar="FOLDER", help=inside)
    given = "call the class OLD of the source NEW; may be repeated"
    parser.add_argument("--map", action="append", default=[], metavar="OLD=NEW", help=given)
    keep = "keep names such as anger and fearful, which otherwise become FER-2013's angry and fear"
    parser.add_argument("--keep-names", action="store_true", help=keep)
    for split in ("val", "test"):
        share = f"share of the training images that becomes {split}, if the source has none; 0.1 by default"
        parser.add_argument(f"--{split}-share", type=float, metavar="SHARE", help=share)
    parser.add_argument("--seed", type=int, default=42, help="of the choice of these images; by default %(default)s")
    parser.add_argument("--skip-broken", action="store_true", help="leave out pictures that cannot be read")
    parser.add_argument("--dry-run", action="store_true", help="show what is understood, and write nothing")
    parser.add_argument("--force", action="store_true", help="replace the dataset of this name")
    return parser


def _check(args: argparse.Namespace) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", args.name) or args.name in RESERVED:
        raise PipelineError(
            f"--name {args.name}; accepted: small letters, digits and _, a letter first, but not {', '.join(RESERVED)}"
        )
    shares = [share for share in (args.val_share, args.test_share) if share is not None]
    if not all(0 < share < 1 for share in shares) or sum(shares) >= 1:
        raise PipelineError("--val-share and --test-share; accepted: above 0, and below 1 together")
    if not 0 <= args.seed < 2**32:
        raise PipelineError(f"--seed {args.seed}; accepted: 0 to {2**32 - 1}")
    if not args.source.exists():
        raise PipelineError(f"{args.source} does not exist; accepted: a folder, an archive or a table")


def _mapped(given: list[str]) -> dict[str, str]:
    """Return the classes that --map states; raise PipelineError if one is no name of a class."""
    from pipeline.prepare.names import class_of

    mapped: dict[str, str] = {}
    for text in given:
        old, found, new = text.partition("=")
        if not old or not found or class_of(new) != new:
            raise PipelineError(f"--map {text}; accepted: OLD=NEW, NEW in small letters, as in --map 7=contempt")
        if mapped.setdefault(old, new) != new:
            raise PipelineError(f"--map {text}, after --map {old}={mapped[old]}; accepted: one name for each class")
    return mapped


if __name__ == "__main__":
    main()
