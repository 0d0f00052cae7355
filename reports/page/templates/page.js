/* The page's only script: theme, sorting, filtering, the matrix with the details of its cells, links into the page. */
(() => {
"use strict";
const root = document.documentElement;
const byId = (id) => document.getElementById(id);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
root.classList.add("script");

/** An element with properties and children; text never becomes markup. */
function make(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties || {})) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  return add(element, ...children);
}
const add = (element, ...children) => (element.append(...children.filter((child) => child)), element);
const button = (text, onclick, more) => make("button", { type: "button", onclick, ...more }, text);
let fields = 0;
const field = (label, box) => {
  box.id = `field-${++fields}`;
  return [make("span", { className: "field" }, make("label", { htmlFor: box.id }, label), box), box];
};
const search = (label, oninput) => field(label, make("input", { type: "search", oninput, autocomplete: "off" }));
const select = (label, options, onchange) =>
  field(label, make("select", { onchange }, ...options.map(([value, text]) => make("option", { value }, text))));
const withAll = (values) => [["", "all"], ...values.map((value) => (Array.isArray(value) ? value : [value, value]))];
const counter = () => make("output", { role: "status", "aria-live": "polite" });
const controls = (table, name, ...children) =>
  add(make("div", { className: "controls", "data-for": table.id, role: "group", "aria-label": `Filters of ${name}` }), ...children);
const byText = (a, b) => a.localeCompare(b, "en", { numeric: true });
const distinct = (values) => [...new Set(values)].filter(Boolean).sort(byText);
function press(head, onclick, more) {
  const inner = button("", onclick, more);
  inner.append(...head.childNodes);
  head.append(inner);
  return inner;
}

const said = make("p", { className: "said", role: "status" });
byId("content").before(said);
const say = (text) => {
  said.textContent = text;
  said.hidden = !text;
};

/* Theme: as the system has it, or as chosen. A page from the disk may have no storage. */
const THEMES = ["auto", "dark", "light"];
let theme = "auto";
try { theme = localStorage.getItem("fishergauge-theme"); } catch { /* none */ }
const themeButton = button("", () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % 3];
  try { localStorage.setItem("fishergauge-theme", theme); } catch { /* not kept */ }
  setTheme();
}, { className: "theme" });
function setTheme() {
  if (!THEMES.includes(theme)) theme = "auto";
  if (theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = theme;
  themeButton.textContent = `Theme: ${theme}`;
}
setTheme();

/* Contents: open where they stand beside the page, folded where they stand above it. */
const toc = document.querySelector(".toc");
const beside = matchMedia("(min-width: 68rem)");
const fold = () => { toc.open = beside.matches; };
toc.after(themeButton);
beside.addEventListener("change", fold);
toc.addEventListener("click", (event) => { if (event.target.closest("a")) fold(); });
fold();
const links = all("a", toc);
const seen = new IntersectionObserver((entries) => {
  const entry = entries.findLast((one) => one.isIntersecting);
  if (entry) for (const link of links) link.ariaCurrent = link.hash === `#${entry.target.id}` ? "true" : null;
}, { rootMargin: "-10% 0px -80% 0px" });
for (const link of links) seen.observe(byId(link.hash.slice(1)));

/* Tables that can be sorted and filtered. */
const resets = new Map();

function sortable(table) {
  const original = [...table.tBodies].map((body) => [body, [...body.rows]]);
  const heads = all("thead th[data-sort]", table);
  const key = (row, head) => {
    const cell = row.cells[head.cellIndex];
    const text = (cell?.dataset.value ?? cell?.textContent ?? "").trim();
    return head.dataset.sort === "number" ? parseFloat(text.replace(/,/g, "").replace("\u2212", "-")) : text;
  };
  const empty = (value) => value === "" || Number.isNaN(value);
  const sort = (head, direction) => {
    for (const [body, rows] of original) {
      const keyed = rows.map((row) => [key(row, head), row]);
      keyed.sort(([a], [b]) => empty(a) - empty(b) || (empty(a) ? 0 : direction * (typeof a === "number" ? a - b : byText(a, b))));
      body.append(...(direction ? keyed.map(([, row]) => row) : rows));
    }
  };
  for (const head of heads) {
    if (head.dataset.sort === "number") for (const row of original.flatMap(([, rows]) => rows)) row.cells[head.cellIndex]?.classList.add("n");
    press(head, () => {
      const [order, direction] = { ascending: ["descending", -1], descending: [null, 0] }[head.ariaSort] || ["ascending", 1];
      for (const other of heads) other.ariaSort = null;
      head.ariaSort = order;
      sort(head, direction);
    });
  }
}

function filterable(table) {
  const rows = [...table.tBodies].flatMap((body) => [...body.rows]);
  if (rows.length < 5) return;
  const count = counter();
  const texts = new Map();
  const apply = () => {
    const words = find.value.trim().toLowerCase();
    for (const row of rows) {
      if (words && !texts.has(row)) texts.set(row, row.textContent.toLowerCase());
      row.hidden = (words && !texts.get(row).includes(words)) || facets.some(([name, , box]) => box.value && row.dataset[name] !== box.value);
    }
    count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
  };
  const facets = (table.dataset.facets || "").split(/\s+/).filter(Boolean)
    .map((name) => [name, distinct(rows.map((row) => row.dataset[name]))]).filter(([, values]) => values.length > 1)
    .map(([name, values]) => [name, ...select(name[0].toUpperCase() + name.slice(1), withAll(values), apply)]);
  for (const [name, , box] of facets) box.dataset.facet = name;
  const [findLabel, find] = search("Search", apply);
  const reset = () => {
    for (const box of [find, ...facets.map(([, , box]) => box)]) box.value = "";
    apply();
  };
  const wide = table.closest(".wide");
  const name = table.caption?.textContent || wide?.ariaLabel || "the table";
  (wide || table).before(controls(table, name, ...facets.map(([, label]) => label), findLabel, button("Reset", reset), count));
  resets.set(table, reset);
  apply();
}
all("table.filterable").forEach(filterable);
all("table.sortable").forEach(sortable);
for (const box of all(".plot")) if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;

/* The matrix: a grid in which one cell is in the order of tabs, and arrow keys choose which. */
const NAMES = { e: "error", v: "violated", u: "unexpected", o: "vacuous", x: "expected", h: "holds", s: "unsupported", n: "not-claimed" };
const ORDER = Object.keys(NAMES).join("");
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const matrix = byId("conformance-matrix");
const dialog = make("dialog", { id: "cell", "aria-labelledby": "cell-title cell-subject" });
const grid = matrix && buildGrid();

function buildGrid() {
  const heads = [...matrix.tHead.rows[0].cells].slice(1);
  const titles = heads.map((head) => head.textContent);
  const bodies = [...matrix.tBodies];
  const isGroup = (cell) => cell.parentElement.classList.contains("group");
  const rows = bodies.flatMap((body) => [...body.rows].slice(1).map((row) => ({
    row, body, name: row.cells[0].textContent,
    red: [...row.cells].reduce((sum, cell) => sum + (/^[evu]$/.test(cell.className) ? parseInt(cell.textContent.slice(1), 10) : 0), 0),
  })));
  const flat = matrix.createTBody();
  const only = document.head.appendChild(make("style"));
  let current = null, column = 1, direction = 1, address = "";
  matrix.role = "grid";

  const rank = ({ row }) => (row.cells[column].className ? ORDER.indexOf(row.cells[column].className[0]) : 9);
  const sorts = {
    order: () => 0,
    subject: (a, b) => byText(a.name, b.name),
    red: (a, b) => b.red - a.red,
    claim: (a, b) => direction * (rank(a) - rank(b)),
  };
  function apply() {
    const words = find.value.trim().toLowerCase(), chosen = Number(claim.value), letter = verdict.value;
    if (chosen) column = chosen;
    only.textContent = chosen ? `#${matrix.id} :is(td,th):nth-child(n+2):not(:nth-child(${chosen + 1})){display:none}` : "";
    for (const { row, body, name } of rows) {
      const cells = [...row.cells].slice(1);
      for (const cell of cells) cell.classList.toggle("dim", Boolean(letter && cell.className && cell.className[0] !== letter));
      const fitting = (chosen ? [cells[chosen - 1]] : cells).some((cell) => cell.className && (!letter || cell.className === letter));
      row.hidden = (library.value && body.dataset.library !== library.value) || !name.toLowerCase().includes(words) || ((chosen || letter) && !fitting);
    }
    for (const { row, body } of [...rows].sort(sorts[sort.value])) (grouped.checked ? body : flat).append(row);
    for (const body of bodies) body.rows[0].hidden = !grouped.checked || !rows.some((entry) => entry.body === body && !entry.row.hidden);
    matrix.classList.toggle("filtered", Boolean(words || chosen || letter || library.value));
    heads.forEach((head, place) => {
      const here = sort.value === "claim" && place === column - 1;
      head.ariaSort = here ? (direction > 0 ? "ascending" : "descending") : null;
    });
    count.textContent = `${rows.filter(({ row }) => !row.hidden).length} of ${rows.length} subjects`;
    rove(current?.offsetParent ? current : lines()[0]?.[0]);
  }
  const count = counter();
  const [findLabel, find] = search("Subject", apply);
  const [libraryLabel, library] = select("Library", withAll(bodies.map((body) => body.dataset.library)), apply);
  const [claimLabel, claim] = select("Claim", withAll(titles.map((title, place) => [place + 1, title])), apply);
  const found = new Set(all("td[class]", matrix).map((cell) => cell.className));
  const [verdictLabel, verdict] = select("Verdict", withAll([...ORDER].filter((letter) => found.has(letter)).map((letter) => [letter, NAMES[letter]])), apply);
  const [sortLabel, sort] = select("Sort by", [["order", "order here"], ["subject", "subject"], ["red", "red checks"], ["claim", "verdict on a claim"]], apply);
  const grouped = make("input", { type: "checkbox", checked: true, onchange: apply });
  const reset = () => {
    for (const box of [find, library, claim, verdict]) box.value = "";
    sort.value = "order";
    grouped.checked = true;
    apply();
  };
  resets.set(matrix, reset);
  byId("conformance-controls").append(controls(matrix, "claims by subjects", findLabel, libraryLabel, claimLabel, verdictLabel, sortLabel,
    make("label", { className: "line" }, grouped, "Group by library"), button("Reset", reset), count));

  heads.forEach((head, place) => press(head, () => {
    direction = sort.value === "claim" && column === place + 1 ? -direction : 1;
    column = place + 1;
    sort.value = "claim";
    apply();
  }, { "aria-label": `Sort by the verdict on ${titles[place]}` }));
  function setClosed(body, closed) {
    body.classList.toggle("closed", closed);
    body.querySelector("button").ariaExpanded = String(!closed);
  }
  for (const body of bodies) {
    press(body.rows[0].cells[0], () => setClosed(body, !body.classList.contains("closed")));
    setClosed(body, matrix.hasAttribute("data-collapse") && body.dataset.origin === "library");
  }

  /** The visible cells with a verdict, row by row. */
  function lines() {
    return all("tbody tr", matrix).filter((row) => row.offsetParent)
      .map((row) => [...row.cells].filter((cell) => cell.tagName === "TD" && cell.className && cell.offsetParent)).filter((cells) => cells.length);
  }
  function near(cell, right, down) {
    const shown = lines();
    const line = shown.findIndex(([first]) => first.parentElement === cell.parentElement);
    if (right) return shown[line]?.[shown[line].indexOf(cell) + right];
    const further = down > 0 ? shown.slice(line + 1) : shown.slice(0, line).reverse();
    return further.flat().find((other) => other.cellIndex === cell.cellIndex);
  }
  function rove(cell) {
    current?.removeAttribute("tabindex");
    current = cell;
    current?.setAttribute("tabindex", "0");
  }
  function go(cell, focus = true) {
    rove(cell);
    if (focus) cell.focus({ preventScroll: true });
    cell.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  function choose(cell) {
    if (isGroup(cell)) return cell.parentElement.querySelector("button").click();
    go(cell);
    show(cell);
  }
  matrix.addEventListener("click", ({ target }) => { const cell = target.closest("td[class]"); if (cell) choose(cell); });
  matrix.addEventListener("focusin", ({ target: cell }) => {
    if (cell.tagName !== "TD") return;
    const what = `${NAMES[cell.className[0]]}, ${cell.textContent.slice(1)} ${isGroup(cell) ? "subjects" : "checks"}`;
    cell.ariaLabel = `${titles[cell.cellIndex - 1]}, ${cell.parentElement.cells[0].textContent}: ${what}`;
  });
  matrix.addEventListener("keydown", (event) => {
    const cell = event.target.closest("td");
    if (!cell || event.altKey || event.metaKey) return;
    const line = lines().find(([first]) => first.parentElement === cell.parentElement);
    let next = null;
    if (STEPS[event.key]) next = near(cell, ...STEPS[event.key]);
    else if (event.key === "Home") next = line[0];
    else if (event.key === "End") next = line.at(-1);
    else if (event.key === "Enter" || event.key === " ") choose(cell);
    else return;
    event.preventDefault();
    if (next) go(next);
  });

  /* The details of a cell. */
  let kept = null;
  const data = () => (kept ??= JSON.parse(byId("cells").textContent));
  const badge = (name, number = "") => make("span", { className: `verdict v-${name}` },
    make("span", { "aria-hidden": "true" }, "!✗?∅○✓–"[Object.values(NAMES).indexOf(name)] || "·"), ` ${number} ${name}`);
  function show(cell) {
    const { texts, kinds, counts, verdicts, claims, subjects, cells } = data();
    const row = rows.findIndex((entry) => entry.row === cell.parentElement);
    const [id, name, statement, source] = claims[cell.cellIndex - 1];
    const [subject, library_, declared, repeat] = subjects[row];
    const [counted, checks = [], more] = cells[row][all("td[class]", cell.parentElement).indexOf(cell)];
    const by = verdicts.flatMap((one, place) => (counts[counted][place] ? [badge(one, counts[counted][place]), " "] : []));
    address = `#cell/${encodeURIComponent(subject).replace(/%2F/g, "/")}/${encodeURIComponent(id)}`;
    const status = counter();
    const step = (sign, label, ...by) => button(sign, () => move(...by), { "aria-label": label, disabled: !near(cell, ...by) });
    dialog.replaceChildren();
    add(dialog, button("Close", () => dialog.close(), { className: "close" }),
      make("h2", { id: "cell-title", tabIndex: -1 }, id.endsWith(name) ? id : `${id} ${name}`),
      make("p", { className: "where" }, make("b", { id: "cell-subject" }, make("bdi", {}, subject)), ` · ${library_} · ${texts[declared]}`),
      list(["claimed", `${statement} `, source && make("cite", {}, source)], ["checks", ...by]),
      ...checks.map(([kind, problem, ...numbers]) => describe(kinds[kind], numbers, [subject, id, texts[problem]], texts[repeat], status)),
      more && make("p", {}, `${more} more that do not hold.`),
      !checks.length && make("p", {}, "The details are left out here, for size; they are in report.json."),
      make("p", { className: "where" }, make("a", { href: address }, "Link to this cell"), " ", status),
      make("div", { className: "steps" }, step("←", "Left", -1, 0), step("→", "Right", 1, 0), step("↑", "Above", 0, -1), step("↓", "Below", 0, 1)));
    replaceHash(address);
    address = location.hash;
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    byId("cell-title").focus();
  }
  const list = (...lines_) => make("dl", { className: "check" }, ...lines_.flatMap(([term, ...content]) => [make("dt", {}, term), make("dd", {}, ...content)]));
  function describe(kind, [measured, bound, given], names, repeat, status) {
    const [dtype, verdict_, formula, reason, witness, nearest, again, finding, notFinite] = Array.from({ length: 9 }, (_, place) => kind[place] || "");
    const fill = { "\x01": names[0], "\x02": names[1], "\x03": names[2] };
    const command = make("code", { className: "command" }, (again || repeat + (repeat.startsWith("fishergauge check") ? " --claims \x02 --problems \x03" : "")).split(" ").map((word) => fill[word] ?? word).join(" "));
    const isNumber = (value) => typeof value === "number";
    const slack = given ?? (isNumber(measured) && bound ? measured / bound : null);
    const times = slack > 1 ? `: ${digits(slack, 2)} times over` : isNumber(slack) ? `; slack ${digits(slack, 2)}` : "";
    return list(
      ["verdict", badge(verdict_), names[2] && ` on ${names[2]}`, dtype && `, ${dtype}`],
      ...(isNumber(bound) ? [["measured", `${isNumber(measured) ? digits(measured, 3) : notFinite || "not finite"}, bound ${digits(bound, 3)}`,
        formula && " = ", formula && make("code", {}, formula), times]] : []),
      ...Object.entries({ reason, witness, nearest }).filter(([, text]) => text),
      ...(finding ? [["finding", make("a", { href: `#peers-${slug(finding)}` }, finding)]] : []),
      ...kind.slice(9).map((note) => ["note", note]),
      ...(command.textContent ? [["again", command, " ", button("Copy", () => copy(command, status))]] : []));
  }
  function move(right, down) {
    const next = near(current, right, down);
    if (!next || isGroup(next)) return;
    go(next, false);
    show(next);
  }
  dialog.addEventListener("keydown", (event) => {
    if (!STEPS[event.key] || event.altKey || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    move(...STEPS[event.key]);
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => {
    if (dialog.open || location.hash !== address) return;
    replaceHash("#conformance");
    go(current);
  });
  document.body.append(dialog);
  apply();

  /** Open a cell by its names, whatever hides it; false where there is none. */
  return (subject, id) => {
    const entry = rows[data().subjects.findIndex(([name]) => name === subject)];
    const cell = entry?.row.cells[data().claims.findIndex(([name]) => name === id) + 1];
    if (cell?.tagName !== "TD" || !cell.className) return false;
    if (!cell.offsetParent) {
      if (entry.row.hidden || only.textContent) reset();
      setClosed(entry.body, false);
    }
    choose(cell);
    return true;
  };
}

function replaceHash(hash) {
  try { history.replaceState(null, "", hash); } catch { /* it stays */ }
}

const slug = (text) => text.toLowerCase().replace(/[^a-z0-9.]+/g, "-").replace(/^-+|-+$/g, "");

/** As Python writes a number with significant digits, without ornament of the exponent. */
function digits(value, most) {
  const [mantissa, exponent] = value.toExponential(most - 1).split("e").map(Number);
  return exponent < -4 || exponent >= most ? `${mantissa}e${exponent}` : String(Number(value.toPrecision(most)));
}

function copy(element, status) {
  const byHand = () => {
    getSelection().selectAllChildren(element);
    status.textContent = "Selected; copy it with the keyboard.";
  };
  if (navigator.clipboard) navigator.clipboard.writeText(element.textContent).then(() => { status.textContent = "Copied."; }, byHand);
  else byHand();
}

/* Links into the page: what they name is made visible first. */
const decoded = (text) => { try { return decodeURIComponent(text); } catch { return text; } };
function follow() {
  const raw = location.hash.slice(1);
  const cut = raw.lastIndexOf("/");
  say("");
  if (grid && raw.startsWith("cell/") && cut > 4 && grid(decoded(raw.slice(5, cut)), decoded(raw.slice(cut + 1)))) return;
  if (dialog.open) dialog.close();
  if (!raw) return;
  const target = byId(raw) || byId(decoded(raw));
  if (!target) return say(`This link names nothing in this report: ${decoded(raw).slice(0, 200)}`);
  for (let box = target.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
  if (target.closest("[hidden]")) resets.get(target.closest("table"))?.();
  target.scrollIntoView();
}
addEventListener("hashchange", follow);
follow();

/* On paper all is open. */
let opened = [];
addEventListener("beforeprint", () => {
  opened = all("details:not([open])");
  for (const box of opened) box.open = true;
});
addEventListener("afterprint", () => { for (const box of opened) box.open = false; });
})();
