#!/usr/bin/env python3
"""Make the environment of the lock files, then run a command inside it.

    python3 bootstrap.py snakemake --cores all
    python3 bootstrap.py --slurm snakemake --profile profiles/slurm

Needs Python and pip, nothing else. The environment is `.venv` beside this file; it is made when it
is missing and brought up to date when the lock file has changed. `--slurm` adds Snakemake's Slurm
plugin, in a folder of its own because it slows every start of Snakemake down.
"""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
SLURM = ROOT / ".slurm-plugin"
UV = ROOT / ".uv"
PYTHONS = ((3, 11), (3, 13))
#: GB of a fresh environment, measured on Linux with the CUDA libraries that torch brings.
NEEDED_GB = 8
#: Not the .venv's own, which may have to be removed.
PYTHON = getattr(sys, "_base_executable", None) or sys.executable
WINDOWS = os.name == "nt"
BIN = "Scripts" if WINDOWS else "bin"


def main(arguments):
    """Install what is missing, then become the command."""
    check_python(sys.version_info[:2])
    wants_slurm = arguments[:1] == ["--slurm"]
    command = arguments[1:] if wants_slurm else arguments
    if command[:1] in (["-h"], ["--help"]):
        print(__doc__)
        return
    with one_at_a_time():
        make_venv()
        if wants_slurm:
            make_slurm()
    if not command:
        print("Ready. Now type:\n\n    python3 bootstrap.py snakemake --cores all\n")
        return
    run(command, environment(os.environ, wants_slurm))


def check_python(version):
    """Stop unless the lock file was resolved for this version of Python."""
    oldest, newest = PYTHONS
    if not oldest <= tuple(version) <= newest:
        stop(
            "This is Python {}.{}; podium needs {}.{} to {}.{}. Run this file with one of those, "
            "such as: python{}.{} bootstrap.py".format(*version, *oldest, *newest, *oldest)
        )


def make_venv():
    """Make `.venv` from requirements.lock unless it is whole and up to date already."""
    lock = ROOT / "requirements.lock"
    if is_current(VENV, lock):
        return
    uv = find_uv()
    free = shutil.disk_usage(ROOT).free / 1e9
    if is_whole(VENV):
        (VENV / "lock.sha256").unlink()
    else:
        if free < NEEDED_GB:
            stop(f"The disk is too full: {ROOT} has {free:.1f} GB free, podium needs {NEEDED_GB}.")
        if VENV.exists():
            say("removing the unfinished .venv")
            shutil.rmtree(VENV)
        say("making .venv: some 150 packages, 7 GB; a few minutes, once")
        call([uv, "venv", "--quiet", "--python", PYTHON, str(VENV)])
    call([uv, "pip", "sync", "--require-hashes", "--compile-bytecode", *target_python(), str(lock)])
    mark_whole(VENV, lock)


def make_slurm():
    """Put Snakemake's Slurm plugin beside the environment, which has all that it needs."""
    lock = ROOT / "requirements-slurm.lock"
    if is_current(SLURM, lock):
        return
    shutil.rmtree(SLURM, ignore_errors=True)
    options = ["--no-deps", "--require-hashes", "--compile-bytecode", *target_python()]
    call([find_uv(), "pip", "install", *options, "--target", str(SLURM), "-r", str(lock)])
    mark_whole(SLURM, lock)


def find_uv():
    """Path of uv: the machine's own, or the pinned one, installed here by pip."""
    name = "uv.exe" if WINDOWS else "uv"
    found = shutil.which("uv")
    if found:
        return found
    lock = ROOT / "requirements-uv.lock"
    if not is_current(UV, lock):
        shutil.rmtree(UV, ignore_errors=True)
        say("installing uv, which installs everything else")
        pip = [PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        # A target folder works without venv and on systems that keep pip out of their own Python.
        options = ["--target", str(UV), "--no-deps", "--require-hashes", "-r", str(lock)]
        done = subprocess.run([*pip, *options], stderr=subprocess.PIPE, text=True)
        if done.returncode:
            stop(explain(done.stderr))
        mark_whole(UV, lock)
    return str(UV / BIN / name)


def explain(error):
    """What a failed installer's output means, for a person."""
    text = error.strip()
    last_lines = "\n".join(text.splitlines()[-8:])
    if "No module named pip" in text:
        reason = "This Python has no pip. Install it first (on Debian: apt install python3-pip)."
    elif "No space left" in text or "os error 28" in text:
        reason = f"The disk is full: podium needs {NEEDED_GB} GB at {ROOT}."
    elif re.search(r"(?i)hash(es)? (mismatch|do not match)", text):
        reason = "A package is not the one that the lock file names; nothing of it was installed."
    elif re.search(
        r"(?i)connect|resolution|resolve host|timed out|dns|network|unreachable|"
        r"no matching distribution|failed to fetch|certificate|proxy",
        text,
    ):
        reason = (
            "The package index cannot be reached. Is there a network? A proxy is named by "
            "HTTPS_PROXY, a mirror by PIP_INDEX_URL. Then run the same command again."
        )
    else:
        reason = "Installing failed; run the same command again once this is put right."
    return f"{reason}\n\n{last_lines}" if last_lines else reason


def call(command):
    """Run uv, showing what it prints; stop with an explanation when it fails."""
    process = subprocess.Popen(command, env=uv_environment(os.environ), stderr=subprocess.PIPE)
    printed = b""
    # Unbuffered, so that a progress line shows at once.
    for chunk in iter(lambda: process.stderr.read1(4096), b""):
        printed = (printed + chunk)[-8000:]
        sys.stderr.buffer.write(chunk)
        sys.stderr.flush()
    if process.wait():
        stop(explain(printed.decode("utf-8", "replace")))


def uv_environment(variables):
    """uv's environment: the index and certificates that pip is set to, no downloads of Python."""
    changed = {**variables, "UV_PYTHON_DOWNLOADS": "never"}
    changed.pop("PYTHONDONTWRITEBYTECODE", None)
    # A company's own certificate is the system's to know, not uv's; the second is its older name.
    changed.setdefault("UV_SYSTEM_CERTS", "true")
    changed.setdefault("UV_NATIVE_TLS", "true")
    asked = [PYTHON, "-m", "pip", "config", "list"]
    settings = subprocess.run(asked, capture_output=True, text=True).stdout
    for name, setting in (("UV_DEFAULT_INDEX", "index-url"), ("SSL_CERT_FILE", "cert")):
        found = re.search(rf"^(?::env:|global|install)\.{setting}='(.+)'$", settings, re.MULTILINE)
        if found:
            changed.setdefault(name, found[1])
    return changed


def target_python():
    return ["--python", str(VENV / BIN / ("python.exe" if WINDOWS else "python"))]


def digest_of(lock):
    version = "{}.{}".format(*sys.version_info[:2])
    return hashlib.sha256(lock.read_bytes() + version.encode()).hexdigest()


def is_whole(folder):
    """Whether an installation ended: its digest is written last and removed first."""
    return (folder / "lock.sha256").is_file()


def is_current(folder, lock):
    """Whether a whole installation is that of the lock file and of this Python."""
    return is_whole(folder) and (folder / "lock.sha256").read_text().strip() == digest_of(lock)


def mark_whole(folder, lock):
    (folder / "lock.sha256").write_text(digest_of(lock) + "\n")


@contextlib.contextmanager
def one_at_a_time():
    """Let a second bootstrap wait until the first has installed."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with (ROOT / ".bootstrap.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def environment(variables, with_slurm):
    """The variables of an activated environment."""
    changed = {**variables, "VIRTUAL_ENV": str(VENV), "NO_ALBUMENTATIONS_UPDATE": "1"}
    changed["PATH"] = os.pathsep.join([str(VENV / BIN), variables.get("PATH", os.defpath)])
    # Without compiled bytecode every job would spend seconds on its imports.
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONHOME"):
        changed.pop(name, None)
    if with_slurm:
        paths = [str(SLURM), *filter(None, [variables.get("PYTHONPATH")])]
        changed["PYTHONPATH"] = os.pathsep.join(paths)
    return changed


def run(command, variables):
    """Become the command, so that signals and exit codes are its own."""
    program = shutil.which(command[0], path=variables["PATH"])
    if program is None:
        stop(f"There is no command {command[0]!r}. Try: python3 bootstrap.py snakemake --cores all")
    sys.stdout.flush()
    if WINDOWS:  # where exec would return to the prompt at once
        sys.exit(subprocess.run([program, *command[1:]], env=variables).returncode)
    os.execve(program, command, variables)


def say(message):
    print(f"bootstrap: {message}", file=sys.stderr, flush=True)


def stop(message):
    sys.exit(f"bootstrap: {message}")


if __name__ == "__main__":
    main(sys.argv[1:])
