"""The command: see the package's docstring."""

import sys

from .generate import TARGET, generated, stale


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print("usage: python -m tools.schema [--check]", file=sys.stderr)
        return 2
    write = not arguments
    produced = generated()
    changed = [name for name, content in produced.items() if not _same(name, content)]
    gone = stale(produced)
    for name in changed:
        print(f"{'wrote' if write else 'differs'}: {name}")
        if write:
            path = TARGET / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(produced[name])
    for name in gone:
        print(f"{'removed' if write else 'no longer produced'}: {name}")
        if write:
            (TARGET / name).unlink()
    return 1 if not write and (changed or gone) else 0


def _same(name: str, content: bytes) -> bool:
    path = TARGET / name
    return path.exists() and path.read_bytes() == content


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
