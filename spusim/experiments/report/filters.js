// filters

const filters = new Map();  // column -> whether a row is wanted
let brushed = () => true;
let visible = rows;

function makeFilters() {
  const wanted = [...named("status", "part"), ...columns.filter(isAxis), ...named("arch", "network", "replica")];
  for (const c of new Set(wanted)) {
    const values = distinct(c);
    const gaps = rows.some(row => row[c.id] === null);
    if (values.length + gaps < 2) continue;
    $("filters").append(c.number && values.length > MOST_BOXES ? between(c) : boxes(c, values, gaps));
  }
}

function boxes(c, values, gaps) {
  const all = gaps ? [...values, null] : values;
  const inputs = all.map(() => el("input", {type: "checkbox", checked: true}));
  const change = () => {
    const kept = new Set(all.filter((_, k) => inputs[k].checked));
    if (kept.size === all.length) filters.delete(c);
    else filters.set(c, row => kept.has(row[c.id]));
    update();
  };
  const labels = all.map((value, k) =>
    el("label", {}, inputs[k], " ", value === null ? "none" : isAxis(c) ? String(value) : text(value)));
  const choices = el("div", {class: "choices", onchange: change}, ...labels);
  return el("fieldset", {"data-column": c.name, title: c.about}, el("legend", {}, c.name), choices);
}

function between(c) {
  const [from, to] = ["from", "to"].map(word =>
    el("input", {type: "number", step: "any", "aria-label": `${c.name} ${word}`, placeholder: word}));
  const change = () => {
    const [low, high] = [from, to].map(input => input.value === "" ? NaN : Number(input.value));
    if (Number.isNaN(low) && Number.isNaN(high)) filters.delete(c);
    else filters.set(c, row => row[c.id] !== null && !(row[c.id] < low) && !(row[c.id] > high));
    update();
  };
  return el("fieldset", {"data-column": c.name, title: c.about, oninput: change},
    el("legend", {}, c.name), from, " to ", to);
}

function reset() {
  filters.clear();
  for (const input of $("filters").querySelectorAll("input")) {
    if (input.type === "checkbox") input.checked = true;
    else input.value = "";
  }
  brushed = () => true;
  update();
  draw();
}

function onlyFailed() {
  reset();
  for (const label of $("filters").querySelectorAll('[data-column="status"] label')) {
    if (label.textContent.trim() !== "failed") label.querySelector("input").click();
  }
  $("h-points").scrollIntoView();
}

function update() {
  visible = rows.filter(row => [...filters.values()].every(wanted => wanted(row)));
  if (view) view.data("points", visible).runAsync();
  showTables();
}

function showTables() {
  const shown = visible.filter(brushed);
  $("shown").textContent = `${shown.length.toLocaleString("en-GB")} of ${rows.length.toLocaleString("en-GB")} points shown`;
  showPoints(shown);
  showSpread(shown);
}
