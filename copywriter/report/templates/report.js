"use strict";
// The table of texts. Texts are set as textContent, so that none can become markup.
(() => {
  const SIDES = ["nearest", "base", "tuned"], TUNED = 2, BASE = 1, NEAREST = 0, AT_ONCE = 20;
  const rows = JSON.parse(document.getElementById("data-rows").textContent);
  const byId = (id) => document.getElementById(id);
  const gain = (row) => row.rougeL[TUNED] - row.rougeL[BASE];
  const orders = {
    test: null,
    gain: (a, b) => gain(b) - gain(a),
    loss: (a, b) => gain(a) - gain(b),
    best: (a, b) => b.rougeL[TUNED] - a.rougeL[TUNED],
    worst: (a, b) => a.rougeL[TUNED] - b.rougeL[TUNED],
    far: (a, b) => a.similarity - b.similarity,
  };
  const filters = {
    all: () => true,
    running: (row) => !row.stopped[TUNED],
    ungrounded: (row) => row.ungrounded[TUNED].length > 0,
    beaten: (row) => row.rougeL[NEAREST] > row.rougeL[TUNED],
    equal: (row) => row.written[BASE] === row.written[TUNED],
  };
  let chosen = rows, shown = 0;

  const element = (tag, kind, text) => {
    const made = document.createElement(tag);
    if (kind) made.className = kind;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  // Words, and what is between them; in scripts without spaces every letter with its marks is a word.
  const scripts = ["Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar"];
  const unspaced = `[${scripts.map((name) => `\\p{sc=${name}}`).join("")}]`;
  const word = `(?:(?!${unspaced})[\\p{L}\\p{N}\\p{M}])+(?:[.,]\\d+)*`;
  const piece = new RegExp(`${unspaced}\\p{M}*|${word}|[^\\p{L}\\p{N}\\p{M}]+`, "gu");
  const pieces = (text) => text.match(piece) ?? [];
  const isWord = (piece) => /^[\p{L}\p{N}]/u.test(piece);

  // Indices of the words of `right` in a longest common subsequence with `left`.
  const common = (left, right) => {
    const width = right.length + 1, table = new Uint16Array((left.length + 1) * width);
    for (let i = left.length - 1; i >= 0; i--) {
      for (let j = right.length - 1; j >= 0; j--) {
        table[i * width + j] = left[i] === right[j]
          ? table[(i + 1) * width + j + 1] + 1
          : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
      }
    }
    const found = new Set();
    for (let i = 0, j = 0; i < left.length && j < right.length;) {
      if (left[i] === right[j]) { found.add(j); i++; j++; }
      else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) i++;
      else j++;
    }
    return found;
  };

  // `spans`: start and end of each ungrounded number.
  const marked = (text, reference, spans) => {
    const place = element("div", "text");
    const words = (of) => pieces(of).filter(isWord).map((word) => word.toLowerCase());
    const same = common(words(reference).slice(0, 800), words(text).slice(0, 800));
    let word = -1, end = 0;
    for (const piece of pieces(text)) {
      const start = end;
      end += piece.length;
      if (!isWord(piece)) { place.append(piece); continue; }
      word++;
      const ungrounded = spans.some(([from, to]) => from < end && start < to);
      const kinds = [same.has(word) ? "same" : "", ungrounded ? "number" : ""].join(" ").trim();
      place.append(kinds ? element("mark", kinds, piece) : piece);
    }
    if (!text.trim()) place.append(element("i", "", "nothing"));
    return place;
  };

  const side = (name, note, text, cut) => {
    const place = element("div"), head = element("h4", "", name);
    if (SIDES.includes(name)) head.prepend(element("i", "key " + name));
    head.append(note);
    if (cut) head.append(element("span", "cut", ", did not stop"));
    place.append(head, text);
    return place;
  };

  const article = (row) => {
    const made = element("article"), sides = element("div", "sides");
    made.append(element("h3", "", row.title));
    const similarity = `similarity to a training title: ${row.similarity.toFixed(2)}`;
    const facts = row.facts ? ` · facts: ${row.facts}` : "";
    made.append(element("p", "", `question: ${row.question}${facts} · ${similarity}`));
    if (row.sources.length) {
      const named = row.sources.map(([title, near]) => `“${title}” (${near.toFixed(2)})`);
      made.append(element("p", "", `sources: ${named.join(", ")}`));
    }
    sides.append(side("catalogue", "", element("div", "text", row.reference)));
    for (const number of [BASE, TUNED, NEAREST]) {
      const source = number === NEAREST ? `, from “${row.nearest_title}”` : "";
      const note = ` · ROUGE-L ${row.rougeL[number].toFixed(1)}${source}`;
      const text = marked(row.written[number], row.reference, row.ungrounded[number]);
      sides.append(side(SIDES[number], note, text, !row.stopped[number]));
    }
    made.append(sides);
    return made;
  };

  const more = () => {
    const part = document.createDocumentFragment();
    for (const row of chosen.slice(shown, shown + AT_ONCE)) part.append(article(row));
    shown = Math.min(shown + AT_ONCE, chosen.length);
    byId("rows").append(part);
    byId("more").hidden = shown >= chosen.length;
    byId("count").textContent = `${shown.toLocaleString("en")} shown of ${chosen.length.toLocaleString("en")}`;
  };

  const choose = () => {
    const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = filters[byId("only").value], order = orders[byId("order").value];
    chosen = rows.filter((row) => {
      if (!wanted(row)) return false;
      row.all ??= [row.title, row.reference, ...row.written].join("\n").toLowerCase();
      return words.every((word) => row.all.includes(word));
    });
    if (order) chosen.sort(order);
    shown = 0;
    byId("rows").replaceChildren();
    more();
  };

  let waiting;
  byId("search").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(choose, 150); });
  for (const id of ["order", "only"]) byId(id).addEventListener("change", choose);
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("more").addEventListener("click", more);
  new IntersectionObserver((seen) => { if (seen.some((one) => one.isIntersecting)) more(); }, { rootMargin: "600px" })
    .observe(byId("more"));
  choose();
})();
