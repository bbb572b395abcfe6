"use strict";
(() => {
  const RUNS = Array.isArray(window.MUSEUM) ? window.MUSEUM : [];
  const MOST = 4;
  const FILTERS = ["model", "data", "core", "optimizer", "state"];
  const $ = (id) => document.getElementById(id);
  const rooms = $("rooms");

  // Texts come from runs, so they are only ever set as text.
  function make(tag, attributes = {}, ...children) {
    const node = tag.includes(":") || ["svg", "path", "line", "text", "g"].includes(tag)
      ? document.createElementNS("http://www.w3.org/2000/svg", tag)
      : document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (value === undefined || value === null || value === false) continue;
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else node.setAttribute(key, value === true ? "" : value);
    }
    for (const child of children.flat()) {
      if (child === null || child === undefined || child === false) continue;
      node.append(child);
    }
    return node;
  }

  const number = (metric, value) =>
    value === null || value === undefined ? "–"
      : metric === "accuracy" || metric === "f1" ? `${(100 * value).toFixed(2)} %`
      : Number(value).toPrecision(3).replace(/\.?0+$/, "");
  const words = (name) => name.replace(/_/g, " ");
  const duration = (s) =>
    s === null || s === undefined ? "" : s < 90 ? `${s.toFixed(s < 10 ? 1 : 0)} s`
      : s < 5400 ? `${(s / 60).toFixed(1)} min` : `${(s / 3600).toFixed(1)} h`;
  const sizes = (run) => Object.entries(run.sizes).map(([k, v]) => `${k} = ${v}`).join(", ");

  function facts(run) {
    return [
      sizes(run), run.core === "pqc" ? "" : `${run.core} core`, run.data,
      run.parameters ? `${run.parameters.toLocaleString("en")} parameters` : "",
      run.seconds ? duration(run.seconds) : "", `seed ${run.seed}`,
    ].filter(Boolean).join(" · ");
  }

  // What it was to learn stands above in short, and whole where one looks closely.
  const outcome = (run) => run.account.split("\n").slice(1).join(" ") || run.account;

  // --- pictures ---

  function scale(curves, metric, log) {
    const xs = [], ys = [];
    for (const c of curves) for (const line of Object.values(c[metric] || {}))
      for (const [x, y] of line) if (Number.isFinite(y) && (!log || y > 0)) { xs.push(x); ys.push(y); }
    if (!xs.length) return null;
    const f = log ? Math.log10 : (y) => y;
    let low = f(Math.min(...ys)), high = f(Math.max(...ys));
    if (high - low < 1e-12) { low -= 0.5; high += 0.5; }
    return { x1: Math.max(...xs) || 1, low, high, f, least: Math.min(...ys), most: Math.max(...ys) };
  }

  function path(line, s, box) {
    const at = line.filter(([, y]) => Number.isFinite(y) && Number.isFinite(s.f(y)));
    return at.map(([x, y], k) => {
      const px = box[0] + (x / s.x1) * (box[2] - box[0]);
      const py = box[3] - ((s.f(y) - s.low) / (s.high - s.low)) * (box[3] - box[1]);
      return `${k ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`;
    }).join("");
  }

  function chart(runs, metric, label) {
    const log = metric === "loss" || ["perplexity", "mse", "nrmse", "rmse", "mae"].includes(metric);
    const s = scale(runs.map((r) => r.curves), metric, log);
    if (!s) return null;
    const box = [76, 12, 628, 176];
    const svg = make("svg", { viewBox: "0 0 640 210", class: "chart", role: "img", "aria-label": label });
    svg.append(
      make("line", { class: "axis", x1: box[0], y1: box[3], x2: box[2], y2: box[3] }),
      make("line", { class: "axis", x1: box[0], y1: box[1], x2: box[0], y2: box[3] }),
      make("text", { x: box[0] - 6, y: box[3], "text-anchor": "end" }, number(metric, s.least)),
      make("text", { x: box[0] - 6, y: box[1] + 10, "text-anchor": "end" }, number(metric, s.most)),
      make("text", { x: box[2], y: box[3] + 18, "text-anchor": "end" }, `${Math.round(s.x1)} updates`),
      make("text", { x: box[0], y: box[3] + 18 }, `${words(metric)}: line on held-out data, dashes in training`),
    );
    runs.forEach((run, k) => {
      for (const [split, line] of Object.entries(run.curves[metric] || {}))
        svg.append(make("path", { d: path(line, s, box), class: split, stroke: `var(--c${k % 4})` }));
    });
    return svg;
  }

  function strip(run) {
    if (run.files.strip)
      // `loading` before `src`: else the picture is fetched at once.
      return make("img", { loading: "lazy", decoding: "async", alt: `The strip of ${run.name}`,
        src: run.files.strip });
    const drawn = chart([run], "loss", `The loss of ${run.name}`);
    // A run that did not start has the sky that kept it from it.
    if (!drawn && run.files.sky)
      return make("img", { loading: "lazy", alt: `The sky before ${run.name}`, src: run.files.sky });
    return drawn || make("span", { class: "facts" }, "nothing was recorded");
  }

  // --- cards ---

  const cards = new Map();
  const chosen = [];

  function card(run) {
    const box = make("input", { type: "checkbox", onchange: () => toggle(run) });
    const open = () => look(run);
    const node = make("article", { class: "run", tabindex: 0, id: `run-${run.id}`, "aria-label": `${run.model}, ${run.name}` },
      make("div", { class: run.files.strip ? "strip" : "strip bare", onclick: open }, strip(run)),
      make("div", { class: "label" },
        make("h2", {}, run.model, " ", make("small", {}, run.name)),
        make("p", { class: "figure" }, make("b", {}, number(run.metric, run.value)), " ",
          make("span", {}, words(run.metric) + (run.interval
            ? `, ${number(run.metric, run.interval[0])} to ${number(run.metric, run.interval[1])}` : ""))),
        make("p", { class: "facts" }, facts(run)),
        make("p", { class: "account" }, outcome(run)),
        make("div", { class: "tags" },
          run.state !== "finished" && make("span", { class: "tag warn" }, run.state),
          run.listened > 0 && make("span", { class: "tag warn" }, `${run.listened} updates taken back`),
          make("span", { class: "tag" }, run.optimizer),
          run.core !== "pqc" && make("span", { class: "tag" }, run.core))),
      make("div", { class: "foot" },
        make("button", { type: "button", onclick: open }, "Look closely"),
        make("label", {}, box, "compare")));
    cards.set(run.id, { node, box, run });
    return node;
  }

  // --- filters ---

  const text = new Map(RUNS.map((run) => [run.id, [
    run.name, run.model, run.task, run.account, run.data, run.core, run.optimizer, run.state,
    `seed ${run.seed}`, `seed=${run.seed}`, ...Object.entries(run.sizes).map(([k, v]) => `${k}=${v}`), ...Object.entries(run.settings).map(([k, v]) => `${k} ${v}`),
  ].join(" ").toLowerCase()]));

  const ORDERS = {
    given: () => 0,
    value: (a, b) => rank(a) - rank(b),
    loss: (a, b) => (a.loss ?? Infinity) - (b.loss ?? Infinity),
    parameters: (a, b) => (a.parameters ?? Infinity) - (b.parameters ?? Infinity),
    seconds: (a, b) => (a.seconds ?? Infinity) - (b.seconds ?? Infinity),
    name: (a, b) => a.name.localeCompare(b.name, "en", { numeric: true }),
  };
  const rank = (run) => run.value === null ? Infinity : run.best === "high" ? -run.value : run.value;

  function options(key) {
    const counts = new Map();
    for (const run of RUNS) counts.set(run[key], (counts.get(run[key]) || 0) + 1);
    const names = [...counts.keys()].sort((a, b) => String(a).localeCompare(String(b)));
    $(key).append(make("option", { value: "" }, "any"),
      ...names.map((n) => make("option", { value: n }, `${n} (${counts.get(n)})`)));
  }

  let shown = [];
  function filter() {
    // The words as they stand, if any run has them so; else each of them anywhere.
    const phrase = $("q").value.trim().toLowerCase();
    const whole = RUNS.some((run) => text.get(run.id).includes(phrase));
    const asked = whole ? [phrase] : phrase.split(/\s+/).filter(Boolean);
    const order = ORDERS[$("order").value] || ORDERS.given;
    const is = (run) => FILTERS.every((k) => !$(k).value || String(run[k]) === $(k).value)
      && asked.every((word) => text.get(run.id).includes(word));
    shown = RUNS.map((run, k) => [run, k]).filter(([run]) => is(run))
      .sort((a, b) => order(a[0], b[0]) || a[1] - b[1]).map(([run]) => run);
    rooms.replaceChildren(...shown.map((run) => cards.get(run.id).node));
    $("none").hidden = shown.length > 0;
    $("count").textContent = shown.length === RUNS.length
      ? `${RUNS.length} ${RUNS.length === 1 ? "run" : "runs"}` : `${shown.length} of ${RUNS.length} runs`;
    remember();
  }

  function remember() {
    const kept = new URLSearchParams();
    for (const key of ["q", ...FILTERS, "order"]) {
      const value = $(key).value;
      if (value && value !== "given") kept.set(key, value);
    }
    if (chosen.length) kept.set("compare", chosen.map((r) => r.id).join(","));
    try { history.replaceState(null, "", kept.size ? `#${kept}` : "#"); } catch { /* some browsers forbid it on disk */ }
  }

  function recall() {
    const kept = new URLSearchParams(location.hash.slice(1));
    for (const key of ["q", ...FILTERS, "order"]) if (kept.has(key)) $(key).value = kept.get(key);
    for (const id of (kept.get("compare") || "").split(",")) {
      const found = cards.get(id);
      if (found && chosen.length < MOST) { chosen.push(found.run); found.box.checked = true; }
    }
  }

  function clear() {
    for (const key of ["q", ...FILTERS]) $(key).value = "";
    $("order").value = "given";
    filter();
  }

  // --- a closer look ---

  function rows(runs) {
    const lines = [
      ["state", (r) => r.state], ["to learn", (r) => r.task], ["metric", (r) => words(r.metric)],
      ["value", (r) => number(r.metric, r.value)],
      ["95 % interval", (r) => r.interval ? r.interval.map((v) => number(r.metric, v)).join(" to ") : "–"],
      ["loss", (r) => number("loss", r.loss)], ["parameters", (r) => r.parameters ?? "–"],
      ["sizes", sizes], ["updates", (r) => r.steps], ["epochs", (r) => r.epochs],
      ["time", (r) => duration(r.seconds) || "–"], ["taken back by the governor", (r) => r.listened],
    ];
    const names = [...new Set(runs.flatMap((r) => Object.keys(r.settings)))];
    const all = [...lines, ...names.filter((n) => n !== "metric").map((n) => [words(n), (r) => r.settings[n] || "–"])];
    return make("div", { class: "scroll" }, make("table", {}, make("tbody", {}, all.map(([name, of]) => {
      const values = runs.map((r) => String(of(r)));
      return make("tr", { class: values.some((v) => v !== values[0]) ? "differs" : "" },
        make("th", { scope: "row" }, name), values.map((v) => make("td", {}, v)));
    }))));
  }

  const links = (run) => make("p", { class: "links" }, ["program", "settings", "metrics", "result", "ledger"]
    .filter((k) => run.files[k]).map((k) => make("a", { href: run.files[k] }, k)));

  const close = (dialog) => make("button", { class: "close", "aria-label": "Close", onclick: () => dialog.close() }, "×");

  let looked = null;
  function look(run) {
    looked = run;
    const dialog = $("one");
    const figure = (word, alt) => run.files[word]
      && make("div", { class: "picture" }, make("img", { src: run.files[word], alt }));
    dialog.replaceChildren(
      close(dialog),
      make("div", { class: "steps" },
        make("button", { "aria-label": "The run before", onclick: () => step(-1) }, "←"),
        make("button", { "aria-label": "The next run", onclick: () => step(1) }, "→")),
      make("h2", { id: "one-title" }, `${run.model}, ${run.name}`),
      make("p", { class: "facts" }, facts(run)),
      run.files.strip ? make("div", { class: "picture" }, strip(run)) : "",
      make("p", { class: "told" }, run.account), links(run),
      figure("curves", `The curves of ${run.name}`) || chart([run], "loss", `The loss of ${run.name}`) || "",
      figure("sky", `The sky before ${run.name}`) || "",
      make("h3", {}, "What it was made with"), rows([run]));
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  }

  function step(by) {
    const at = shown.indexOf(looked);
    if (at >= 0 && shown.length) look(shown[(at + by + shown.length) % shown.length]);
  }

  // --- side by side ---

  function toggle(run) {
    const at = chosen.indexOf(run);
    if (at >= 0) chosen.splice(at, 1);
    else if (chosen.length < MOST) chosen.push(run);
    cards.get(run.id).box.checked = chosen.includes(run);
    tray();
  }

  function tray() {
    $("tray").hidden = chosen.length === 0;
    $("chosen").replaceChildren(...chosen.map((r) => make("li", {}, r.name)));
    $("compare").disabled = chosen.length < 2;
    for (const { box, run } of cards.values()) box.disabled = chosen.length === MOST && !chosen.includes(run);
    remember();
  }

  function side() {
    if (chosen.length < 2) return;
    const dialog = $("side");
    const metrics = [...new Set(["loss", ...chosen.map((r) => r.metric)])];
    dialog.replaceChildren(
      close(dialog), make("h2", { id: "side-title" }, `${chosen.length} runs side by side`),
      make("div", { class: "columns", style: `--many: ${chosen.length}` }, chosen.map((run, k) =>
        make("section", {}, make("h3", {}, make("span", { class: "dot", style: `background: var(--c${k})` }), run.name),
          run.files.strip ? make("div", { class: "strip" }, strip(run)) : "", make("p", { class: "account" }, outcome(run)), links(run)))),
      ...metrics.map((m) => [make("h3", {}, words(m)), chart(chosen, m, `${words(m)} of the runs`) || "–"]).flat(),
      make("h3", {}, "Where they differ is bold"), rows(chosen));
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  }

  // --- light and dark ---

  const root = document.documentElement;
  const store = {
    get: () => { try { return localStorage.getItem("museum-theme"); } catch { return null; } },
    set: (value) => { try { localStorage.setItem("museum-theme", value); } catch { /* not on every disk */ } },
  };
  function theme() {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    store.set(root.dataset.theme);
  }
  const kept = store.get();
  if (kept === "light" || kept === "dark") root.dataset.theme = kept;

  // --- keys ---

  function move(by) {
    const at = shown.findIndex((r) => cards.get(r.id).node === document.activeElement?.closest(".run"));
    const next = shown[Math.max(0, Math.min(shown.length - 1, at < 0 ? 0 : at + by))];
    if (next) {
      const { node } = cards.get(next.id);
      node.focus({ preventScroll: true });
      node.scrollIntoView({ block: "nearest", behavior: "auto" });
    }
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const dialog = document.querySelector("dialog[open]");
    if (dialog) {
      if (dialog.id === "one" && event.key === "ArrowRight") step(1);
      else if (dialog.id === "one" && event.key === "ArrowLeft") step(-1);
      else if (event.key === "c" && dialog.id === "one" && looked) toggle(looked);
      else return;
      event.preventDefault();
      return;
    }
    const field = event.target.closest("input[type=search], select");
    if (field) {
      if (event.key === "Escape") { field.blur(); event.preventDefault(); }
      return;
    }
    const here = cards.get(document.activeElement?.closest(".run")?.id.slice(4));
    const own = document.activeElement === here?.node;
    switch (event.key) {
      case "j": case "ArrowDown": move(1); break;
      case "k": case "ArrowUp": move(-1); break;
      case "Enter": if (!own) return; look(here.run); break;
      case "c": if (!here) return; toggle(here.run); break;
      case "v": side(); break;
      case "/": $("q").focus(); break;
      case "d": theme(); break;
      case "?": $("keys").showModal(); break;
      default: return;
    }
    event.preventDefault();
  });

  // --- the doors open ---

  for (const run of RUNS) card(run);
  for (const key of FILTERS) { options(key); $(key).addEventListener("change", filter); }
  $("q").addEventListener("input", filter);
  $("order").addEventListener("change", filter);
  $("clear").addEventListener("click", clear);
  $("clear2").addEventListener("click", clear);
  $("theme").addEventListener("click", theme);
  $("help").addEventListener("click", () => $("keys").showModal());
  $("compare").addEventListener("click", side);
  $("empty").addEventListener("click", () => { for (const run of [...chosen]) toggle(run); });
  for (const id of ["one", "side", "keys"])
    $(id).addEventListener("click", (event) => { if (event.target === $(id)) $(id).close(); });
  $("one").addEventListener("close", () => { if (looked) cards.get(looked.id)?.node.focus({ preventScroll: true }); });
  recall();
  filter();
  tray();
})();
