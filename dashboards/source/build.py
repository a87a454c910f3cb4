"""Writes ../grafana/*.json. Needs Python 3 alone.

    python3 dashboards/source/build.py [DIRECTORY]
"""

import json
import pathlib
import sys

import daemon
import drift
import model

HERE = pathlib.Path(__file__).resolve().parent


def main():
    directory = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "grafana"
    for name, part in (("model", model), ("drift", drift), ("daemon", daemon)):
        text = json.dumps(part.build(), indent=2, ensure_ascii=False) + "\n"
        (directory / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
