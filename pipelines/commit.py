"""The commit that the code is at: what a run and a benchmark were made with."""

import subprocess
from pathlib import Path


def git_commit(digits: int = 40) -> str:
    """The commit's hash, with "+" where files differ from it; "" outside a repository."""
    words = ["git", "describe", "--always", "--dirty=+", f"--abbrev={digits}", "--exclude=*"]
    here = Path(__file__).resolve().parent
    try:
        return subprocess.run(words, cwd=here, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
