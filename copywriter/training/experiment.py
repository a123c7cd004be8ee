"""Everything that a training needs, read and checked: the same for the stage, a replay and a benchmark."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import PartialState
from accelerate.utils import gather
from peft import PeftModel
from transformers import AutoConfig, PreTrainedConfig, PreTrainedTokenizerBase, TrainerCallback

from copywriter import errors, paths
from copywriter.checkpoints import fingerprint
from copywriter.modeling import device, loading, lora
from copywriter.params import Params
from copywriter.prompt import Example, Prompter, load_tokenizer
from copywriter.training import data_order, launch, memory_fit, packing, row_validation, step, tokenized_rows
from copywriter.training.interrupts import Interrupts
from copywriter.training.trainer import QloraTrainer


@dataclass
class Experiment:
    """A training before its first step."""

    params: Params
    team: PartialState
    processor: torch.device
    dtype: torch.dtype
    tokenizer: PreTrainedTokenizerBase
    base: dict[str, str]
    train: list[Example]
    train_data: packing.Sequences
    validation: list[Example]
    validation_data: packing.Sequences
    mark: str  # identity.fingerprint

    @property
    def folder(self) -> Path:
        """Where its state lies, whatever its number of epochs if its schedule allows."""
        return paths.RUNS / "train" / fingerprint.state_name(self.mark, self.processor)

    def adapted(self) -> PeftModel:
        """The base model with an untrained adapter."""
        weights = loading.load_base(paths.BASE, self.params.quantization, self.dtype, self.processor)
        if loading.keeps_dense(self.params.dequantize, paths.BASE, self.processor):
            weights = loading.dequantized(weights)
        return lora.with_adapter(weights, self.params)

    def trainer(
        self,
        folder: Path,
        callbacks: Sequence[TrainerCallback] = (),
        interrupts: Interrupts | None = None,
        may_write: Callable[[], None] = lambda: None,
    ) -> QloraTrainer:
        """A trainer of a fresh adapter with checkpoints in `folder`, after the probes of the token contract."""
        training = QloraTrainer(
            self.adapted(),
            self.tokenizer,
            self.params,
            self.train_data,
            self.validation_data,
            folder,
            self.dtype,
            callbacks,
            interrupts,
            may_write,
        )
        row_validation.check_batches(training, self.validation, self.validation_data)
        return training


def prepare(p: Params) -> Experiment:
    """Reads the files of the working folder; UserError with the row that breaks the token contract."""
    team = launch.team()
    p = shared(p, team.num_processes)
    processor = device.choose()
    device.set_deterministic(p.deterministic)
    dtype = device.dtype(p.precision, processor)
    tokenizer = load_tokenizer(paths.BASE)
    prompter = Prompter(tokenizer, p)
    base = loading.base_identity(paths.BASE)
    with team.local_main_process_first():  # it keeps the tokens that the others then find
        train, train_data = read(paths.TRAIN, prompter, p, p.retrieval.dropout)
        validation, validation_data = read(paths.VALIDATION, prompter, p)
    p = fitted(p, len(train_data), dtype, processor)
    mark = fingerprint.fingerprint(p, base, team.num_processes)
    return Experiment(p, team, processor, dtype, tokenizer, base, train, train_data, validation, validation_data, mark)


def config() -> PreTrainedConfig:
    """The base model's shapes."""
    errors.existing(paths.BASE / "config.json", "dvc repro fetch_model")
    found: PreTrainedConfig = AutoConfig.from_pretrained(paths.BASE, local_files_only=True)
    return found


def sequences(examples: Sequence[Example], p: Params) -> packing.Sequences:
    """The examples as training sequences: packed into max_length tokens, or one row each."""
    lengths = [len(example.input_ids) for example in examples]
    groups = packing.pack(lengths, p.sequence_length) if p.packing else [[row] for row in range(len(lengths))]
    return packing.Sequences([[examples[row] for row in group] for group in groups], groups)


def read(file: Path, prompter: Prompter, p: Params, dropout: float = 0.0) -> tuple[list[Example], packing.Sequences]:
    """The rows of a file as examples and as sequences; UserError with the row that breaks the token contract."""
    examples = tokenized_rows.examples(file, paths.BASE, prompter, p, dropout)
    row_validation.check_lengths(examples, p, file)
    packed = sequences(examples, p)
    vocabulary = config().get_text_config().vocab_size
    row_validation.check(packed, prompter.end, vocabulary, file)
    return examples, packed


def shared(p: Params, processes: int) -> Params:
    """The params with a micro-batch of which each process gets equally many; a line says so when it shrinks."""
    size = data_order.micro_batch(p.batch_size, p.micro_batch_size, processes)
    if size != p.micro_batch_size:
        print(
            f"train_qlora: micro_batch_size is {size} instead of {p.micro_batch_size}: {processes} processes share "
            f"batch_size {p.batch_size}",
            file=sys.stderr,
        )
    return p.model_copy(update={"micro_batch_size": size})


def fitted(p: Params, sequences: int, dtype: torch.dtype, processor: torch.device) -> Params:
    """The params with what it takes to fit the GPU's memory; a line says what was changed."""
    device.check_format(config().model_type, dtype)
    if processor.type != "cuda":
        return p
    # Every process must choose alike, so the GPU with the least free memory decides.
    least = gather(torch.tensor(torch.cuda.mem_get_info(processor)[0], device=processor)).min()
    compiled = step.obstacle(p, processor, -(-sequences // p.batch_size)) is None
    chosen, changes = memory_fit.fitted(p, config(), dtype, int(least), compiled)
    for change in changes:
        print(f"train_qlora: {change}", file=sys.stderr)
    return chosen
