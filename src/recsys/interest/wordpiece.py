"""WordPiece of plain ASCII texts, compiled: a BERT tokenizer's ids at a hundredth of its time.

A table of token vectors is so fast that the tokenizer would be nearly all of the time. Most titles are
plain ASCII, whose rules are few: lower case, words between blanks and punctuation, in each word the
longest known piece first. Texts with anything else (other letters, control characters, a special token's
name) are left to the tokenizer itself, so the ids are the same in every case.
"""

import json
import string
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from recsys.core.jit import kernel

Array = NDArray[Any]
OTHER, BLANK, PUNCTUATION, LETTER = 0, 1, 2, 3
END, NOT_PLAIN = "\0", "\1"
PREFIX = "##"  # marks a piece that goes on with a word


class Trie(NamedTuple):
    """The pieces of a vocabulary, letter by letter; node 0 begins a word, node 1 goes on with one."""

    kind: Array  # int8 (256,): what a byte is
    letter: Array  # int16 (256,): its column, after folding the case; -1: in no piece
    child: Array  # int32 (nodes, letters): 0 where there is none
    piece: Array  # int32 (nodes,): the id that ends here, -1: none
    unknown: int
    longest: int  # letters of a word; longer ones are unknown


class Special(NamedTuple):
    """Ids before and behind every text."""

    before: Array  # int32
    behind: Array  # int32


@kernel
def _plain_ids(trie: Trie, special: Special, text: Array, most: int, ids: Array, lengths: Array) -> int:
    """Ids of texts that end in zero bytes; a length of -1 where a text is not plain. Counts the texts."""
    n, at, end = 0, 0, text.shape[0]
    before, behind = special.before.shape[0], special.behind.shape[0]
    room = most - before - behind
    while at < end:
        if n == ids.shape[0]:
            return n + 1
        found = before
        while at < end and text[at] != 0 and found - before < room:
            kind = trie.kind[text[at]]
            if kind == OTHER:
                found = -1
                break
            if kind == BLANK:
                at += 1
                continue
            stop = at + 1
            if kind == LETTER:
                while stop < end and trie.kind[text[stop]] == LETTER:
                    stop += 1
                if stop < end and text[stop] != 0 and trie.kind[text[stop]] == OTHER:
                    found = -1  # what follows may belong to the word
                    break
            first, known = found, stop - at <= trie.longest
            place = at
            while known and place < stop:
                node = 0 if place == at else 1
                look, piece, reach = place, -1, place
                while look < stop and trie.letter[text[look]] >= 0:
                    node = trie.child[node, trie.letter[text[look]]]
                    if node == 0:
                        break
                    look += 1
                    if trie.piece[node] >= 0:
                        piece, reach = trie.piece[node], look
                known = piece >= 0
                if known:
                    ids[n, found] = piece
                    found += 1
                    place = reach
            if not known:
                ids[n, first] = trie.unknown
                found = first + 1
            at = stop
        if found >= 0:
            found = min(found, before + room)
            for i in range(before):
                ids[n, i] = special.before[i]
            for i in range(behind):
                ids[n, found + i] = special.behind[i]
            found += behind
        lengths[n] = found
        while at < end and text[at] != 0:
            at += 1
        at += 1
        n += 1
    return n


class WordPiece:
    """A tokenizer's ids, by the compiled way where a text is plain.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Cuts at ``most`` tokens.
    trie : Trie
    special : Special
    names : tuple of str
        Of special tokens; a text that holds one is not plain.
    most : int
        Tokens of a text.
    """

    def __init__(
        self, tokenizer: Any, trie: Trie, special: Special, names: tuple[str, ...], most: int
    ) -> None:
        self._tokenizer, self._trie, self._special = tokenizer, trie, special
        self._names, self._most = names, most

    @classmethod
    def of(cls, tokenizer: Any, most: int) -> "WordPiece | None":
        """The compiled twin of a BERT tokenizer; None for a tokenizer of another kind."""
        told = json.loads(tokenizer.to_str())
        model, normalizer = told["model"], told.get("normalizer") or {}
        before = tokenizer.encode("").ids
        letter = tokenizer.encode("a").ids
        fits = (
            model.get("type") == "WordPiece"
            and model.get("continuing_subword_prefix") == PREFIX
            and normalizer.get("type") == "BertNormalizer"
            and normalizer.get("clean_text", True)
            and (told.get("pre_tokenizer") or {}).get("type") == "BertPreTokenizer"
            and not any(token["normalized"] for token in told.get("added_tokens", ()))
            and len(letter) == len(before) + 1 <= most
        )
        if not fits:
            return None
        cut = next(
            i for i, (one, other) in enumerate(zip([*before, -1], letter, strict=True)) if one != other
        )
        special = Special(np.array(before[:cut], np.int32), np.array(before[cut:], np.int32))
        names = tuple(token["content"] for token in told.get("added_tokens", ()))
        fold = bool(normalizer.get("lowercase", True))
        return cls(tokenizer, _trie(model, fold), special, names, most)

    def __call__(self, texts: Sequence[str]) -> tuple[Array, Array, Array]:
        """Ids of some texts.

        Returns
        -------
        ids : int32 array, shape (places,)
        starts, lengths : int64 arrays, shape (texts,)
            Text i has the tokens ``ids[starts[i] : starts[i] + lengths[i]]``.
        """
        n = len(texts)
        ids = np.zeros((n, self._most + self._trie.longest), np.int32)  # a word more may be begun
        lengths = np.full(n, -1, np.int64)
        joined = END.join([*texts, ""])
        if any(name in joined for name in self._names):
            joined = END.join([*(NOT_PLAIN if self._names_one(text) else text for text in texts), ""])
        buffer = np.frombuffer(joined.encode("utf-8", "replace"), np.uint8)
        if _plain_ids(self._trie, self._special, buffer, self._most, ids, lengths) != n:
            lengths[:] = -1  # a text holds the end mark itself
        rest = np.flatnonzero(lengths < 0).tolist()
        encoded = self._tokenizer.encode_batch_fast([texts[i] for i in rest]) if rest else ()
        for i, encoding in zip(rest, encoded, strict=True):
            lengths[i] = len(encoding.ids)
            ids[i, : lengths[i]] = encoding.ids
        return ids.reshape(-1), np.arange(n) * ids.shape[1], lengths

    def _names_one(self, text: str) -> bool:
        return any(name in text for name in self._names)


def _trie(model: dict[str, Any], fold: bool) -> Trie:
    kind, letter = np.zeros(256, np.int8), np.full(256, -1, np.int16)
    for kinds, letters in (
        (BLANK, " \t\n\r"),
        (PUNCTUATION, string.punctuation),
        (LETTER, string.ascii_letters + string.digits),
    ):
        kind[[ord(one) for one in letters]] = kinds
    vocabulary = cast(dict[str, int], model["vocab"])
    pieces = {name: i for name, i in vocabulary.items() if name.isascii()}
    columns = {one: column for column, one in enumerate(sorted(set("".join(pieces))))}
    for one, column in columns.items():
        letter[ord(one)] = column
    if fold:
        for one in string.ascii_uppercase:
            letter[ord(one)] = letter[ord(one.lower())]
    nodes: list[dict[int, int]] = [{}, {}]
    ends = {}
    for name, i in pieces.items():
        goes_on = name.startswith(PREFIX) and len(name) > len(PREFIX)
        node = 1 if goes_on else 0
        for one in name[len(PREFIX) :] if goes_on else name:
            column = columns[one]
            after = nodes[node].get(column)
            if after is None:
                after = nodes[node][column] = len(nodes)
                nodes.append({})
            node = after
        ends[node] = i
    child = np.zeros((len(nodes), max(1, len(columns))), np.int32)
    piece = np.full(len(nodes), -1, np.int32)
    for node, reached in enumerate(nodes):
        child[node, list(reached)] = list(reached.values())
    piece[list(ends)] = list(ends.values())
    longest = int(model.get("max_input_chars_per_word", 100))
    return Trie(kind, letter, child, piece, int(vocabulary[model["unk_token"]]), longest)
