"""params.yaml as checked, frozen objects. This is its only reader; the defaults are in the file, none are here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from copywriter import lora_options, paths
from copywriter.errors import UserError

Model = TypeVar("Model", bound=BaseModel)
Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]  # DVC resolves ${dataset} as a key: a dot would split it


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Lora(Section):
    """Any other key is an option of PEFT's LoraConfig."""

    model_config = ConfigDict(extra="allow")

    r: Count
    alpha: Count
    dropout: Annotated[float, Field(ge=0, lt=1)]
    target_modules: Annotated[str, Field(min_length=1)] | Annotated[list[str], Field(min_length=1)]

    @model_validator(mode="after")
    def _has_known_options(self) -> "Lora":
        lora_options.check(self.options)
        return self

    @property
    def options(self) -> dict[str, Any]:
        """The keys that are options of PEFT's LoraConfig."""
        return dict(self.model_extra or {})


class Schedule(Section):
    shape: Literal["wsd", "cosine", "linear", "constant"]
    warmup_steps: Annotated[int, Field(ge=0)]
    decay: Annotated[float, Field(ge=0, lt=1)]


class Clean(Section):
    max_malformed: Annotated[float, Field(ge=0, le=1)]
    without: list[str]


class Sample(Section):
    size: Count


class Split(Section):
    train: Share
    validation: Share
    near_duplicates: Literal["keep", "thin"]

    @model_validator(mode="after")
    def _leaves_a_test_set(self) -> "Split":
        if self.train + self.validation > 1 - 1e-6:
            raise ValueError(
                f"train {self.train} and validation {self.validation} leave no test rows; lower one of them"
            )
        return self


class Retrieval(Section):
    neighbours: Annotated[int, Field(ge=0, le=8)]
    words: Count
    max_length: Count
    dropout: Annotated[float, Field(ge=0, le=1)]
    template: str

    @model_validator(mode="after")
    def _names_its_fields(self) -> "Retrieval":
        if any(self.template.count(field) != 1 for field in ("{title}", "{description}")):
            raise ValueError("template must contain {title} and {description} once")
        return self


class Prompt(Section):
    questions: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    template: str
    plain: str

    @model_validator(mode="after")
    def _names_its_fields(self) -> "Prompt":
        for name, text, fields in (
            ("template", self.template, ("question", "title")),
            ("plain", self.plain, ("message",)),
        ):
            if any(text.count("{" + field + "}") != 1 for field in fields):
                raise ValueError(f"{name} must contain {' and '.join('{' + field + '}' for field in fields)} once")
        if self.template.count("{facts}") > 1:
            raise ValueError("template must contain {facts} once, or not at all")
        return self


class Decoding(Section):
    candidates: Annotated[int, Field(ge=1, le=8)]
    max_new_tokens: Count
    batch_size: Count
    repetition_penalty: Annotated[float, Field(gt=0)]
    no_repeat_ngram_size: Annotated[int, Field(ge=0)]


class Advanced(Section):
    constrain_numbers: bool
    train_on_unsupported: bool
    memory_fit: Literal["auto", "stop"]
    dequantize: Literal["auto"] | bool
    gradient_checkpointing: bool
    compile: Literal["auto"] | bool
    cuda_graph: bool
    deterministic: bool
    eval_steps: Count
    log_steps: Count
    decay_shape: Literal["linear", "1-sqrt"]
    weight_decay: Annotated[float, Field(ge=0)]
    max_grad_norm: Annotated[float, Field(gt=0)]


class Params(Section):
    """What was asked for; copywriter/training/run_plan.py decides what a training does."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    dataset: Name
    model: Name
    max_length: Annotated[int, Field(ge=16)]
    max_prompt_length: Annotated[int, Field(ge=8)]
    batch_size: Count
    micro_batch_size: Count
    epochs: Annotated[int, Field(ge=0)]
    learning_rate: Annotated[float, Field(gt=0)]
    quantization: Literal["4bit", "8bit", "none"]
    precision: Literal["auto", "bf16", "fp16", "fp32"]
    packing: bool
    save_steps: Count
    tracking: list[Literal["tensorboard", "wandb"]]
    lora: Lora
    schedule: Schedule
    clean: Clean
    sample: Sample
    split: Split
    prompt: Prompt
    retrieval: Retrieval
    decoding: Decoding
    advanced: Advanced

    @model_validator(mode="after")
    def _fits_together(self) -> "Params":
        if self.max_prompt_length >= self.max_length:
            raise ValueError(
                f"max_prompt_length {self.max_prompt_length} is not below max_length {self.max_length}; lower it"
            )
        if self.prompt.template.count("{neighbours}") != 1 and self.retrieval.neighbours:
            raise ValueError(
                f"retrieval.neighbours {self.retrieval.neighbours} needs a place: prompt.template must contain "
                "{neighbours} once"
            )
        if self.batch_size % self.micro_batch_size:
            raise ValueError(f"micro_batch_size {self.micro_batch_size} does not divide batch_size {self.batch_size}")
        return self

    @property
    def retrieved_length(self) -> int:
        """Tokens that retrieved text may take, on top of max_length."""
        return self.retrieval.max_length if self.retrieval.neighbours else 0

    @property
    def longest_prompt(self) -> int:
        """Tokens that a prompt with its retrieved text may take."""
        return self.max_prompt_length + self.retrieved_length

    @property
    def sequence_length(self) -> int:
        """Tokens that a row with its retrieved text may take: the length of a packed sequence."""
        return self.max_length + self.retrieved_length

    @property
    def writing(self) -> dict[str, Any]:
        """The settings that decide a text, besides its prompt."""
        return self.decoding.model_dump() | {"constrain_numbers": self.advanced.constrain_numbers}

    @property
    def max_response_length(self) -> int:
        """Tokens a response may take, its end token included."""
        return self.max_length - self.max_prompt_length


def load(path: Path = paths.PARAMS) -> Params:
    """The checked params; UserError names every mistake at once."""
    return read(Params, path)


def retrieval_of(recorded: Mapping[str, Any], here: Params) -> Any:
    """The section `retrieval` of a receipt's params; one that lacks it is of an adapter trained without neighbours."""
    return recorded.get("retrieval", here.retrieval.model_dump() | {"neighbours": 0})


def read(model: type[Model], path: Path) -> Model:
    """A YAML file as a `model`; UserError when it is missing or not YAML, or with every mistake at once."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run from the repository's root") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    return check(model, content, str(path))


def check(model: type[Model], content: object, where: str) -> Model:
    """`content` as a `model`; UserError names every mistake at once, by key, with the value found."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{where}: " + "; ".join(_sentence(mistake) for mistake in error.errors())) from None


def _sentence(mistake: Any) -> str:
    key = ".".join(str(part) for part in mistake["loc"])
    if mistake["type"] == "extra_forbidden":
        return f"{key} is not a known key (mistyped?)"
    if mistake["type"] == "missing":
        return f"{key} is missing"
    if mistake["type"] == "value_error":
        return f"{key + ': ' if key else ''}{mistake['ctx']['error']}"
    return f"{key} is {mistake['input']!r}: {mistake['msg'][0].lower()}{mistake['msg'][1:]}"
