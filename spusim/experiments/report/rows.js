// Everything shown is made with textContent: what comes from the data is never read as HTML.
const DATA = JSON.parse(document.getElementById("data").textContent);
const SPEC = JSON.parse(document.getElementById("spec").textContent);
const MOST_ROWS = 2000, MOST_BOXES = 16, MOST_COLOURS = 8, TWO_COLUMNS_PX = 900, NARROW_PX = 600;

const $ = id => document.getElementById(id);

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.map(child => child instanceof Node ? child : String(child)));
  return node;
}

// columns and rows

const columns = DATA.columns.map((column, k) => ({...column, id: `c${k}`}));
const byName = new Map(columns.map(column => [column.name, column]));
const rows = DATA.points.map((_, n) => {
  const row = {n, point: byName.get("point").values[n]};
  for (const c of columns) row[c.id] = scaled(c, c.values[n]);
  return row;
});

function scaled(c, value) {
  if (value === undefined || value === null) return null;
  if (c.number) return typeof value === "number" ? value * c.factor : null;
  return String(value);
}

const isAxis = c => c.group === "axis";
const isFigure = c => c.number && (c.group === "metric" || c.group === "derived");
const named = (...names) => names.map(name => byName.get(name)).filter(Boolean);
const unit = c => c.shown_unit ? ` (${c.shown_unit})` : "";
const byItsName = c => isAxis(c) || c.group === "identity";
const titled = c => (byItsName(c) ? c.name : c.label) + unit(c);

function distinct(c) {
  return [...new Set(rows.map(row => row[c.id]).filter(value => value !== null))].sort(compare);
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", {numeric: true});
}

function text(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return value.toLocaleString("en-GB");
  const size = Math.abs(value);
  return size >= 1e6 || size < 1e-3 ? value.toPrecision(4) : String(+value.toPrecision(5));
}

const percent = (part, whole) => whole ? `${(100 * part / whole).toFixed(1)} %` : "–";
