"""Test a wheel as `cibuildwheel` does: installed alone, with copies of the tests elsewhere.

Usage: python .ci/wheel_test.py WHEEL. The settings are those of ``[tool.cibuildwheel]`` in
pyproject.toml. No Rust is on the path, and nothing is built.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent


def main(wheel: Path) -> int:
    """Install *wheel* in a new environment, run the tests there, and return their exit code."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    settings = project["tool"]["cibuildwheel"]
    with tempfile.TemporaryDirectory(prefix="wheel-test-") as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        scripts = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
        path = [str(scripts), *filter(_without_rust, os.get_exec_path())]
        environment = {**os.environ, "PATH": os.pathsep.join(path)}
        environment.pop("PYTHONPATH", None)
        (folder / "sources").mkdir()
        for source in settings["test-sources"]:
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy2
            copy(ROOT / source, folder / "sources" / source)
        extras = ",".join(settings["test-extras"])
        install = "python -m pip install --quiet --disable-pip-version-check --only-binary :all:"
        for command in (
            [*install.split(), f"{wheel.resolve()}[{extras}]"],
            shlex.split(settings["test-command"]),
        ):
            program = shutil.which(command[0], path=environment["PATH"])
            assert program is not None, f"{command[0]} is not on the path"
            code = subprocess.run(
                [program, *command[1:]], cwd=folder / "sources", env=environment
            ).returncode
            if code:
                return code
    return 0


def _without_rust(folder: str) -> bool:
    return not any(shutil.which(program, path=folder) for program in ("cargo", "rustc"))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1])))
