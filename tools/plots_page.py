"""The page that `dvc plots show` fills, with Vega inside it: plots open without a network.

`python -m tools.plots_page` writes .dvc/plots.html and names it in .dvc/config.local, which Git does not track:
a checkout without the page still gets DVC's own, whose scripts come from a CDN.
"""

import subprocess
import sys
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
    return _PAGE.replace("@bundle", bundle.replace("</script", "<\\/script"))


def run(to: Path = PAGE) -> str:
    """Writes the page and sets it as the template in this checkout's DVC configuration; the summary line."""
    if not to.parent.is_dir():
        raise UserError(f"{to.parent} is missing; run from the repository's root")
    with files.new_file(to) as aside:
        aside.write_text(page(), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "dvc", "config", "--local", "plots.html_template", to.name], check=True)
    return f"wrote {to} ({to.stat().st_size / 1e6:.1f} MB), the template of 'dvc plots show' in this checkout"


def main() -> None:
    """Wires the command."""
    stage.run("plots_page", run)


if __name__ == "__main__":
    main()
