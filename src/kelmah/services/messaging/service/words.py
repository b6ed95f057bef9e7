"""Finds messages by their words though their text is sealed: each word is kept as a keyed digest.

A digest is made with the service's key, for one conversation, and cut to 66 bits: the same word in two
conversations has two digests. Whoever steals the database alone learns which messages of one conversation share a
word, and how often, and neither the word nor anything across conversations. The price is that only whole words are
found, without regard to case and accents, and no parts of words.
"""

import re
import unicodedata

from kelmah.kit.crypto import KeyRing

MAX_WORDS = 300
MAX_QUERY_WORDS = 8
_DIGEST_CHARS = 11
_WORD = re.compile(r"\w{2,64}")


def split(text: str) -> list[str]:
    """The different words of a text, folded, in their order."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(char for char in decomposed if not unicodedata.combining(char))
    return list(dict.fromkeys(_WORD.findall(plain)))


def words_of(ring: KeyRing, conversation_id: str, text: str) -> list[str]:
    """What a message is found by; of a very long one the first 300 words."""
    context = _context(conversation_id)
    return [ring.blind_index(word, context=context)[:_DIGEST_CHARS] for word in split(text)[:MAX_WORDS]]


def queries(ring: KeyRing, conversation_id: str, words: list[str]) -> list[list[str]]:
    """What to look for: all the words under one key of the ring, for each key."""
    context = _context(conversation_id)
    by_word = [[one[:_DIGEST_CHARS] for one in ring.blind_indexes(word, context=context)] for word in words]
    return [list(digests) for digests in zip(*by_word, strict=True)]


def _context(conversation_id: str) -> bytes:
    return b"messaging.word:" + conversation_id.encode()
