"use strict";
(() => {
  // The data: every text once in `words`, fields that are empty left out (byomesh/report/packing.py).
  const data = JSON.parse(document.getElementById("fleet").textContent);
  const words = data.words;
  const states = data.states.map(([value, title, group], rank) => ({ value, title, group, rank }));
  const rows = data.rows.map((raw) => {
    const text = (key) => words[raw[key] || 0];
    const row = {
      raw, text, state: states[raw.state], name: text("name"), project: text("project"), location: text("location"),
      reason: text("reason"), mesh: `${text("mesh")} ${text("version")}`.trim(),
    };
    row.id = `projects/${row.project}/locations/${row.location}/clusters/${row.name}`;
    const labels = (raw.labels || []).map(([key, value]) => `${words[key]}=${words[value]}`);
    row.labels = labels;
    row.search = [row.id, row.state.title, row.state.value, row.mesh, row.reason, text("message"), ...labels].join("\n").toLowerCase();
    return row;
  });

  // Elements are only ever made, and texts only ever text nodes: nothing of the data is read as HTML.
  const made = (node, props, children) => {
    for (const [key, value] of Object.entries(props || {})) {
      if (key === "on") for (const [name, handler] of Object.entries(value)) node.addEventListener(name, handler);
      else if (value === true) node.setAttribute(key, "");
      else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value);
    }
    node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
    return node;
  };
  const el = (tag, props, ...children) => made(document.createElement(tag), props, children);
  const svg = (tag, props, ...children) => made(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);
  const icon = (name) => svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: `#i-${name}` }));
  const byId = (id) => document.getElementById(id);
  const ticked = (text) => text.split("`").map((part, at) => (at % 2 ? el("code", null, part) : part));

  const UNITS = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
  const duration = (seconds, most = 2) => {
    if (seconds < 9.95 && !Number.isInteger(seconds)) return `${seconds.toFixed(1).replace(/\.0$/, "")} s`;
    let left = Math.round(seconds);
    const shown = [];
    for (const [size, unit] of UNITS) {
      if (left >= size || (size === 1 && !shown.length)) { shown.push(`${Math.floor(left / size)} ${unit}`); left %= size; }
      else if (shown.length) break;
    }
    return shown.slice(0, most).join(" ");
  };
  const iso = (time) => new Date(time * 1000).toISOString();
  const moment = (time) => iso(time).slice(0, 19).replace("T", " ");
  const clock = (time) => `${moment(time)} UTC`;
  const thousands = (number) => number.toLocaleString("en");
  const plural = (count) => (count === 1 ? "1 cluster" : `${thousands(count)} clusters`);

  // What is shown, and its way to the address's fragment and back.
  const SIZES = [50, 100, 250, 1000];
  const fresh = () => ({ q: "", state: [], project: "", mesh: "", reason: "", notReady: false, sort: "state", down: false, page: 1, size: 100, open: "" });
  let view = fresh();
  const amiss = (row) => row.state.group !== "fine";
  const byName = (a, b) => a.name.localeCompare(b.name, "en", { numeric: true }) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
  const net = (row) => (row.raw.netAdmin === undefined ? "" : row.raw.netAdmin ? "allowed" : "denied");
  const COLUMNS = [
    { key: "name", title: "Cluster", by: byName },
    { key: "project", title: "Project", by: (a, b) => a.project.localeCompare(b.project, "en") },
    { key: "location", title: "Location", by: (a, b) => a.location.localeCompare(b.location, "en") },
    { key: "state", title: "Phase", by: (a, b) => a.state.rank - b.state.rank },
    { key: "mesh", title: "Mesh", by: (a, b) => a.mesh.localeCompare(b.mesh, "en", { numeric: true }) },
    { key: "net", title: "NET_ADMIN", by: (a, b) => net(a).localeCompare(net(b)) },
    { key: "checks", title: "Checks", by: (a, b) => (b.raw.failed || 0) - (a.raw.failed || 0) || (b.raw.warned || 0) - (a.raw.warned || 0) },
    { key: "changed", title: "Changed", by: (a, b) => (b.raw.changed || 0) - (a.raw.changed || 0) },
    { key: "why", title: "Waits for, or why", by: null },
  ];
  const written = () => {
    const put = new URLSearchParams();
    for (const key of ["q", "project", "mesh", "reason", "open"]) if (view[key]) put.set(key, view[key]);
    if (view.state.length) put.set("state", view.state.join(","));
    if (view.notReady) put.set("not-ready", "1");
    if (view.sort !== "state" || view.down) put.set("sort", (view.down ? "-" : "") + view.sort);
    if (view.page > 1) put.set("page", String(view.page));
    if (view.size !== 100) put.set("rows", String(view.size));
    return put.toString();
  };
  const read = () => {
    const got = new URLSearchParams(location.hash.slice(1));
    view = fresh();
    for (const key of ["q", "project", "mesh", "reason", "open"]) view[key] = got.get(key) || "";
    view.state = (got.get("state") || "").split(",").filter((value) => states.some((one) => one.value === value));
    view.notReady = got.get("not-ready") === "1";
    const sort = got.get("sort") || "state";
    view.down = sort.startsWith("-");
    const key = sort.replace(/^-/, "");
    view.sort = COLUMNS.some((column) => column.key === key && column.by) ? key : "state";
    view.page = Math.max(1, Number.parseInt(got.get("page") || "1", 10) || 1);
    const size = Number.parseInt(got.get("rows") || "100", 10);
    view.size = SIZES.includes(size) ? size : 100;
  };
  const remember = () => {
    const hash = written();
    if (hash !== location.hash.slice(1)) history.replaceState(null, "", hash ? `#${hash}` : `${location.pathname}${location.search}`);
  };

  const matching = () => {
    const terms = view.q.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = rows.filter((row) =>
      (!view.state.length || view.state.includes(row.state.value)) && (!view.project || row.project === view.project) &&
      (!view.mesh || row.mesh === view.mesh) && (!view.reason || row.reason === view.reason) &&
      (!view.notReady || amiss(row)) && terms.every((term) => row.search.includes(term)));
    const by = COLUMNS.find((column) => column.key === view.sort).by;
    const way = view.down ? -1 : 1;
    return kept.sort((a, b) => way * by(a, b) || byName(a, b));
  };

  // One cluster: its row, and what opens below it.
  const phase = (state) => el("span", { class: `phase s-${state.value}${state.group === "fine" ? " quiet" : ""}` }, icon(state.value), state.title);
  const checks = ({ raw }) => {
    const told = [];
    if (raw.failed) told.push(el("span", { class: "bad" }, `${raw.failed} failed`));
    if (raw.warned) told.push(el("span", { class: "warn" }, `${raw.warned} warned`));
    if (raw.passed && !told.length) told.push(`${raw.passed} passed`);
    return told.flatMap((one, at) => (at ? [", ", one] : [one]));
  };
  const why = (row) => {
    if (row.text("paused") && (row.state.group === "under-way" || row.state.value === "NeverProcessed")) return `paused: ${row.text("paused")}`;
    if (row.state.group === "under-way") return row.text("waitsFor") ? `waits for ${row.text("waitsFor")}` : row.text("message");
    if (row.state.value === "Ready") return row.text("message").split("; ").slice(1).join("; ");
    return `${row.reason}: ${row.text("message")}`;
  };
  const shown = (row, number) => {
    const open = view.open === row.id;
    const button = el("button", { type: "button", class: "name", "aria-expanded": String(open), "aria-controls": open ? "detail" : null }, icon("open"), row.name);
    const text = why(row);
    const line = el("tr", { class: `one${open ? " open" : ""}`, role: "row", "data-cluster": row.id, "data-state": row.state.value },
      el("th", { scope: "row", role: "rowheader" }, button),
      el("td", { role: "cell", class: "project", "data-label": "project" }, row.project),
      el("td", { role: "cell", class: "location", "data-label": "location" }, row.location),
      el("td", { role: "cell", class: "state" }, phase(row.state)),
      el("td", { role: "cell", class: "mesh", "data-label": "mesh" }, row.mesh),
      el("td", { role: "cell", class: "net", "data-label": "NET_ADMIN" }, net(row)),
      el("td", { role: "cell", class: "num", "data-label": "checks" }, ...checks(row)),
      el("td", { role: "cell", class: "changed", "data-label": "changed" }, row.raw.changed
        ? el("time", { datetime: iso(row.raw.changed), title: clock(row.raw.changed) }, `${duration(Math.max(0, data.time - row.raw.changed), 1)} ago`) : ""),
      el("td", { role: "cell", class: "why" }, text ? el("span", { class: "clamp" }, text) : ""));
    button.addEventListener("click", () => { view.open = open ? "" : row.id; draw(); focusOn(number); });
    return open ? [line, detail(row)] : [line];
  };
  const focusOn = (number) => byId("body").querySelectorAll("tr.one .name")[number]?.focus({ preventScroll: true });

  const facts = (row) => {
    const { raw, text } = row;
    const made = [[raw.failed, "failed"], [raw.warned, "warned"], [raw.passed, "passed"], [raw.skipped, "skipped"]];
    const pairs = [
      ["cluster", row.id], ["GKE", [text("gke"), raw.autopilot === undefined ? "" : raw.autopilot ? "Autopilot" : "Standard", text("kubernetes"), text("channel").toLowerCase()].filter(Boolean).join(", ")],
      ["created", raw.created ? clock(raw.created) : ""], ["labels", row.labels.join(", ")],
      ["policy", text("rule") ? `${text("rule")}: ${text("ruleReason")} (${text("mode")})` : ""], ["paused", text("paused")], ["changed by", text("actor")],
      ["checks", made.filter(([count]) => count).map(([count, how]) => `${count} ${how}`).join(", ")],
      ["extensions", (raw.options || []).map(([name, state]) => `${words[name]}: ${words[state]}`).join("; ")],
      ["outdated", raw.outdated ? `${raw.outdated} pods have outdated proxies or none` : ""],
      ["repaired", (raw.repaired || []).map((name) => words[name]).join(", ")],
      ["changed", raw.changed ? clock(raw.changed) : ""], ["last heard", raw.heard && raw.heard !== raw.changed ? clock(raw.heard) : ""], ["request", text("requestId")],
    ];
    return el("dl", { class: "facts" }, pairs.filter(([, value]) => value).flatMap(([name, value]) => [el("dt", null, name), el("dd", name === "cluster" || name === "request" ? { class: "mono" } : null, value)]));
  };
  const trouble = ([check, category, error, repairs, advice]) => el("li", { class: words[error] ? null : "warns" },
    el("p", null, el("b", null, words[error] ? "Fails: " : "Warns: "), words[check], words[category] ? el("span", { class: "soft" }, ` (${words[category]})`) : ""),
    words[error] ? el("p", null, words[error]) : "",
    words[repairs] ? el("p", null, el("span", { class: "soft" }, "mended by "), words[repairs]) : "",
    words[advice] ? el("p", null, el("span", { class: "soft" }, "what to do: "), ...ticked(words[advice])) : "");

  // A journey as a bar with a time axis; the list below it says the same in words.
  const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];
  const journey = ([request, created, began, outcome, spans, repaired]) => {
    const total = spans.reduce((sum, [, seconds]) => sum + seconds, 0);
    const state = states[outcome];
    const goesOn = spans.some(([, , open]) => open);
    const sentence = total < 0.05 ? state.title : `${state.title} ${goesOn ? "for" : "after"} ${duration(total)}`;
    const title = el("figcaption", null, el("b", null, created ? "Created" : "Request"), el("time", { datetime: iso(began) }, clock(began)),
      el("span", { class: `phase s-${state.value}` }, icon(state.value), sentence), created ? "" : el("span", { class: "soft mono" }, words[request]));
    if (total < 1) return el("figure", { class: "journey" }, title);
    const bar = svg("svg", { class: "bar", role: "img", "aria-label": `${sentence}: ${spans.map(([work, seconds, open]) => `${words[work]} ${duration(seconds)}${open ? " so far" : ""}`).join(", ")}` });
    let at = 0;
    const scale = (seconds) => (total ? (100 * seconds) / total : 100);
    for (const [work, seconds, open] of spans) {
      const part = svg("svg", { x: `${scale(at)}%`, y: 0, width: `${Math.max(scale(seconds), 0.35)}%`, height: 24 },
        svg("rect", { class: `w-${words[work]}${open ? " goes-on" : ""}`, x: 0.5, y: 0.5, width: "100%", height: 22 }));
      if (scale(seconds) > 7) part.append(svg("text", { x: 7, y: 16 }, words[work]));
      bar.append(part);
      at += seconds;
    }
    const step = STEPS.find((one) => total / one <= 6) || 2592000;
    for (let tick = 0; tick <= total && total; tick += step) {
      const x = `${scale(tick)}%`;
      bar.append(svg("line", { x1: x, x2: x, y1: 23, y2: 28 }));
      if (scale(tick) < 96) bar.append(svg("text", { class: "tick", x, y: 40, "text-anchor": tick ? "middle" : "start" }, tick ? `+${duration(tick)}` : iso(began).slice(11, 19)));
    }
    const list = el("ol", { class: "stages" }, spans.map(([work, seconds, open]) => el("li", null,
      svg("svg", { "aria-hidden": "true" }, svg("rect", { class: `w-${words[work]}`, width: 11, height: 11 })),
      words[work], el("b", null, duration(seconds)), open ? el("span", { class: "soft" }, "so far") : "")),
      repaired.length ? el("li", null, el("span", { class: "soft" }, "repaired"), repaired.map((name) => words[name]).join(", ")) : "");
    return el("figure", { class: "journey" }, title, bar, list);
  };
  const said = ([time, who, what, state, reason, client, actor]) => el("li", null,
    el("time", { datetime: iso(time) }, moment(time)),
    el("span", { class: state < 0 ? "soft" : `s-${states[state].value}` }, icon(state < 0 ? "change" : states[state].value)),
    el("p", null, state < 0 ? "" : el("b", null, states[state].title, " "), el("span", null, words[what]),
      el("span", { class: "soft" }, [words[who] ? `${state < 0 ? " by " : " · "}${words[who]}` : "", words[client] ? ` (${words[client]})` : "", words[actor] ? `, after ${words[actor]}` : "", state < 0 || !words[reason] ? "" : ` · ${words[reason]}`].join(""))));
  const detail = (row) => {
    const { raw, text } = row;
    const left = el("div", { class: "said" }, el("h3", null, row.state.title, row.reason ? el("span", { class: "soft" }, ` · ${row.reason}`) : ""),
      el("p", { class: "say" }, text("message")),
      text("waitsFor") && row.state.group === "under-way" ? el("p", { class: "say" }, el("span", { class: "soft" }, "waits for "), text("waitsFor")) : "",
      text("toDo") ? el("p", { class: "todo" }, el("b", null, "What to do: "), ...ticked(text("toDo"))) : "");
    if (raw.findings) left.append(el("h3", null, "Differs from the policy"), el("ul", { class: "troubles" }, raw.findings.map((one) => el("li", { class: "warns" }, words[one]))));
    if (raw.advice) left.append(el("h3", null, "So that your own code agrees"), ...raw.advice.map((one) => el("pre", null, words[one])));
    if (raw.troubles) left.append(el("h3", null, "Checks that fail or warn"), el("ul", { class: "troubles" }, raw.troubles.map(trouble)));
    const known = el("div", { class: "known" }, el("h3", null, "Facts"), facts(row));
    const right = el("div", { class: "time" }, el("h3", null, "Timeline"));
    if (raw.journeys) right.append(...raw.journeys.map(journey));
    if (raw.moments) {
      right.append(el("h3", null, "What was said and done, the newest first"), el("ol", { class: "moments" }, raw.moments.map(said)));
      if (raw.earlier) right.append(el("p", { class: "soft" }, `and ${thousands(raw.earlier)} earlier`));
    } else right.append(el("p", { class: "soft" }, "Nothing was ever said of it."));
    return el("tr", { class: "detail", role: "row", id: "detail" }, el("td", { role: "cell", colspan: COLUMNS.length }, el("div", { class: "sheet" }, left, right, known)));
  };

  // The page.
  const again = (change) => { Object.assign(view, { page: 1 }, change); draw(); };
  const toggled = (list, value) => (list.includes(value) ? list.filter((one) => one !== value) : [...list, value]);
  const chips = [...document.querySelectorAll("#chips li")].map((item) => {
    const button = el("button", { type: "button" }, ...item.firstElementChild.childNodes);
    item.replaceChildren(button);
    button.addEventListener("click", () => again({ state: toggled(view.state, item.dataset.state) }));
    return { button, on: () => view.state.includes(item.dataset.state) };
  });
  for (const item of document.querySelectorAll("[data-filter]")) {
    const { filter, value } = item.dataset;
    const label = item.querySelector(".label");
    const button = el("button", { type: "button" }, ...label.childNodes);
    label.replaceChildren(button);
    button.addEventListener("click", () => again({ [filter]: view[filter] === value ? "" : value }));
    chips.push({ button, on: () => view[filter] === value });
  }
  for (const node of document.querySelectorAll("[data-ticks]")) node.replaceChildren(...ticked(node.textContent));

  const distinct = (key) => [...new Set(rows.map((row) => row[key]))].filter(Boolean).sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const fill = (id, options) => byId(id).append(...options.map(([value, title]) => el("option", { value }, title)));
  fill("state", states.filter((state) => rows.some((row) => row.state === state)).map((state) => [state.value, state.title]));
  for (const key of ["project", "mesh", "reason"]) {
    fill(key, distinct(key).map((value) => [value, value]));
    byId(key).addEventListener("change", (event) => again({ [key]: event.target.value }));
  }
  byId("state").append(el("option", { value: "several", hidden: true }, "several"));
  byId("state").addEventListener("change", (event) => again({ state: event.target.value ? [event.target.value] : [] }));
  fill("sort", COLUMNS.filter((column) => column.by).map((column) => [column.key, column.title.toLowerCase()]));
  byId("sort").addEventListener("change", (event) => again({ sort: event.target.value, down: false }));
  byId("not-ready").addEventListener("change", (event) => again({ notReady: event.target.checked }));
  let typing = 0;
  byId("q").addEventListener("input", (event) => { clearTimeout(typing); typing = setTimeout(() => again({ q: event.target.value }), 120); });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("reset", (event) => { event.preventDefault(); view = { ...fresh(), size: view.size }; draw(); byId("q").focus(); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) { event.preventDefault(); byId("q").focus(); }
  });

  // On a phone rows are no table rows to the layout; their roles say that they still are.
  const headRow = el("tr", { role: "row" });
  byId("head").append(headRow);
  for (const id of ["head", "body"]) byId(id).setAttribute("role", "rowgroup");
  byId("body").parentElement.setAttribute("role", "table");
  const heads = COLUMNS.map((column) => {
    const cell = el("th", { scope: "col", role: "columnheader" });
    if (column.by) {
      const button = el("button", { type: "button" }, column.title);
      button.addEventListener("click", () => again(view.sort === column.key ? { down: !view.down } : { sort: column.key, down: false }));
      cell.append(button);
    } else cell.append(column.title);
    headRow.append(cell);
    return { cell, column };
  });
  const pages = (count) => {
    const last = Math.max(1, Math.ceil(count / view.size));
    const turn = (title, page, can) => {
      const button = el("button", { type: "button", "aria-disabled": String(!can), "data-turn": title }, title);
      button.addEventListener("click", () => { if (can) { view.page = page; draw(); byId("pages").querySelector(`[data-turn="${title}"]`).focus(); byId("clusters").scrollIntoView(); } });
      return button;
    };
    const size = el("select", { on: { change: (event) => again({ size: Number(event.target.value) }) } }, SIZES.map((one) => el("option", { value: one, selected: one === view.size }, thousands(one))));
    byId("pages").hidden = count <= SIZES[0];
    byId("pages").replaceChildren(turn("Previous", view.page - 1, view.page > 1), el("span", null, `Page ${thousands(view.page)} of ${thousands(last)}`), turn("Next", view.page + 1, view.page < last), el("label", null, "Rows a page ", size));
  };
  const draw = () => {
    const found = matching();
    view.page = Math.min(view.page, Math.max(1, Math.ceil(found.length / view.size)));
    if (view.open) {
      const at = found.findIndex((row) => row.id === view.open);
      if (at < 0) view.open = "";
    }
    const from = (view.page - 1) * view.size;
    const page = found.slice(from, from + view.size);
    const lines = page.flatMap(shown);
    byId("body").replaceChildren(...(lines.length ? lines : [el("tr", { class: "none", role: "row" }, el("td", { role: "cell", colspan: COLUMNS.length }, rows.length ? "No cluster matches these filters." : "There is no cluster."))]));
    const range = found.length > page.length ? `; ${thousands(from + 1)} to ${thousands(from + page.length)} shown` : "";
    byId("found").textContent = `${found.length === rows.length ? plural(rows.length) : `${thousands(found.length)} of ${plural(rows.length)}`}${range}`;
    for (const { cell, column } of heads) {
      if (column.key === view.sort) cell.setAttribute("aria-sort", view.down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
    for (const { button, on } of chips) button.setAttribute("aria-pressed", String(on()));
    if (byId("q").value !== view.q) byId("q").value = view.q;
    byId("state").value = view.state.length > 1 ? "several" : view.state[0] || "";
    for (const key of ["project", "mesh", "reason", "sort"]) byId(key).value = view[key];
    byId("not-ready").checked = view.notReady;
    pages(found.length);
    remember();
  };
  const showOpen = () => {
    if (!view.open) return;
    const at = matching().findIndex((row) => row.id === view.open);
    if (at >= 0) view.page = Math.floor(at / view.size) + 1;
  };
  window.addEventListener("hashchange", () => { if (location.hash !== "#clusters") { read(); showOpen(); draw(); } });
  if (window.matchMedia("(max-width: 820px)").matches) for (const panel of document.querySelectorAll(".panels .panel:not(:first-child)")) panel.open = false;
  for (const node of document.querySelectorAll(".js")) node.hidden = false;
  read();
  showOpen();
  draw();
  byId("detail")?.scrollIntoView({ block: "center" });
})();
