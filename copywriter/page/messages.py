"""The page's texts in English and Portuguese."""

from copywriter.messages import portuguese

LANGUAGES = ("en", "pt")


def language() -> str:
    """The language of the locale, as for `ask`."""
    return "pt" if portuguese() else "en"


_TEXTS: dict[str, tuple[str, str]] = {
    "subtitle": (
        "Product descriptions from titles. {model}. Everything runs on this machine.",
        "Descrições de produtos a partir de títulos. {model}. Tudo roda nesta máquina.",
    ),
    "no_adapter": (
        "models/adapter is missing, so only the base model answers. Type <code>dvc pull models/adapter</code> or "
        "<code>dvc repro</code>, then start the page again.",
        "models/adapter não existe; só o modelo base responde. Digite <code>dvc pull models/adapter</code> ou "
        "<code>dvc repro</code> e abra a página de novo.",
    ),
    "no_index": (
        "data/train.parquet is missing, so texts are written without similar products. Type "
        "<code>dvc repro split</code>, then start the page again.",
        "data/train.parquet não existe; os textos são escritos sem produtos semelhantes. Digite "
        "<code>dvc repro split</code> e abra a página de novo.",
    ),
    "one": ("One product", "Um produto"),
    "table": ("A table", "Uma tabela"),
    "scores": ("Scores", "Avaliação"),
    "title": ("Product title", "Título do produto"),
    "title_hint": ("for example {example}", "por exemplo {example}"),
    "facts": ("Facts, a line each: name=value", "Dados do produto, um por linha: nome=valor"),
    "facts_known": ("The adapter knows: {names}", "O adaptador conhece: {names}"),
    "facts_any": ("Any name, such as brand=Acme", "Qualquer nome, por exemplo brand=Acme"),
    "question": ("Your own question", "Sua própria pergunta"),
    "question_hint": ("empty: a question of the training", "vazio: uma pergunta do treino"),
    "compare": ("Also show the base model's text", "Mostrar também o texto do modelo base"),
    "settings": ("Settings", "Opções"),
    "best": (
        "Write {count} candidates and choose, as in evaluation (greedy, slower)",
        "Escrever {count} candidatos e escolher, como na avaliação (sem sorteio, mais lento)",
    ),
    "temperature": ("Temperature (0: always the likeliest word)", "Temperatura (0: sempre a palavra mais provável)"),
    "words": ("Words, about (0: as many as the model likes)", "Palavras, cerca de (0: quantas o modelo quiser)"),
    "seed": ("Seed", "Semente"),
    "write": ("Write", "Escrever"),
    "stop": ("Stop", "Parar"),
    "copy_tuned": ("Copy the tuned text", "Copiar o texto ajustado"),
    "copy_base": ("Copy the base text", "Copiar o texto do modelo base"),
    "download_jsonl": ("Download all as JSONL", "Baixar tudo em JSONL"),
    "examples": ("Titles of the test set", "Títulos do conjunto de teste"),
    "tuned": ("Tuned", "Ajustado"),
    "base": ("Base", "Base"),
    "empty": ("The text appears here.", "O texto aparece aqui."),
    "writing": ("Writing…", "Escrevendo…"),
    "waiting": ("Waiting for the models to load, or for other titles…", "Aguardando os modelos ou outros títulos…"),
    "finished": ("Finished.", "Pronto."),
    "stopped": ("Stopped.", "Interrompido."),
    "ended": ("stopped by itself", "terminou sozinho"),
    "cut": ("cut at the limit of tokens", "cortado no limite de tokens"),
    "counts": ("{tokens} tokens, {seconds:.1f} s, {end}", "{tokens} tokens, {seconds:.1f} s, {end}"),
    "unsupported": (
        "In neither the title, the facts nor the sources: {numbers}",
        "Nem no título, nem nos dados, nem nas fontes: {numbers}",
    ),
    "sources": ("Similar products that the model saw", "Produtos semelhantes que o modelo viu"),
    "no_sources": ("None: the model saw the title alone.", "Nenhum: o modelo viu só o título."),
    "similarity": ("similarity {value:.2f}", "semelhança {value:.2f}"),
    "check": (
        "<mark>Marked</mark> numbers are in neither the title, the facts nor the sources. An unmarked word may be "
        "wrong too: a person must check every text.",
        "Números <mark>marcados</mark> não estão no título, nem nos dados, nem nas fontes. Uma palavra sem marca "
        "também pode estar errada: uma pessoa deve conferir cada texto.",
    ),
    "table_hint": (
        "A .csv or .tsv with a column of titles, or a .txt with a title a line: at most {rows} rows and {megabytes} "
        "MB. The new table has your columns, the text, its unsupported numbers, and the reason where a row has no "
        "text.{facts}",
        "Um .csv ou .tsv com uma coluna de títulos, ou um .txt com um título por linha: no máximo {rows} linhas e "
        "{megabytes} MB. A nova tabela tem suas colunas, o texto, os números sem apoio e o motivo onde uma linha não "
        "tem texto.{facts}",
    ),
    "table_facts": (
        " Columns named {names} are used as facts.",
        " As colunas {names} são usadas como dados do produto.",
    ),
    "file": ("Table of titles", "Tabela de títulos"),
    "table_read": (
        "{file}: {rows} rows, titles in the column “{title}”.",
        "{file}: {rows} linhas, títulos na coluna “{title}”.",
    ),
    "table_bad": (
        "Lines that are no rows: {count}. Each stays in the new table, with its reason.",
        "Linhas inválidas: {count}. Cada uma fica na nova tabela, com o motivo.",
    ),
    "line": ("line {number}: {reason}", "linha {number}: {reason}"),
    "write_table": ("Write all", "Escrever tudo"),
    "download_csv": ("Download the new table", "Baixar a nova tabela"),
    "progress": ("{done} of {total} rows", "{done} de {total} linhas"),
    "progress_failed": ("{failed} without a text", "{failed} sem texto"),
    "progress_left": ("about {minutes} min left", "faltam cerca de {minutes} min"),
    "no_table": ("Choose a table first.", "Escolha primeiro uma tabela."),
    "score_of": (
        "Scores of the last evaluation (metrics/), over {rows} test titles. Higher is better.",
        "Resultados da última avaliação (metrics/), em {rows} títulos de teste. Maior é melhor.",
    ),
    "no_scores": (
        "There are no scores in metrics/; type dvc repro.",
        "Não há resultados em metrics/; digite dvc repro.",
    ),
    "nearest": ("nearest-neighbour baseline", "vizinho mais próximo"),
    "report": ("The whole report with all test titles", "O relatório completo, com todos os títulos de teste"),
    "no_report": (
        "metrics/report.html does not exist; dvc repro report writes it.",
        "metrics/report.html não existe; dvc repro report o escreve.",
    ),
    "login": (
        "Copywriter: log in with the user name {user} and the page's password.",
        "Copywriter: entre com o usuário {user} e a senha da página.",
    ),
    "failed": ("This is an error of the page; the terminal has the details.", "Erro da página; detalhes no terminal."),
}


class Messages:
    """The texts of one language."""

    def __init__(self, chosen: str) -> None:
        self.language = chosen
        self._number = LANGUAGES.index(chosen)

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key with its values filled in; they are not escaped."""
        text = _TEXTS[key][self._number]
        return text.format(**values) if values else text
