"""The figures of the examples: every row of a table trained for several seeds, and collected.

    python benchmarks/figures.py --task rows --seeds 3      trains what is missing, then collects
    python benchmarks/figures.py --collect                  only collects, and prints all tables

The runs lie under --out (default: runs/figures), results in benchmarks/figures/TASK.json, tables
in the README of each example, between two marks. Data: QRLANG_DATA, as for `qrlc train`.

Weights and, where a row has several, the learning rate are chosen on the validation split; the
test split is looked at once, at the end of a run. Times are of the processor (all cores together),
so that a busy machine hardly counts.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from figures_small import SMALL
from figures_study import LONG, PAGE, PICTURE, STUDY, drawn
from figures_tasks import TASKS as LARGE
from figures_tasks import Row, Task

from qrlang.plot import to_svg

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "figures"
TASKS = LARGE | SMALL | STUDY


def command(row: Row, rate: str) -> list[str]:
    return [row.program, *row.options, *(["--lr", rate] if rate else [])]


def folder(out: Path, task: Task, row: Row, rate: str, seed: int) -> Path:
    called = " ".join([Path(row.program).stem, *row.options]) if task.runs else row.name
    name = slug(called) + (f"-lr{rate}" if rate else "")
    return out / (task.runs or task.name) / name / f"seed{seed}"


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def train(out: Path, task: Task, row: Row, rate: str, seed: int) -> None:
    """One run, unless it is there; one that was stopped goes on."""
    run = folder(out, task, row, rate, seed)
    if (run / "result.json").exists():
        if task.metric == "bleu":
            translate(run, row)
        tested(run, task)
        return
    if (run / "settings.json").exists():
        asked = ["--resume", str(run)]
    else:
        asked = [*command(row, rate), "--seed", str(seed), "--out", str(run)]
    print(f"{task.name}: {row.name}, seed {seed}" + (f", lr {rate}" if rate else ""), flush=True)
    done = qrlc(["train", *asked])
    if done.returncode:
        print(done.stderr[-2000:], flush=True)
    elif task.metric == "bleu" or task.tests:
        train(out, task, row, rate, seed)


def tested(run: Path, task: Task) -> None:
    """Has the run evaluated in each of the task's ways, unless that has been done."""
    for name, options in task.tests:
        path = run / f"{slug(name)}.eval.json"
        if not path.exists():
            verb, *more = options.split()
            said = qrlc([verb, str(run), *more, "--format", "json"])
            if said.returncode:
                print(said.stderr[-2000:], flush=True)
            else:
                path.write_text(said.stdout, encoding="utf-8")


def translate(run: Path, row: Row) -> None:
    """Has the test split translated, unless that has been done."""
    path = run / "eval.json"
    if path.exists() and bleu(path) is not None:
        return
    said = qrlc(["eval", str(run), *row.evaluated, "--format", "json"])
    if said.returncode == 0:
        path.write_text(said.stdout, encoding="utf-8")
    if said.returncode or bleu(path) is None:
        print(said.stderr[-2000:] or f"{run}: no BLEU: pip install sacrebleu", flush=True)


def bleu(path: Path) -> float | None:
    found: float | None = json.loads(path.read_text(encoding="utf-8"))["figures"]["bleu"]["value"]
    return found


def qrlc(line: list[str]) -> subprocess.CompletedProcess[str]:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.run(
        [sys.executable, "-m", "qrlang", *line],
        check=False, cwd=ROOT, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True, text=True,
    )  # fmt: skip


def validated(run: Path, metric: str) -> float | None:
    """The best figure on the validation split."""
    path = run / "metrics.jsonl"
    if not (run / "result.json").exists():
        return None
    lines = [json.loads(x) for x in path.read_text(encoding="utf-8").splitlines()]
    found = [x[metric] for x in lines if x["split"] == "validation" and x.get(metric) is not None]
    if not found:
        return None
    return float(max(found) if metric == "accuracy" else -min(found))


def chosen(out: Path, task: Task, row: Row) -> str:
    """The learning rate that did best on the validation split at seed 0."""
    if len(row.rates) == 1:
        return row.rates[0]
    found = []
    for rate in row.rates:
        value = validated(folder(out, task, row, rate, 0), task.selected)
        if value is not None:
            found.append((value, rate))
    return max(found)[1] if found else row.rates[0]


def work(out: Path, task: Task, wanted: re.Pattern[str], first: int, seeds: int) -> None:
    """Seed by seed, so that a table that is cut short has all its rows."""
    rows = [r for r in task.rows if wanted.search(r.name)]
    for row in rows if first == 0 else ():
        for rate in row.rates:
            train(out, task, row, rate, 0)
    for seed in range(max(first, 1), seeds):
        for row in rows:
            train(out, task, row, chosen(out, task, row), seed)


# --- tables ---


def collected(out: Path, task: Task, row: Row) -> dict[str, Any] | None:
    rate = chosen(out, task, row)
    runs = []
    for seed in range(100):
        path = folder(out, task, row, rate, seed) / "result.json"
        if path.exists():
            runs.append(json.loads(path.read_text(encoding="utf-8")))
            evaluated = path.with_name("eval.json")
            if evaluated.exists():
                page = json.loads(evaluated.read_text(encoding="utf-8"))
                runs[-1]["figures"] |= page["figures"]
    figures = [r["figures"].get(task.metric, {}).get("value") for r in runs]
    if not runs or any(f is None for f in figures):
        return None
    tests = {name: [_tested(out, task, row, rate, r["seed"], name) for r in runs]
             for name, _ in task.tests}  # fmt: skip
    line = shlex.join(["qrlc", "train", *command(row, rate)])
    return {
        "name": row.name,
        "command": line,
        "rates_tried": list(row.rates) if len(row.rates) > 1 else [],
        "metric": task.metric,
        "split": runs[0]["split"],
        "values": figures,
        "seeds": [r["seed"] for r in runs],
        "mean": statistics.fmean(figures),
        "deviation": statistics.stdev(figures) if len(figures) > 1 else None,
        "parameters": runs[0]["parameters"],
        "epochs": runs[0]["epochs"],
        "steps": runs[0]["steps"],
        "cpu_seconds": statistics.fmean(
            r["cpu_seconds_an_epoch"] * max(r["epochs"], 1) for r in runs
        ),
        "skipped": sum(r["skipped"] for r in runs),
        **({"tests": tests} if tests else {}),
    }


def _tested(out: Path, task: Task, row: Row, rate: str, seed: int, name: str) -> float:
    path = folder(out, task, row, rate, seed) / f"{slug(name)}.eval.json"
    found = json.loads(path.read_text(encoding="utf-8"))["figures"][task.metric]
    return float(found["value"] if isinstance(found, dict) else found)  # of eval, or of run


def collect(out: Path, task: Task) -> list[dict[str, Any]]:
    """What has been trained, over what an earlier collection found."""
    path = RESULTS / f"{task.name}.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    known = {r["name"]: r for r in before}
    for row in task.rows:
        found = collected(out, task, row)
        if found is not None:
            known[row.name] = found
    rows = [known[r.name] for r in task.rows if r.name in known]
    if rows:
        RESULTS.mkdir(exist_ok=True)
        path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return rows


def stored() -> dict[str, list[dict[str, Any]]]:
    """Every table that has been collected so far."""
    found = {}
    for name in TASKS:
        path = RESULTS / f"{name}.json"
        if path.exists():
            found[name] = json.loads(path.read_text(encoding="utf-8"))
    return found


def table(task: Task, rows: list[dict[str, Any]]) -> str:
    if task.tests:
        return matrix(task, rows)
    lines = [
        f"| {task.head} | {task.word} | seeds | parameters | CPU time |",
        "|---|---:|---:|---:|---:|",
        *("| " + " | ".join(cells(task, r)) + " |" for r in rows),
    ]
    return "\n".join(lines) + "\n"


def matrix(task: Task, rows: list[dict[str, Any]]) -> str:
    """The same weights, looked at in several ways: a column each."""
    lines = [
        f"| {task.head} | " + " | ".join(name for name, _ in task.tests) + " |",
        "|---|" + "---:|" * len(task.tests),
    ]
    for row in rows:
        values = [list(row["tests"][name]) for name, _ in task.tests]
        found = [spread(task, statistics.fmean(v), statistics.stdev(v)) for v in values]
        lines.append("| " + " | ".join([row["name"], *found]) + " |")
    return "\n".join(lines) + "\n"


def spread(task: Task, mean: float, deviation: float | None) -> str:
    text = task.number(mean)
    if deviation is not None:
        text += f" ± {task.number(deviation)}"
    return text + task.unit


def cells(task: Task, row: dict[str, Any]) -> list[str]:
    text = spread(task, row["mean"], row["deviation"])
    seeds = len(row["values"])
    return [row["name"], text, str(seeds), f"{row['parameters']:,}", _time(row)]


def overview(found: dict[str, list[dict[str, Any]]], there: str = "") -> str:
    """All tables in one. `there`: where the examples lie."""
    lines = ["| task | model | figure | seeds | parameters | CPU time |",
             "|---|---|---:|---:|---:|---:|"]  # fmt: skip
    for name, rows in found.items():
        task = TASKS[name]
        if name in STUDY:  # a page of its own
            continue
        for k, row in enumerate(rows):
            head = (
                f"[{task.head}]({there}{Path(task.readme).parent.name}), {task.word}"
                if k == 0
                else ""
            )
            lines.append("| " + " | ".join([head, *cells(task, row)]) + " |")
    return "\n".join(lines) + "\n"


def study(found: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    """The tables of docs/study.md, in its order."""
    long = {t: [r for r in found.get(t, []) if r["name"] in LONG[t]] for t in LONG}
    tables = {name: table(TASKS[name], found[name]) for name in STUDY if name in found}
    last = {"study_device": tables.pop("study_device")} if "study_device" in tables else {}
    return tables | {"study_long": overview(long, "../examples/")} | last


def _time(row: dict[str, Any]) -> str:
    seconds = row["cpu_seconds"]
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 300 \
        else f"{seconds / 60:.0f} min"  # fmt: skip


def place(readme: str, name: str, text: str, gap: str = "\n") -> None:
    """The table into a README, between its marks."""
    path = ROOT / readme
    old = path.read_text(encoding="utf-8")
    begin, end = f"<!-- figures: {name} -->\n", "<!-- end -->"
    if begin not in old:
        print(f"{readme} has no mark for {name}")
        return
    head, rest = old.split(begin, 1)
    _, tail = rest.split(end, 1)
    new = head + begin + gap + text + gap + end + tail
    if new != old:
        path.write_text(new, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--task", choices=[*TASKS, "all"], default="all")
    parser.add_argument("--rows", default="", help="only rows whose name matches this pattern")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--out", type=Path, default=Path("runs/figures"))
    parser.add_argument("--train", action="store_true", help="train only")
    parser.add_argument("--collect", action="store_true", help="collect only")
    asked = parser.parse_args()
    out = asked.out.absolute()
    tasks = list(TASKS.values()) if asked.task == "all" else [TASKS[asked.task]]
    for task in tasks:
        if not asked.collect:
            work(out, task, re.compile(asked.rows), asked.first, asked.seeds)
        if not asked.train:
            rows = collect(out, task)
            if rows:
                print(f"{task.name}\n{table(task, rows)}")
                if task.name not in STUDY:
                    place(task.readme, task.name, table(task, rows))
    if not asked.train:
        found = stored()
        place("examples/README.md", "all", overview(found))
        for name, text in study(found).items():
            place(PAGE, name, text, gap="")
        if {"study_shots", "study_noise"} <= found.keys():
            (ROOT / PICTURE).write_text(to_svg(drawn(found)), encoding="utf-8")


if __name__ == "__main__":
    main()
