"""Files in the layouts that shop systems and data sets publish, each with a few products written for these tests."""

import csv
import io
import json
from typing import NamedTuple

MUGS = [
    ("Red mug", "<p>A red mug for tea. It holds 200 ml.</p>", "A red mug."),
    ("Blue jug", "<p>A blue jug for milk, water or flowers. Dishwasher safe.</p>", "A blue jug."),
    ("Green bowl", "<p>A green bowl for soup. Made by hand in a small workshop.</p>", "A green bowl."),
    ("White plate", "<p>A white plate for cakes. It is 22 cm wide.</p>", "A white plate."),
]
TEASER = "Buy {} online today with free delivery in the whole country and 30 days to return it"


class Export(NamedTuple):
    """A file as an exporter writes it, and what is right for it: None where no column is a description."""

    file: str
    content: bytes
    rows: int
    kept: int
    title: str
    description: str | None


def table(names: str, rows: list[dict[str, str]], delimiter: str = ",", encoding: str = "utf-8") -> bytes:
    """Rows under a header of names that are parted by bars; a row has the cells that it names, others are empty."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names.split("|"), restval="", delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


def shopify() -> bytes:
    names = (
        "Handle|Title|Body (HTML)|Vendor|Product Category|Type|Tags|Published|Option1 Name|Option1 Value|Variant SKU"
        "|Variant Grams|Variant Price|Image Src|Image Position|Image Alt Text|SEO Title|SEO Description|Status"
    )
    rows = []
    for number, (title, body, _) in enumerate(MUGS):
        handle = title.lower().replace(" ", "-")
        image = {"Image Src": f"https://cdn.example/{handle}.jpg?v=1", "Image Position": "1", "Image Alt Text": title}
        first = {
            "Handle": handle,
            "Title": title,
            "Body (HTML)": body,
            "Vendor": "Clay Ltd",
            "Tags": "clay, kitchen, gift",
        }
        first |= {"Product Category": "Home & Garden > Kitchen", "Type": "Tableware", "Published": "true"}
        first |= {"Option1 Name": "Size", "SEO Title": f"{title} | Clay", "SEO Description": TEASER.format(title)}
        sizes = [{"Option1 Value": size, "Variant SKU": f"{number}-{size}", "Variant Price": "4"} for size in "SML"]
        rows += [first | sizes[0] | image, *({"Handle": handle} | one for one in sizes[1:])]
    return table(names, rows)


WOOCOMMERCE = (
    "ID|Type|SKU|Name|Published|Is featured?|Visibility in catalog|Short description|Description|Tax status"
    "|In stock?|Regular price|Categories|Tags|Images|Position|Meta: _yoast_wpseo_metadesc"
)


def woocommerce() -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(WOOCOMMERCE.split("|"))
    for number, (title, body, short) in enumerate(MUGS):
        body = body.replace(". ", ".\n\n")  # over several lines; and trailing empty cells are not written
        row = [str(number), "simple", f"SKU-{number}", title, "1", "0", "visible", short, body, "taxable", "1", "4"]
        writer.writerow(row + (["Kitchen > Cups", "clay, gift"] if number % 2 else []))
        writer.writerow([str(number + 100), "variation", f"SKU-{number}-1", f"{title} - small", "1", "0", "visible"])
    return text.getvalue().encode("utf-8-sig")


def magento() -> bytes:
    names = (
        "sku|store_view_code|attribute_set_code|product_type|categories|product_websites|name|description"
        "|short_description|weight|price|url_key|meta_title|meta_keywords|meta_description|base_image"
        "|additional_images|additional_attributes"
    )
    rows = [
        {"sku": f"24-MB0{number}", "attribute_set_code": "Default", "product_type": "simple", "name": title}
        | {"categories": "Default Category/Kitchen,Default Category/Cups", "product_websites": "base"}
        | {"description": body, "short_description": short, "url_key": title.lower().replace(" ", "-")}
        | {"meta_title": title, "meta_keywords": "mug, clay, gift", "meta_description": TEASER.format(title)}
        | {"base_image": f"/m/b/mb0{number}.jpg", "additional_images": f"/m/b/{number}.jpg,/m/b/{number}a.jpg"}
        | {"additional_attributes": "color=Red,material=Clay"}
        for number, (title, body, short) in enumerate(MUGS)
    ]
    return table(names, rows)


def etsy() -> bytes:
    names = (
        "TITLE|DESCRIPTION|PRICE|CURRENCY_CODE|QUANTITY|TAGS|MATERIALS|IMAGE1|IMAGE2|VARIATION 1 TYPE"
        "|VARIATION 1 NAME|VARIATION 1 VALUES|SKU"
    )
    rows = [
        {
            "TITLE": f"{title}, handmade clay gift",
            "DESCRIPTION": body.replace("<p>", "").replace("</p>", "\n\nThank you!"),
        }
        | {"PRICE": "4.00", "CURRENCY_CODE": "EUR", "TAGS": "red_mug,clay_gift,tea", "MATERIALS": "clay,glaze"}
        | {"IMAGE1": f"https://i.example/{number}.jpg", "VARIATION 1 VALUES": "Small,Large", "SKU": f"E{number}"}
        for number, (title, body, _) in enumerate(MUGS)
    ]
    return table(names, rows)


def amazon_flat_file() -> bytes:
    names = "item_sku|item_name|brand_name|product_description|bullet_point1|main_image_url|generic_keywords"
    labels = "Seller SKU\tProduct Name\tBrand Name\tProduct Description\tKey Features\tMain Image URL\tSearch Terms\n"
    rows = [
        {"item_sku": f"A{number}", "item_name": title, "brand_name": "Clay Ltd", "product_description": body}
        | {"bullet_point1": "Dishwasher safe", "main_image_url": f"https://i.example/{number}.jpg"}
        | {"generic_keywords": "mug clay gift tea"}
        for number, (title, body, _) in enumerate(MUGS)
    ]
    first = "TemplateType=fptcustom\tVersion=2024.0101\tThe top 3 rows are for Amazon.com use only.\t\t\t\t\n"
    return first.encode() + labels.encode() + table(names, rows, "\t")


def merchant_tsv() -> bytes:
    names = "id\ttitle\tdescription\tlink\timage_link\tavailability\tprice\tbrand\tgtin\tgoogle_product_category\n"
    rows = "".join(
        f'{number}\t"{title}" by hand\t{body[3:-4]} 9" wide.\thttps://a.example/{number}\thttps://i.example/{number}.jpg'
        f"\tin_stock\t4.00 EUR\tClay Ltd\t400638133393{number}\tHome & Garden > Kitchen\n"
        for number, (title, body, _) in enumerate(MUGS)
    )
    return (names + rows).encode()


def merchant_xml() -> bytes:
    items = "".join(
        f"<item><g:id>{number}</g:id><g:title>{title}</g:title><g:description><![CDATA[{body}]]></g:description>"
        f"<g:link>https://shop.example/{number}</g:link><g:image_link>https://i.example/{number}.jpg</g:image_link>"
        f"<g:price>4.00 EUR</g:price><g:brand>Clay Ltd</g:brand><g:availability>in_stock</g:availability>"
        f"<g:shipping><g:country>DE</g:country><g:price>5 EUR</g:price></g:shipping></item>\n"
        for number, (title, body, _) in enumerate(MUGS)
    )
    start = '<?xml version="1.0"?>\n<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel>'
    return f"{start}<title>Shop</title><link>https://shop.example</link>{items}</channel></rss>".encode()


def prestashop() -> bytes:
    names = (
        "Product ID|Active (0/1)|Name *|Categories (x,y,z...)|Price tax excluded|Reference #|Summary|Description"
        "|Tags (x,y,z...)|Meta title|Meta keywords|Meta description|Image URLs (x,y,z...)|Feature (Name:Value:Position)"
    )
    rows = [
        {"Product ID": str(number), "Active (0/1)": "1", "Name *": title, "Categories (x,y,z...)": "Home,Kitchen,Cups"}
        | {"Summary": short, "Description": body, "Tags (x,y,z...)": "clay,tea,gift", "Meta title": title}
        | {"Meta description": TEASER.format(title), "Image URLs (x,y,z...)": f"http://i.example/{number}.jpg"}
        for number, (title, body, short) in enumerate(MUGS)
    ]
    return table(names, rows, ";")


def nuvemshop() -> bytes:
    names = (
        "Identificador URL|Nome|Categorias|Nome da variação 1|Valor da variação 1|Preço|Estoque|SKU|Exibir na loja"
        "|Frete grátis|Descrição|Tags|Título para SEO|Descrição para SEO|Marca|Produto físico"
    )
    products = [
        ("Caneca vermelha", "<p>Caneca de cerâmica para chá. Vai à máquina de lavar louça.</p>"),
        ("Jarra azul", "<p>Jarra azul para água, leite ou flores. Feita à mão.</p>"),
        ("Tigela verde", "<p>Tigela de cerâmica para sopa. Tem 300 ml.</p>"),
    ]
    rows = []
    for title, body in products:
        link = title.lower().replace(" ", "-")
        first = {"Identificador URL": link, "Nome": title, "Categorias": "Cozinha > Canecas", "Descrição": body}
        first |= {"Título para SEO": title, "Marca": "Barro", "Exibir na loja": "SIM", "Tags": "barro, cozinha, chá"}
        first |= {"Descrição para SEO": f"Compre {title} com frete grátis para todo o Brasil hoje mesmo"}
        sizes = [{"Nome da variação 1": "Tamanho", "Valor da variação 1": size, "Preço": "40,00"} for size in "PG"]
        rows += [first | sizes[0], {"Identificador URL": link} | sizes[1]]
    return table(names, rows, ";", "cp1252")


def open_food_facts() -> bytes:
    names = (
        "code\turl\tcreator\tlast_modified_t\tproduct_name\tgeneric_name\tquantity\tbrands\tcategories\tcategories_tags"
        "\tingredients_text\tstates\tstates_tags\timage_url\n"
    )
    rows = "".join(
        f"300000000000{number}\thttps://world.example/{number}\tuser{number}\t17000000{number}\t{title}\t\t200 g"
        f"\tClay\tSnacks, Spreads\ten:snacks,en:spreads\tSugar, palm oil, {title.lower()} 13%, milk powder"
        f"\ten:to-be-completed, en:to-be-checked\ten:to-be-completed\thttps://i.example/{number}.jpg\n"
        for number, (title, _, _) in enumerate(MUGS)
    )
    return (names + rows).encode()


def amazon_reviews_2023() -> bytes:
    rows = [
        {"main_category": "Home", "title": title, "average_rating": 4.5, "features": ["Dishwasher safe", short]}
        | {"description": [body, "Made by hand."] if number else [], "price": None, "store": "Clay", "videos": []}
        | {
            "images": [{"thumb": "https://i.example/1.jpg", "variant": "MAIN"}],
            "categories": ["Home", "Kitchen", "Cups"],
        }
        | {
            "details": {"Material": "Clay", "Brand": "Clay"},
            "parent_asin": f"B0000000{number}",
            "bought_together": None,
        }
        for number, (title, body, short) in enumerate(MUGS)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def amazon_2014() -> bytes:
    rows = [
        {
            "asin": f"B0000000{number}",
            "title": title,
            "description": f"It's {body}",
            "price": 4.5,
            "imUrl": "http://i/1.jpg",
        }
        | {"salesRank": {"Home": 12}, "categories": [["Home", "Kitchen"]], "related": {"also_bought": ["B1", "B2"]}}
        for number, (title, body, _) in enumerate(MUGS)
    ]
    return "".join(f"{row}\n" for row in rows).encode()


def products_json() -> bytes:
    products = [
        {
            "id": number,
            "title": title,
            "handle": title.lower().replace(" ", "-"),
            "body_html": body,
            "vendor": "Clay Ltd",
        }
        | {"product_type": "Cups", "tags": ["clay", "gift"], "variants": [{"id": 1, "title": "Small", "price": "4.00"}]}
        | {"images": [{"src": "https://i.example/1.jpg"}], "published_at": "2026-01-01T00:00:00+00:00"}
        for number, (title, body, _) in enumerate(MUGS)
    ]
    return json.dumps({"products": products}).encode()


EXPORTS = {
    "Shopify": Export("shopify.csv", shopify(), 12, 4, "Title", "Body (HTML)"),
    "Shopify's products.json": Export("products.json", products_json(), 4, 4, "title", "body_html"),
    "WooCommerce": Export("woocommerce.csv", woocommerce(), 8, 4, "Name", "Description"),
    "Magento 2": Export("magento.csv", magento(), 4, 4, "name", "description"),
    "Etsy": Export("etsy.csv", etsy(), 4, 4, "TITLE", "DESCRIPTION"),
    "Amazon flat file": Export("flat.txt", amazon_flat_file(), 4, 4, "item_name", "product_description"),
    "Google Merchant TSV": Export("merchant.tsv", merchant_tsv(), 4, 4, "title", "description"),
    "Google Merchant XML": Export("merchant.xml", merchant_xml(), 4, 4, "g:title", "g:description"),
    "PrestaShop": Export("prestashop.csv", prestashop(), 4, 4, "Name *", "Description"),
    "Nuvemshop": Export("nuvemshop.csv", nuvemshop(), 6, 3, "Nome", "Descrição"),
    "Open Food Facts": Export("openfoodfacts.tsv", open_food_facts(), 4, 0, "product_name", None),
    "McAuley's Amazon 2023": Export("meta.jsonl", amazon_reviews_2023(), 4, 3, "title", "description"),
    "McAuley's Amazon 2014": Export("meta.json", amazon_2014(), 4, 4, "title", "description"),
}
