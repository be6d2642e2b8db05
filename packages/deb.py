"""``python -m packages.deb WHEEL``: a Debian package of the wheel with all that it needs beside it,
in an environment of its own. Packed with dpkg-deb alone, and installed without a network.

The dependencies are those that packages/requirements.txt pins, as wheels for one version of Python,
since those with compiled parts fit no other. That need not be the Python that this runs on."""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from email.parser import HeaderParser
from email.utils import formatdate
from pathlib import Path
from zipfile import ZipFile

from daemon.cli.units import MADE_BY, SYSUSERS, units
from daemon.starter import new_file, settings_text

HERE = Path(__file__).parent
SCRIPTS = HERE / "debian"
PINS = HERE / "requirements.txt"

PROGRAM = Path("/usr/bin/dispatchd")
LIB = "usr/lib/dispatchd"
DOC = "usr/share/doc/dispatchd"
SCHEMAS = "usr/share/dispatchd/schemas"
MAINTAINER = "The dispatchd authors <dispatchd@users.noreply.github.com>"
OURS = "# Of the package dispatchd: change it by `systemctl edit`."

PLATFORMS = {"amd64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
"""Debian's names of architectures, and uv's of what runs there: with glibc 2.28 or later."""

CONTROL = """\
Package: dispatchd
Version: {version}
Architecture: {architecture}
Maintainer: {maintainer}
Installed-Size: {size}
Depends: {depends}
Section: admin
Priority: optional
Description: schedules and webhooks that reliably start GitHub Actions workflows
 A daemon that turns cron schedules and third-party webhooks into
 repository_dispatch calls of GitHub. It records every firing and every
 delivery before it acknowledges it, sends each at least once, and follows it
 to the workflow run that it starts, or says why there is none.
"""

DEPENDS = (
    "ca-certificates",
    "init-system-helpers (>= 1.54~)",
    "libc6 (>= 2.28)",
    "libgcc-s1",
    "libstdc++6",
    "python3 (>= {python}~)",
    "python3 (<< {next_python})",
    "systemd (>= 252~)",
)

PYVENV = """\
home = /usr/bin
include-system-site-packages = false
version = {python}
"""

COMMAND = """\
#!/{lib}/bin/python3 -P
from daemon.cli import main

main()
"""

CHANGELOG = """\
dispatchd ({version}) unstable; urgency=medium

  * What is new in this version is in changelog.gz.

 -- {maintainer}  {date}
"""

COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: dispatchd

Files: *
Copyright: 2026 the dispatchd authors
License: Expat

{bundled}
License: Expat
{licence}
"""


def main() -> None:
    given = arguments()
    version = f"{_debian(given.wheel)}-1+py{given.python}"
    architecture = _output("dpkg", "--print-architecture").strip()
    given.output.mkdir(parents=True, exist_ok=True)
    package = given.output / f"dispatchd_{version}_{architecture}.deb"
    with tempfile.TemporaryDirectory() as name:
        root = Path(name, "dispatchd")
        os.umask(0o022)
        _environment(root, given.wheel, given.python, PLATFORMS[architecture])
        _units(root)
        _config(root)
        _documents(root, version)
        _control(root, version, architecture, given.python)
        _output("dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(root), str(package))
    print(package)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m packages.deb", description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--python", default="3.11", help="as Debian 12 has (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("dist"), help="where to (%(default)s)")
    return parser.parse_args()


def _environment(root: Path, wheel: Path, python: str, platform: str) -> None:
    """The virtual environment, written by hand: venv would have it run what is here."""
    lib = root / LIB
    site = lib / "lib" / f"python{python}" / "site-packages"
    install = [
        *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(site)),
        *("--python-version", python, "--python-platform", platform, "--link-mode=copy"),
        *("--no-build", "--no-deps"),
    ]
    _output(*install, "--require-hashes", "--requirement", str(PINS))
    # By its name: a file would be remembered with the path that it has here.
    found = ["--no-index", "--find-links", str(wheel.parent.absolute())]
    _output(*install, *found, f"dispatchd=={_version(wheel)}")
    shutil.move(site / "share", root / "usr" / "share")
    shutil.rmtree(site / "bin")
    # What uv notes for itself differs each time.
    for note in (*site.glob("*.lock"), *site.glob("*.dist-info/uv_cache.json")):
        note.unlink()
    (lib / "bin").mkdir()
    (lib / "bin" / "python3").symlink_to(f"../../../bin/python{python}")
    _write(lib / "pyvenv.cfg", PYVENV.format(python=python))
    _write(lib / "bin" / "dispatchd", COMMAND.format(lib=LIB), mode=0o755)
    (root / "usr" / "bin").mkdir()
    (root / "usr" / "bin" / "dispatchd").symlink_to(f"../lib/{Path(LIB).name}/bin/dispatchd")
    (root / SCHEMAS).parent.mkdir()
    schemas = os.path.relpath(site / "daemon" / "schemas", (root / SCHEMAS).parent)
    (root / SCHEMAS).symlink_to(schemas)
    share = root / "usr" / "share"
    (share / "zsh" / "site-functions").rename(share / "zsh" / "vendor-completions")
    for path in root.rglob("*"):  # a wheel may say otherwise
        if path.is_file() and not path.is_symlink():
            path.chmod(0o755 if path.parent == lib / "bin" else 0o644)


def _units(root: Path) -> None:
    """The same that `dispatchd service install` writes, where packages have theirs."""
    texts = units(PROGRAM, "127.0.0.1:8080", user=False, home=Path("/"))
    for path, text in texts.items():
        below = "sysusers.d" if path == SYSUSERS else "systemd/system"
        _write(root / "usr" / "lib" / below / path.name, text.replace(MADE_BY, OURS))


def _config(root: Path) -> None:
    etc = root / "etc" / "dispatchd"
    for kind in ("crons", "triggers"):
        _write(etc / f"{kind.upper()}.json", new_file(kind, f"/{SCHEMAS}/{kind}.json"))
    _write(etc / "DAEMON.yaml", settings_text())
    (etc / "secrets").mkdir(mode=0o700)


def _documents(root: Path, version: str) -> None:
    doc = root / DOC
    for page in (root / "usr" / "share" / "man").glob("*/*"):
        _zip(page, page.read_text())
        page.unlink()
    _zip(doc / "changelog", (HERE.parent / "CHANGELOG.md").read_text("utf-8"))
    date = formatdate(_instant(), localtime=False)
    entry = CHANGELOG.format(version=version, maintainer=MAINTAINER, date=date)
    _zip(doc / "changelog.Debian", entry)
    _write(doc / "copyright", _copyright(root))
    shutil.copy(SCRIPTS / "README.Debian", doc)
    overrides = root / "usr" / "share" / "lintian" / "overrides" / "dispatchd"
    _write(overrides, (SCRIPTS / "lintian-overrides").read_text())


def _copyright(root: Path) -> str:
    """With each package of PyPI, its version and its licence as it names that."""
    paragraphs = []
    for metadata in sorted((root / LIB).glob("lib/*/site-packages/*.dist-info/METADATA")):
        found = HeaderParser().parsestr(metadata.read_text("utf-8"))
        if found["Name"] == "dispatchd":
            continue
        terms = found["License-Expression"] or _classified(found.get_all("Classifier", []))
        said = terms or (found["License"] or "see its files").splitlines()[0]
        inside = metadata.parent.relative_to(root)
        paragraphs.append(
            f"Files: {inside}/*\nCopyright: the authors of {found['Name']}\n"
            f"License: {found['Name']}-{found['Version']}\n"
            f" {said}; its text is among these files.\n"
        )
    licence = (HERE.parent / "LICENSE").read_text("utf-8").strip()
    indented = "\n".join(f" {line}" if line else " ." for line in licence.splitlines()[4:])
    return COPYRIGHT.format(bundled="\n".join(paragraphs), licence=indented)


def _classified(classifiers: list[str]) -> str:
    licences = [each for each in classifiers if each.startswith("License ::")]
    return ", ".join(each.rpartition(" :: ")[2] for each in licences)


def _control(root: Path, version: str, architecture: str, python: str) -> None:
    files = sorted(each for each in root.rglob("*") if each.is_file() and not each.is_symlink())
    size = sum(each.stat().st_size // 1024 + 1 for each in files)
    major, minor = map(int, python.split("."))
    control = root / "DEBIAN"
    _write(
        control / "control",
        CONTROL.format(
            version=version,
            architecture=architecture,
            maintainer=MAINTAINER,
            size=size,
            depends=", ".join(DEPENDS).format(python=python, next_python=f"{major}.{minor + 1}"),
        ),
    )
    names = [f"/{each.relative_to(root)}" for each in files]
    _write(control / "conffiles", "".join(f"{x}\n" for x in names if x.startswith("/etc/")))
    sums = [
        f"{hashlib.md5(each.read_bytes()).hexdigest()}  {each.relative_to(root)}\n"  # noqa: S324
        for each in files
    ]
    _write(control / "md5sums", "".join(sums))
    for name in ("postinst", "prerm", "postrm"):
        _write(control / name, (SCRIPTS / name).read_text(), mode=0o755)


def _debian(wheel: Path) -> str:
    """The version as dpkg orders it: a pre-release comes before its release."""
    version = _version(wheel)
    for mark in ("a", "b", "rc", ".dev"):
        version = version.replace(mark, f"~{mark.strip('.')}", 1)
    return version


def _version(wheel: Path) -> str:
    with ZipFile(wheel) as packed:
        (name,) = [x for x in packed.namelist() if x.endswith(".dist-info/METADATA")]
        found = HeaderParser().parsestr(packed.read(name).decode())
    return str(found["Version"])


def _instant() -> int:
    return int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))


def _write(path: Path, text: str, *, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    path.chmod(mode)


def _zip(path: Path, text: str) -> None:
    """As policy wants documents: compressed, and the same bytes each time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    packed = gzip.compress(text.encode(), 9, mtime=0)
    path.with_name(f"{path.name}.gz").write_bytes(packed)


def _output(*command: str) -> str:
    """Raises SystemExit with what a command says that fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr or done.stdout}")
    return done.stdout


if __name__ == "__main__":
    main()
