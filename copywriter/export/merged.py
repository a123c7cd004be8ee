"""A folder of merged weights for transformers and compatible programs.

It loads without PEFT, bitsandbytes or this project. Its weights are those that were scored: the quantized base weights
plus the adapter, added in float32 and rounded once, to bf16.
"""

import json
from pathlib import Path

import torch
from transformers import GenerationConfig

from copywriter import files, notices, paths, prompt
from copywriter.export import source
from copywriter.generation.inference import trained_params
from copywriter.modeling import loading
from copywriter.params import Params

_VOLATILE = ("transformers_version", "_name_or_path")


def write(adapter: Path, folder: Path, p: Params) -> str:
    """Writes weights, configs, tokenizer and notice, all or nothing; returns a summary. UserError as source.check."""
    source.check(adapter, folder)
    p = trained_params(adapter, p)
    tokenizer_files = prompt.tokenizer_files(adapter)
    origin = source.origin(adapter, p)
    base = origin["base"]["model"]
    model = source.load(adapter, p).to(torch.bfloat16)  # type: ignore[arg-type]
    ids = json.loads((paths.BASE / "generation_config.json").read_text(encoding="utf-8"))
    with files.new_folder(folder) as new:
        model.generation_config = GenerationConfig(**ids)  # type: ignore[no-untyped-call]
        model.save_pretrained(new, max_shard_size="1000GB")
        files.rewrite_json(new / "config.json", drop=_VOLATILE)
        files.write_json(new / "generation_config.json", ids)
        for file in tokenizer_files:
            (new / file.name).write_bytes(file.read_bytes())
        files.write_json(new / loading.MERGED, origin)
        notices.copy(paths.BASE, new)
        (new / "NOTICE.md").write_text(source.notice(base, p), encoding="utf-8")
    return f"{base} with {adapter}, in bf16, in {folder}"
