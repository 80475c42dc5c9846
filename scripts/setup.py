"""Make the virtual environment that the Makefile uses; say in one sentence what is missing.

Runs under any Python 3, so that a Python that is too old gets a sentence
instead of a syntax error. Written without f-strings of newer versions.
"""

import argparse
import os
import subprocess
import sys

NEEDED = (3, 11)


def main():
    """Make the environment, or stop with one sentence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("venv")
    parser.add_argument("--extras", default="")
    given = parser.parse_args()
    if sys.version_info[:2] < NEEDED:
        stop(
            "Consilium needs Python 3.11 or newer and this is {}.{}: install a newer one and run "
            "`make PYTHON=python3.11 ...`.".format(*sys.version_info[:2])
        )
    make_environment(given.venv)
    install(given.venv, given.extras)
    for name in {"." + extra for extra in ["base", *given.extras.split(",")] if extra}:
        with open(os.path.join(given.venv, name), "w") as file:
            file.write("installed\n")


def make_environment(folder):
    """Create the virtual environment unless it is there."""
    if os.path.exists(os.path.join(folder, "bin", "python")):
        return
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        stop(
            "This Python has no venv module: install it (Debian and Ubuntu: "
            "`apt install python3-venv`) and run the same command again."
        )
    print("Setting up {} (once; about a minute) ...".format(folder), flush=True)  # noqa: UP032
    venv.create(folder, with_pip=True)


def install(folder, extras):
    """Install Consilium, editable, in the tested versions."""
    what = ".[{}]".format(extras) if extras else "."  # noqa: UP032
    command = [
        os.path.join(folder, "bin", "python"),
        *("-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--constraint", "constraints.txt", "--editable", what),
    ]
    if subprocess.run(command, check=False).returncode != 0:
        stop(
            "The Python packages could not be installed: look at the lines above; the package "
            "index must be reachable (behind a proxy, set HTTPS_PROXY) and the disk must hold 1 GB."
        )


def stop(sentence):
    """Print one sentence and end with an error."""
    print(sentence, file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
