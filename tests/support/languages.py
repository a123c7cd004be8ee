"""A small catalogue in Portuguese, Russian and Japanese, with the faults of real exports: 36 rows a language."""

from typing import NamedTuple


class Language(NamedTuple):
    """Products by their texts, the colours of their variants, and how a title and a description are put together."""

    products: dict[str, str]
    colours: tuple[str, str, str]
    title: str
    sentence: str


LANGUAGES = {
    "pt": Language(
        {
            "Caneca de cerâmica": "Caneca esmaltada para café e chá. Pode ir ao micro-ondas e à máquina de lavar.",
            "Bolsa de lona": "Bolsa resistente com bolso interno. Ótima para a feira, a praia e o dia a dia.",
            "Luminária de mesa": "Luminária com braço ajustável. A luz é suave e não cansa os olhos durante a leitura.",
            "Cobertor de lã": "Cobertor macio tecido à mão. Aquece bem nas noites frias e pesa muito pouco.",
            "Relógio de parede": "Relógio silencioso com números grandes. Funciona com uma pilha, que não vem junto.",
            "Tábua de corte": "Tábua de bambu com canaleta para líquidos. Não risca as facas e seca depressa.",
            "Vaso de barro": "Vaso com furo de drenagem e prato. Serve para ervas, suculentas e flores pequenas.",
            "Mochila escolar": "Mochila leve com alças acolchoadas. Tem espaço para cadernos, estojo e garrafa.",
            "Guarda-chuva dobrável": "Guarda-chuva que abre com um botão. As varetas de fibra resistem ao vento forte.",
            "Jogo de lençóis": "Lençóis de algodão com fronhas. Ficam mais macios a cada lavagem e não desbotam.",
            "Chaleira elétrica": "Chaleira que desliga sozinha quando a água ferve. A base gira em todas as direções.",
            "Tapete de banheiro": "Tapete felpudo que absorve a água. A parte de baixo não escorrega no piso molhado.",
        },
        ("Vermelho", "Azul", "Preto"),
        "{product} {colour}",
        "<p>{text}</p>\\nCor: <b>{colour}</b>.",
    ),
    "ru": Language(
        {
            "Кружка керамическая": "Кружка для чая и кофе покрыта глазурью. Её можно мыть в посудомоечной машине.",
            "Сумка холщовая": "Прочная сумка с внутренним карманом. Удобна для покупок, прогулок и поездок.",
            "Лампа настольная": "Лампа с гибкой ножкой светит мягко. Глаза не устают даже при долгом чтении.",
            "Плед шерстяной": "Тёплый плед соткан вручную. Он почти ничего не весит и согревает в мороз.",
            "Часы настенные": "Бесшумные часы с крупными цифрами. Батарейка в комплект не входит.",
            "Доска разделочная": "Бамбуковая доска с желобком для сока. Не тупит ножи и быстро сохнет.",
            "Горшок глиняный": "Горшок с отверстием и поддоном. Подходит для трав, кактусов и мелких цветов.",
            "Рюкзак школьный": "Лёгкий рюкзак с мягкими лямками. Вмещает тетради, пенал и бутылку воды.",
            "Зонт складной": "Зонт открывается одной кнопкой. Спицы выдерживают сильный ветер.",
            "Комплект белья": "Постельное бельё из хлопка с наволочками. После стирки становится ещё мягче.",
            "Чайник электрический": "Чайник сам выключается, когда вода закипит. Подставка вращается в обе стороны.",
            "Коврик для ванной": "Пушистый коврик хорошо впитывает воду. Нижняя сторона не скользит по плитке.",
        },
        ("Красная", "Синяя", "Чёрная"),
        "{product}, {colour}",
        "{text}<br/>Цвет:&nbsp;{colour}. [vc_row][/vc_row]",
    ),
    "ja": Language(
        {
            "陶器のマグカップ": "毎日使える丈夫なカップです。電子レンジと食器洗い機に対応しています。",
            "帆布の手提げ袋": "内側に小さなポケットが付いています。買い物や通勤にとても便利です。",
            "卓上ライト": "首の角度を自由に変えられます。やわらかい光なので長い読書でも目が疲れません。",
            "羊毛の毛布": "一枚ずつ手で織り上げました。とても軽く、寒い夜も朝まで暖かく眠れます。",
            "壁掛け時計": "音が静かで数字が大きく見やすい時計です。電池は付属していません。",
            "竹のまな板": "溝があるので汁がこぼれません。包丁の刃を傷めず、洗った後はすぐに乾きます。",
            "素焼きの植木鉢": "底に穴があり、受け皿も付いています。ハーブや多肉植物、小さな花に向いています。",
            "通学用リュック": "背中と肩のあて布が厚く、重い教科書を入れても楽に背負えます。",
            "折りたたみ傘": "ボタン一つで開きます。骨はしなやかで、強い風を受けても折れにくい作りです。",
            "綿のシーツ": "肌ざわりのよい綿を使いました。枕カバーが二枚付き、洗うたびに柔らかくなります。",
            "電気ケトル": "お湯が沸くと自動で電源が切れます。台の上でどの向きにも置けるので便利です。",
            "浴室マット": "水をよく吸い、足元がさらりと乾きます。裏面は濡れた床でもすべりません。",
        },
        ("赤", "青", "黒"),
        "{product} {colour}",
        "<ul><li>{text}</li><li>色は{colour}です</li></ul>_x000D_",
    ),
}


def rows() -> list[tuple[str, str]]:
    """Titles with descriptions as an export has them, the languages in turn; one title comes twice in each."""
    found = []
    for colour in range(3):
        for number in range(12):
            for language in LANGUAGES.values():
                product, text = list(language.products.items())[number]
                names = {"product": product, "colour": language.colours[colour], "text": text}
                found.append((language.title.format(**names), language.sentence.format(**names)))
    return found + found[:3]
