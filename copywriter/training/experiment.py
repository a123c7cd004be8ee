"""Everything that a training needs, read and checked: the same for the stage, a replay and a benchmark."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import PartialState
from peft import PeftModel
from transformers import AutoConfig, PreTrainedConfig, PreTrainedTokenizerBase, TrainerCallback

from copywriter import errors, paths
from copywriter.checkpoints import fingerprint
from copywriter.modeling import device, loading, lora
from copywriter.params import Params
from copywriter.prompt import Example, Prompter, load_tokenizer
from copywriter.training import launch, packing, row_validation, run_plan, tokenized_rows
from copywriter.training.interrupts import Interrupts
from copywriter.training.run_plan import RunPlan
from copywriter.training.trainer import QloraTrainer


@dataclass
class Experiment:
    """A training before its first step."""

    params: Params  # what was asked for
    plan: RunPlan  # what is done
    team: PartialState
    processor: torch.device
    tokenizer: PreTrainedTokenizerBase
    base: dict[str, str]
    train: list[Example]
    train_data: packing.Sequences
    validation: list[Example]
    validation_data: packing.Sequences
    fingerprint: str

    @property
    def folder(self) -> Path:
        """The folder of its state: one for all numbers of epochs where the schedule allows."""
        return paths.RUNS / "train" / fingerprint.state_name(self.fingerprint, self.processor)

    def adapted(self) -> PeftModel:
        """The base model with an untrained adapter."""
        weights = loading.load_base(paths.BASE, self.params.quantization, self.plan.dtype, self.processor)
        if self.plan.dequantize:
            return lora.with_adapter(loading.dequantized(weights), self.params)
        return lora.with_adapter(weights, self.params)

    def trainer(
        self,
        folder: Path,
        callbacks: Sequence[TrainerCallback] = (),
        interrupts: Interrupts | None = None,
        may_write: Callable[[], None] = lambda: None,
    ) -> QloraTrainer:
        """A trainer of a fresh adapter with checkpoints in `folder`, after the checks of its batches."""
        training = QloraTrainer(
            self.adapted(),
            self.tokenizer,
            self.params,
            self.plan,
            self.train_data,
            self.validation_data,
            folder,
            callbacks,
            interrupts,
            may_write,
        )
        row_validation.check_batches(training, self.validation, self.validation_data)
        return training


def prepare(params: Params) -> Experiment:
    """Reads the files of the working folder; UserError with the first row that fails the validation."""
    team = launch.team()
    processor = device.choose()
    device.set_deterministic(params.advanced.deterministic)
    run_plan.refuse_impossible(params, config(), processor, team.num_processes)
    tokenizer = load_tokenizer(paths.BASE)
    prompter = Prompter(tokenizer, params)
    base = loading.base_identity(paths.BASE)
    with team.local_main_process_first():  # the others find the tokens that it stored
        train, train_data = read(paths.TRAIN, prompter, params, params.retrieval.dropout)
        validation, validation_data = read(paths.VALIDATION, prompter, params)
    plan = run_plan.decide(params, config(), processor, team.num_processes, len(train_data))
    return Experiment(
        params=params,
        plan=plan,
        team=team,
        processor=processor,
        tokenizer=tokenizer,
        base=base,
        train=train,
        train_data=train_data,
        validation=validation,
        validation_data=validation_data,
        fingerprint=fingerprint.fingerprint(params, plan.content(), base),
    )


def config() -> PreTrainedConfig:
    """The base model's shapes."""
    errors.existing(paths.BASE / "config.json", "dvc repro fetch_model")
    found: PreTrainedConfig = AutoConfig.from_pretrained(paths.BASE, local_files_only=True)
    return found


def sequences(examples: Sequence[Example], params: Params) -> packing.Sequences:
    """The examples as training sequences: packed into max_length tokens, or one row each."""
    lengths = [len(example.input_ids) for example in examples]
    groups = packing.pack(lengths, params.sequence_length) if params.packing else [[row] for row in range(len(lengths))]
    return packing.Sequences([[examples[row] for row in group] for group in groups], groups)


def read(
    file: Path, prompter: Prompter, params: Params, dropout: float = 0.0
) -> tuple[list[Example], packing.Sequences]:
    """The rows of a file as examples and as sequences; UserError with the first row that fails the validation."""
    examples = tokenized_rows.examples(file, paths.BASE, prompter, params, dropout)
    row_validation.check_lengths(examples, params, file)
    packed = sequences(examples, params)
    vocabulary = config().get_text_config().vocab_size
    row_validation.check(packed, prompter.end, vocabulary, file)
    return examples, packed
