"""Makes one plain model of base and adapter: `python -m copywriter.export merged DIR`.

The folder loads in transformers and whatever reads its form, without PEFT, bitsandbytes or this project. It holds the
values that were scored: the base's quantized values and the adapter, added in float32, rounded once, to bf16.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from transformers import GenerationConfig

from copywriter import files, params, paths, prompt, sources
from copywriter.errors import UserError
from copywriter.generation.inference import settings
from copywriter.modeling import loading

VOLATILE = ("transformers_version", "_name_or_path")


def merged(adapter: Path, folder: Path, p: params.Params) -> str:
    """Writes weights, configs, tokenizer and notice, whole or not at all; a summary. UserError where it is in use."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} holds something already; name a new folder, or remove it first")
    if not loading.is_adapter(adapter):
        raise UserError(f"{adapter} holds no adapter to merge; name one with --adapter")
    p = settings(adapter, p)
    tokenizer_files = prompt.tokenizer_files(adapter)
    whole = loading.load_dense(adapter, p.quantization, torch.float32, torch.device("cpu")).to(torch.bfloat16)  # type: ignore[arg-type]
    base = json.loads((adapter / loading.RECEIPT).read_text(encoding="utf-8"))["base"]
    ids = json.loads((paths.BASE / "generation_config.json").read_text(encoding="utf-8"))
    with files.new_folder(folder) as aside:
        whole.generation_config = GenerationConfig(**ids)  # type: ignore[no-untyped-call]
        whole.save_pretrained(aside, max_shard_size="1000GB")
        files.rewrite_json(aside / "config.json", drop=VOLATILE)
        files.write_json(aside / "generation_config.json", ids)
        for file in tokenizer_files:
            (aside / file.name).write_bytes(file.read_bytes())
        made_of = {"base": base, "adapter": files.sha256(adapter / loading.WEIGHTS), "quantization": p.quantization}
        files.write_json(aside / loading.MERGED, made_of)
        (aside / "NOTICE.md").write_text(notice(base["model"], p), encoding="utf-8")
    return f"{base['model']} with {adapter}, in bf16, in {folder}"


def notice(base: str, p: params.Params) -> str:
    """What the weights are made of, and under whose licences."""
    entry = sources.load()
    licence = entry.models[base].licence if base in entry.models else "unknown"
    catalogue = entry.datasets[p.dataset].licence if p.dataset in entry.datasets else "unknown"
    return (
        f"These weights are {base} (licence: {licence}), changed: a LoRA adapter that writes product descriptions was "
        f"added to them.\nIt was trained on {p.dataset} (licence of its texts: {catalogue}). The base model's licence "
        "holds for this folder too.\n"
    )


def main() -> None:
    """Wires the command."""
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
