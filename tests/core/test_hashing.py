"""The stable hash: golden values, which stored id vectors depend on."""

import hashlib
import subprocess
import sys

import numpy as np

from recsys.core.hashing import HASH, hash_value, hash_values


def test_golden_values() -> None:
    assert HASH == "blake2b-64"
    golden = {
        "i1": 778860755400141486,
        "toys": 9906059406498139914,
        "Ключ": 402625008154710070,
        "7": 9407870976149377255,
    }
    assert {text: hash_value(text) for text in golden} == golden


def test_it_is_blake2b_of_the_text() -> None:
    wanted = hashlib.blake2b("Müsli".encode(), digest_size=8).digest()
    assert hash_value("Müsli") == int.from_bytes(wanted, "little")
    assert hash_value(7) == hash_value("7"), "a whole number is spelt as it is read"
    assert hash_value("\ud800") != hash_value("\ud801"), "half a character is a value like others"


def test_another_process_gives_the_same() -> None:
    code = "from recsys.core.hashing import hash_value; print(hash_value('i1'))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONHASHSEED": "5"}, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == hash_value("i1")


def test_missing_values_have_no_hash() -> None:
    hashes, present = hash_values(["a", None, "", float("nan"), 0])
    assert present.tolist() == [True, False, False, False, True]
    assert hashes.dtype == np.uint64
    assert hashes.tolist() == [hash_value("a"), 0, 0, 0, hash_value("0")]
