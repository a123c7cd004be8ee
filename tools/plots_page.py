"""Writes .dvc/plots.html: the template of `dvc plots show` with Vega inside, so that plots open without a network.

.dvc/config names it and Git tracks it, so every checkout has it, however the packages were installed. After a change
here, or of the pin of vl-convert in requirements-dev.txt, run `python -m tools.plots_page` and commit the file.
"""

from pathlib import Path

import vl_convert

from copywriter import files, stage
from copywriter.errors import UserError

PAGE = Path(".dvc/plots.html")
VEGA_LITE = "5.21"  # DVC 3.67 writes its plots for version 5

# The bundle ends with this. Vega's menu would offer to send the data to vega.github.io: that entry is left out.
_GLOBAL = """
const dashes = [[1, 0], [8, 4], [2, 3], [12, 3, 2, 3]];
const titles = {rev: "revision", field: "", "filename::field": ""};
const readable = (spec) => {
  for (const scale of spec.scales ?? []) {
    if (scale.name === "strokeDash" && scale.domain.length <= dashes.length) {
      scale.range = dashes.slice(0, scale.domain.length);
    }
  }
  for (const legend of spec.legends ?? []) {
    legend.symbolType = "stroke";
    legend.title = titles[legend.title] ?? legend.title;
  }
  return spec;
};
window.vegaEmbed = (place, spec, options) => vegaEmbed(place, {...spec, width: 440}, {
  actions: {export: true, source: true, compiled: false, editor: false},
  patch: readable,
  config: {
    font: "system-ui, sans-serif",
    title: {fontSize: 16, offset: 12},
    axis: {labelFontSize: 12, titleFontSize: 13, titleFontWeight: "normal", gridColor: "#eee"},
    legend: {
      orient: "bottom", direction: "vertical", labelFontSize: 12, labelLimit: 400, titleFontSize: 12,
      titleFontWeight: "normal", symbolSize: 400, symbolStrokeWidth: 2
    },
  },
  ...options,
});
"""

# The file redistributes these libraries, whose licences ask for this.
_NOTICE = """\
The script below contains:
  Vega, Vega-Lite and Vega-Embed. Copyright (c) 2015-2023, University of Washington Interactive Data Lab. BSD-3-Clause.
  d3 and internmap. Copyright 2010-2026 Mike Bostock. ISC.   topojson-client. Copyright 2012-2019 Michael Bostock. ISC.
  delaunator. Copyright (c) 2026, Mapbox. ISC.    semver. Copyright (c) Isaac Z. Schlueter and Contributors. ISC.
  fast-json-patch. Copyright (c) 2013, 2014, 2020 Joachim Wester. MIT.    tslib. Copyright (c) Microsoft Corp. 0BSD.
  json-stringify-pretty-compact. Copyright (c) 2014-2022 Simon Lydell. MIT.    robust-predicates. Unlicense.

BSD-3-Clause: Redistribution and use in source and binary forms, with or without modification, are permitted provided
that the following conditions are met: 1. Redistributions of source code must retain the above copyright notice, this
list of conditions and the following disclaimer. 2. Redistributions in binary form must reproduce the above copyright
notice, this list of conditions and the following disclaimer in the documentation and/or other materials provided with
the distribution. 3. Neither the name of the copyright holder nor the names of its contributors may be used to endorse
or promote products derived from this software without specific prior written permission.
THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES,
INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT OWNER OR CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL,
SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY,
WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF
THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.

ISC: Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby
granted, provided that the above copyright notice and this permission notice appear in all copies.
THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL
IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT,
INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN
ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF
THIS SOFTWARE.

MIT: Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions: The above copyright notice and
this permission notice shall be included in all copies or substantial portions of the Software.
THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""

# {refresh_tag} and {plot_divs} are DVC's. {scripts}, its links to a CDN, is left out and the policy would refuse them.
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src 'self' file: data: blob:; \
style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'">
{refresh_tag}
<title>Copywriter: plots</title>
<style>
body { margin: 2rem auto; max-width: 80rem; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; color: #222; }
h1 { font-size: 1.5rem; font-weight: 600; margin: 0; }
p { margin: 0 0 1.5rem; color: #666; }
main { display: flex; flex-wrap: wrap; gap: 2rem; }
main > div { overflow-x: auto; }
table { border-spacing: 1rem; }
</style>
<!--
@notice-->
<script>
(() => {
@bundle
})();
</script>
</head>
<body>
<h1>Copywriter: plots</h1>
<p>One colour a revision. Drag to move, scroll to zoom, double-click to go back.</p>
<main>
{plot_divs}
</main>
</body>
</html>
"""


def page() -> str:
    """The HTML template with Vega, Vega-Lite and Vega-Embed in it; in it `vegaEmbed` is a global function."""
    bundle = vl_convert.javascript_bundle(_GLOBAL, vl_version=VEGA_LITE)
    return _PAGE.replace("@notice", _NOTICE).replace("@bundle", bundle.replace("</script", "<\\/script"))


def run(to: Path = PAGE) -> str:
    """Writes the page; the summary line. UserError outside the repository's root."""
    if not to.parent.is_dir():
        raise UserError(f"{to.parent} is missing; run from the repository's root")
    with files.new_file(to) as aside:
        aside.write_text(page(), encoding="utf-8")
    return f"wrote {to} ({to.stat().st_size / 1e6:.1f} MB)"


def main() -> None:
    """Wires the command."""
    stage.run("plots_page", run)


if __name__ == "__main__":
    main()
