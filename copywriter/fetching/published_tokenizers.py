"""An independent reader of a published tokenizer: a GGUF file's vocabulary, or a tokenizer.json as it lies there."""

from collections.abc import Callable
from pathlib import Path

from tokenizers import Tokenizer

from copywriter.fetching import gguf_vocabulary

Reader = Callable[[str], list[int]]


def reader(published: Path) -> tuple[Reader | None, str | None]:
    """What gives the ids of a text by a GGUF file or by the tokenizer.json in a folder, and what it reads.

    None where there is neither a tokenizer.json nor a vocabulary of a known kind.
    """
    if published.is_file():
        return gguf_vocabulary.reader(published), "the vocabulary in its GGUF file"
    file = published / "tokenizer.json"
    if not file.exists():
        return None, None
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids, "its tokenizer.json"
