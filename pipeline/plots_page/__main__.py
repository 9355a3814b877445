"""DVC's plots as a page that works without a network: DVC's own loads its scripts from one."""

import subprocess
import sys

from pipeline.core import files, paths
from pipeline.core.command import command
from pipeline.core.errors import PipelineError

VEGA_LITE = "5.20"
"""DVC writes specifications of Vega-Lite 5."""
PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>DVC plots</title><script>(() => {{{bundle}}})()</script></head>
<body>{{plot_divs}}</body>
</html>
"""


@command
def main(revisions: list[str]) -> None:
    """Write outputs/plots/index.html: the workspace's plots, or with `revisions` theirs laid over each other."""
    import vl_convert

    folder = paths.ROOT / "outputs" / "plots"
    template = folder / "template.html"
    bundle = vl_convert.javascript_bundle(vl_version=VEGA_LITE).replace("</script", "<\\/script")
    files.replace(template, PAGE.format(bundle=bundle).encode())
    what = ["diff", *revisions] if revisions else ["show"]
    command = [sys.executable, "-m", "dvc", "plots", *what, "--out", str(folder), "--html-template", str(template)]
    if code := subprocess.run(command, cwd=paths.ROOT).returncode:
        raise PipelineError(f"`dvc plots {' '.join(what)}` ended with exit code {code}")


if __name__ == "__main__":
    main()
