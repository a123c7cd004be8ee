// Copies and saves what the page shows, in the browser: the server keeps no file of it.
window.copywriter = {
  rows: [],
  keep(row) {
    if (row) this.rows.push(row);
  },
  copy(id) {
    const shown = document.getElementById(id);
    if (!shown || !shown.textContent) return;
    if (navigator.clipboard && window.isSecureContext) {
      navigator.clipboard.writeText(shown.textContent);
    } else {
      const range = document.createRange();
      range.selectNodeContents(shown);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      document.execCommand("copy");
    }
  },
  download(name) {
    if (this.rows.length) this.save(name, this.rows.join("\n") + "\n", "application/jsonl");
  },
  save(name, text, type) {
    if (!text) return;
    // A byte order mark, without which Excel takes UTF-8 for Windows-1252.
    const parts = type === "text/csv" ? ["\ufeff", text] : [text];
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(parts, { type: type + ";charset=utf-8" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  },
};
