"""Messages of `ask` and `make demo` in English, or in Portuguese where the locale asks for it.

JSON, and errors that may become part of it, stay English.
"""

import os

PORTUGUESE = {
    # ask
    "ask: type a title; an empty line quits": "ask: digite um título; uma linha vazia encerra",
    "title> ": "título> ",
    "tuned": "ajustado",
    "source: {title} ({similarity:.2f})": "fonte: {title} ({similarity:.2f})",
    "unsupported: {numbers}": "sem fonte: {numbers}",
    "unsupported in {name}: {numbers}": "sem fonte em {name}: {numbers}",
    "--fact {fact}: write NAME=VALUE, such as brand=Acme": "--fact {fact}: escreva NOME=VALOR, como brand=Acme",
    "--seed has no effect on greedy decoding; add --temperature 0.7": (
        "--seed não tem efeito na decodificação gulosa; acrescente --temperature 0.7"
    ),
    "--temperature {temperature} is below 0; 0 is greedy decoding, 1 samples from the model as trained": (
        "--temperature {temperature} é menor que 0; 0 é decodificação gulosa, 1 amostra do modelo como foi treinado"
    ),
    "--best chooses among greedy texts; leave --temperature out": (
        "--best escolhe entre textos gulosos; não use --temperature junto"
    ),
    "--words {words} is out of range; give a number from 1 to {most}": (
        "--words {words} está fora do intervalo; use um número de 1 a {most}"
    ),
    "--best chooses among texts of the model's own length; leave --words out": (
        "--best escolhe entre textos com o tamanho que o modelo decide; não use --words junto"
    ),
    "--compare shows the base beside an adapter; leave --weights {base} out": (
        "--compare mostra o modelo base ao lado de um adaptador; não use --weights {base}"
    ),
    "{weights} does not exist; --weights is the folder of an adapter, a base model or an export": (
        "{weights} não existe; --weights é a pasta de um adaptador, de um modelo base ou de uma exportação"
    ),
    "--file and standard input are decoded greedily; leave TITLE and --temperature out": (
        "--file e a entrada padrão usam decodificação gulosa; não use TITLE nem --temperature junto"
    ),
    "{source} cannot be read ({reason}); name a file with a title on each line": (
        "não foi possível ler {source} ({reason}); indique um arquivo com um título em cada linha"
    ),
    "ask: {path} is missing (run 'dvc repro split'), so texts are written without similar products": (
        "ask: falta {path} (execute 'dvc repro split'), por isso os textos são escritos sem produtos parecidos"
    ),
    "ask: {path} is not the training set of {weights}; it is used all the same": (
        "ask: {path} não é o conjunto de treino de {weights}; será usado mesmo assim"
    ),
    # make demo
    'demo: Git has no {key}, and DVC\'s experiments are commits; type git config --global {key} "..." and run '
    "make demo again": (
        'demo: o Git não tem {key}, e os experimentos do DVC são commits; digite git config --global {key} "..." e '
        "execute make demo de novo"
    ),
    "demo: the experiment {name} failed; see its messages above": (
        "demo: o experimento {name} falhou; veja as mensagens dele acima"
    ),
    "scores of {base} and {tuned}": "métricas de {base} e {tuned}",
    "\ntitle:     {title}\nreference: {reference}\nbase:      {base}\ntuned:     {tuned}": (
        "\ntítulo:     {title}\nreferência: {reference}\nbase:       {base}\najustado:   {tuned}"
    ),
}


def message(text: str, **values: object) -> str:
    """`text`, an English key of PORTUGUESE, in the language of the locale and with `values` in its placeholders."""
    return (PORTUGUESE[text] if portuguese() else text).format(**values)


def portuguese() -> bool:
    """Whether the locale of messages is Portuguese: the first of POSIX's variables that is not empty decides."""
    set_ones = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return next((value for value in set_ones if value), "").lower().startswith("pt")
