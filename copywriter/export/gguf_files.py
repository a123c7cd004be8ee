"""GGUF files of the merged weights for llama.cpp and the programs around it, as F16 and as Q8_0, with a Modelfile.

Everything in them comes from models/base (config.json and tokenizer) and the adapter, whatever the base was made from:
whoever pulled an adapter gets the same bytes as its owner. Weights are rounded once, from the float32 sum.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType, LlamaFileType
from transformers import AutoConfig, PreTrainedModel, PreTrainedTokenizerBase

from copywriter import files, notices, paths
from copywriter.errors import UserError
from copywriter.export import gguf_model, gguf_tokenizer, modelfile, source
from copywriter.generation.inference import trained_params
from copywriter.params import Params
from copywriter.prompt import load_tokenizer

_FORMS = {
    GGMLQuantizationType.F16: LlamaFileType.MOSTLY_F16,
    GGMLQuantizationType.Q8_0: LlamaFileType.MOSTLY_Q8_0,
}
_SERVED = GGMLQuantizationType.F16  # named in the Modelfile: its greedy texts are those of the scored weights


def write(adapter: Path, folder: Path, p: Params) -> str:
    """Writes both files, Modelfile and notice, all or nothing; returns a summary.

    UserError as source.check, and for an architecture or tokenizer that llama.cpp would compute otherwise.
    """
    source.check(adapter, folder)
    p = trained_params(adapter, p)
    origin = source.origin(adapter, p)
    base = origin["base"]["model"]
    config: Any = AutoConfig.from_pretrained(paths.BASE, local_files_only=True)
    tokenizer = load_tokenizer(adapter)
    notice = source.notice(base, p)
    with files.new_folder(folder) as new:
        writers = {form: fields(new / name(base, form), form, config, tokenizer, p) for form in _FORMS}
        model = source.load(adapter, p)
        for form, writer in writers.items():
            _add_origin(writer, origin, p)
            write_weights(writer, model, form)
        content = modelfile.text(name(base, _SERVED), tokenizer, p, notice)
        (new / "Modelfile").write_text(content, encoding="utf-8")
        notices.copy(paths.BASE, new)
        (new / "NOTICE.md").write_text(notice, encoding="utf-8")
    return f"{base} with {adapter}, as {' and '.join(form.name for form in _FORMS)}, in {folder}"


def name(base: str, form: GGMLQuantizationType) -> str:
    """The name of a file."""
    return f"{base}-{form.name}.gguf"


def fields(
    path: Path, form: GGMLQuantizationType, config: Any, tokenizer: PreTrainedTokenizerBase, p: Params
) -> gguf.GGUFWriter:
    """A file's writer with the fields that decide what llama.cpp computes; UserError as `write`."""
    writer = gguf.GGUFWriter(path, gguf_model.architecture(config))
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_file_type(_FORMS[form])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    gguf_model.add_hyperparameters(writer, config)
    before, _ = modelfile.frame(tokenizer, p)
    gguf_tokenizer.add_tokenizer(writer, tokenizer, config.vocab_size, before)
    writer.add_chat_template(modelfile.chat_template(tokenizer, p.prompt.plain))
    return writer


def _add_origin(writer: gguf.GGUFWriter, origin: Mapping[str, Any], p: Params) -> None:
    base = origin["base"]["model"]
    writer.add_name(f"{base} for {p.dataset}")
    writer.add_license(source.licence(base))
    writer.add_base_model_count(1)
    writer.add_base_model_name(0, base)
    writer.add_string("copywriter.base.sha256", origin["base"]["sha256"])
    writer.add_string("copywriter.adapter.sha256", origin["adapter"])


def write_weights(writer: gguf.GGUFWriter, model: PreTrainedModel, form: GGMLQuantizationType) -> None:
    """Writes the fields added so far and the weights, one tensor after the other; UserError where F16 overflows."""
    tensors = list(gguf_model.tensors(model))
    stored = {name: _stored_as(shape, form) for name, shape, _ in tensors}
    for name, shape, _ in tensors:
        block, size = gguf.GGML_QUANT_SIZES[stored[name]]
        writer.add_tensor_info(name, shape, np.dtype(np.float32), math.prod(shape) // block * size, stored[name])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for name, _, values in tensors:
        with np.errstate(over="ignore"):
            data = gguf.quants.quantize(values(), stored[name])
        if stored[name] == GGMLQuantizationType.F16 and not np.isfinite(data).all():
            raise UserError(
                f"{name} has weights over 65504, which F16 cannot hold; run 'python -m copywriter.export merged DIR' "
                "and use that folder with transformers or vLLM"
            )
        writer.write_tensor_data(data)
    writer.close()


def _stored_as(shape: Sequence[int], form: GGMLQuantizationType) -> GGMLQuantizationType:
    """The form of one tensor: norms and biases stay in float32, a matrix whose rows are no whole blocks is F16."""
    if len(shape) == 1:
        return GGMLQuantizationType.F32
    return form if shape[-1] % gguf.GGML_QUANT_SIZES[form][0] == 0 else GGMLQuantizationType.F16
