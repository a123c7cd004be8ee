"""Merges the adapter into the base model: `python -m copywriter.export merged DIR`.

The folder loads in transformers and compatible programs, without PEFT, bitsandbytes or this project. Its weights are
those that were scored: the quantized base weights plus the adapter, added in float32 and rounded once, to bf16.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from transformers import GenerationConfig

from copywriter import files, params, paths, prompt, sources
from copywriter.errors import UserError
from copywriter.generation.inference import trained_params
from copywriter.modeling import loading

VOLATILE = ("transformers_version", "_name_or_path")


def merged(adapter: Path, folder: Path, p: params.Params) -> str:
    """Writes weights, configs, tokenizer and notice, all or nothing; returns a summary.

    UserError when `folder` is in use, or `adapter` holds none.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty; name a new folder, or remove it first")
    if not loading.is_adapter(adapter):
        raise UserError(f"{adapter} is not an adapter; name one with --adapter")
    p = trained_params(adapter, p)
    tokenizer_files = prompt.tokenizer_files(adapter)
    model = loading.load_dense(adapter, p.quantization, torch.float32, torch.device("cpu")).to(torch.bfloat16)  # type: ignore[arg-type]
    base = json.loads((adapter / loading.RECEIPT).read_text(encoding="utf-8"))["base"]
    ids = json.loads((paths.BASE / "generation_config.json").read_text(encoding="utf-8"))
    with files.new_folder(folder) as new:
        model.generation_config = GenerationConfig(**ids)  # type: ignore[no-untyped-call]
        model.save_pretrained(new, max_shard_size="1000GB")
        files.rewrite_json(new / "config.json", drop=VOLATILE)
        files.write_json(new / "generation_config.json", ids)
        for file in tokenizer_files:
            (new / file.name).write_bytes(file.read_bytes())
        origin = {"base": base, "adapter": files.sha256(adapter / loading.WEIGHTS), "quantization": p.quantization}
        files.write_json(new / loading.MERGED, origin)
        (new / "NOTICE.md").write_text(notice(base["model"], p), encoding="utf-8")
    return f"{base['model']} with {adapter}, in bf16, in {folder}"


def notice(base: str, p: params.Params) -> str:
    """The text of NOTICE.md: origin and licences of the weights."""
    entry = sources.load()
    licence = entry.models[base].licence if base in entry.models else "unknown"
    catalogue = entry.datasets[p.dataset].licence if p.dataset in entry.datasets else "unknown"
    return (
        f"These weights are {base} (licence: {licence}) with a LoRA adapter for product descriptions merged in.\n"
        f"The adapter was trained on {p.dataset} (licence of its texts: {catalogue}). The base model's licence also "
        "applies to this folder.\n"
    )


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m copywriter.export", description=__doc__)
    parser.add_argument("form", choices=["merged"])
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--adapter", type=Path, default=paths.ADAPTER)
    options = parser.parse_args()
    try:
        print(f"export: {merged(options.adapter, options.folder, params.load())}", file=sys.stderr)
    except UserError as error:
        print(f"export: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
