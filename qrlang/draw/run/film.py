"""The pictures of a run as one file that plays: a page with a slider, nothing from elsewhere.

All pictures have the same shapes in the same order, so the page holds the first one, and of the
others what differs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

from qrlang.draw.ink import Sheet, attributes, element, style
from qrlang.draw.run.feynman import Curve, draw, scale_of
from qrlang.draw.run.moment import Moment
from qrlang.draw.run.netting import choose

Frame = dict[int, dict[str, str]]  # by number of the shape: attributes, and its text


def film(moments: Sequence[Moment], curve: Curve) -> str:
    scale = scale_of(moments)
    chosen = choose(moments[-1].links)
    sheets = [draw(m, curve, scale, chosen) for m in moments]
    return page(sheets, [m.step for m in moments], moments[-1].model)


def page(sheets: Sequence[Sheet], steps: Sequence[int], title: str) -> str:
    first, frames = differences(sheets)
    moving = sorted({k for frame in frames for k in frame})
    number = {k: i for i, k in enumerate(moving)}
    body = "\n".join(
        element(s, id=f"m{number[k]}" if k in number else "") for k, s in enumerate(first.shapes)
    )
    data = [{number[k]: changed for k, changed in sorted(frame.items())} for frame in frames]
    w, h = f"{first.width:g}", f"{first.height:g}"
    packed = json.dumps({"steps": list(steps), "frames": data}, separators=(",", ":"))
    return _PAGE.format(
        title=escape(title), style=style(), width=w, height=h, body=body,
        data=packed.replace("<", "\\u003c"), last=len(steps) - 1, step=steps[-1],
    )  # fmt: skip


def differences(sheets: Sequence[Sheet]) -> tuple[Sheet, list[Frame]]:
    """The last picture, which is what one sees without scripts; and of each, all attributes that
    are not the same in every one."""
    every = [[attributes(s) for s in sheet.shapes] for sheet in sheets]
    if len({len(shapes) for shapes in every}) > 1:
        raise ValueError("the pictures have different shapes")
    frames: list[Frame] = [{} for _ in every]
    for k in range(len(every[0])):
        names = {name for shapes in every for name in shapes[k]}
        for name in sorted(names):
            values = [shapes[k].get(name, "") for shapes in every]
            if len(set(values)) > 1:
                for frame, value in zip(frames, values, strict=True):
                    frame.setdefault(k, {})[name] = value
    return sheets[-1], frames


_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}: a run</title>
<style>
{style}
body {{ margin: 0; background: #ffffff; color: #1f2328; font: 15px Verdana, sans-serif }}
form {{ display: flex; gap: 1em; align-items: center; padding: .6em 1em; position: sticky; top: 0;
  background: inherit; border-bottom: 1px solid #8c959f }}
input {{ flex: 1; min-width: 6em; accent-color: #c9186a }}
button {{ font: inherit; min-width: 5em; min-height: 2.5em; padding: .3em .8em }}
output {{ min-width: 7em; font-variant-numeric: tabular-nums }}
svg {{ display: block; width: 100%; height: auto; max-width: {width}px; margin: 0 auto }}
@media (prefers-color-scheme: dark) {{ body {{ background: #11151a; color: #e6edf3 }} }}
</style>
<form onsubmit="return false" aria-label="steps of the run">
<button type="button" id="play" aria-pressed="false">Play</button>
<input type="range" id="at" min="0" max="{last}" value="{last}" aria-label="step"
  title="left and right, Home and End; the space bar plays">
<output id="said" for="at">step {step}</output>
</form>
<main>
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"
  aria-label="{title}">
<rect class="f-ground" width="{width}" height="{height}"/>
{body}
</svg>
<noscript><p>Without scripts this page shows the last step only.</p></noscript>
</main>
<script type="application/json" id="film">{data}</script>
<script>
"use strict";
const film = JSON.parse(document.getElementById("film").textContent);
const at = document.getElementById("at"), said = document.getElementById("said");
const play = document.getElementById("play");
const shapes = {{}};
let timer = 0;
function show(k) {{
  for (const [id, changed] of Object.entries(film.frames[k])) {{
    const shape = shapes[id] || (shapes[id] = document.getElementById("m" + id));
    for (const [name, value] of Object.entries(changed)) {{
      if (name === "text") shape.textContent = value;
      else shape.setAttribute(name, value);
    }}
  }}
  at.value = k;
  said.textContent = "step " + film.steps[k];
}}
function stop() {{
  clearInterval(timer);
  timer = 0;
  play.textContent = "Play";
  play.setAttribute("aria-pressed", "false");
}}
function start() {{
  if (Number(at.value) === film.steps.length - 1) show(0);
  play.textContent = "Pause";
  play.setAttribute("aria-pressed", "true");
  timer = setInterval(() => {{
    const k = Number(at.value) + 1;
    if (k < film.steps.length) show(k);
    else stop();
  }}, 450);
}}
const turn = () => timer ? stop() : start();
play.addEventListener("click", turn);
at.addEventListener("input", () => {{ stop(); show(Number(at.value)); }});
// Keys work wherever one is on the page.
document.addEventListener("keydown", (event) => {{
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const k = Number(at.value), last = film.steps.length - 1;
  const to = {{ ArrowLeft: k - 1, ArrowRight: k + 1, Home: 0, End: last }}[event.key];
  if (to !== undefined) {{
    stop();
    show(Math.min(Math.max(to, 0), last));
  }} else if (event.key === " " && event.target !== play) turn();
  else return;
  event.preventDefault();
}});
</script>
</html>
"""
