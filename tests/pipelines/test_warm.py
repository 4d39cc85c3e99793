"""The command warm: what the toy run does not compile is compiled beside it."""

import subprocess
import sys
from types import SimpleNamespace

from recsys.pipelines import warm

LEFT = """
import sys
from pathlib import Path
from recsys.core import jit
from recsys.pipelines.warm import warm_table
warm_table(Path(sys.argv[1]))
from recsys.core import token_mean
from recsys.encoder import static
from recsys.interest import wordpiece
rooms = {one.__name__ for one in (token_mean, static, wordpiece)}
found = [k for k in jit.KERNELS if k.__module__ in rooms]
print(len(found), [k.__name__ for k in found if not k.signatures])
"""


def test_all_that_a_table_needs_is_compiled(toy):
    command = [sys.executable, "-c", LEFT, str(toy.stage("train-encoder"))]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(maxsplit=1)
    assert int(told[0]) >= 4 and told[1].strip() == "[]"


def test_the_command_takes_the_tokenizer_of_its_run(toy, monkeypatch, capsys):
    folder, warmed = toy.stage("train-encoder"), []
    monkeypatch.setattr(
        warm, "walk", lambda runner, config: {"train-encoder": SimpleNamespace(folder=folder)}
    )
    monkeypatch.setattr(warm, "warm_table", warmed.append)
    assert warm.main([]) == 0
    assert warmed == [folder] and capsys.readouterr().out.startswith("kernels: ")
