// charts

let view = null;
let drawing = Promise.resolve();
const choice = {};  // slot -> column, or kind of unit
let slots = {}, words = {};

function makeControls() {
  const axes = columns.filter(c => isAxis(c) && c.varies);
  const figures = columns.filter(c => isFigure(c) && (c.varies || c.better));
  const marks = named("part", "arch", "network", "status").filter(c => c.varies);
  const point = byName.get("point");
  const first = (...names) => named(...names).find(c => c.varies);
  const density = axes.some(c => c.name.endsWith("density")) && first("weight_sparsity");
  choice.x = (byName.has("speedup_achieved") && density) || axes.find(c => c.number) || axes[0] || point;
  choice.y = first("speedup_achieved", "frame_cycles_mean", "cycles") || figures[0] || point;
  choice.c = first("part") || axes.find(c => c !== choice.x && !(density && c.name.endsWith("weight_density"))) || marks[0] || axes[0] || point;
  choice.px = first("latency_s_mean", "cycles") || figures[0] || point;
  choice.py = first("energy_j_frame_mean", "memory_used_bytes") || figures[0] || point;
  choice.a = axes.find(c => c.number && c.name.endsWith("weight_density")) || axes[0] || point;
  choice.kind = Object.keys(DATA.causes).includes("pe") ? "pe" : Object.keys(DATA.causes)[0];
  const places = [...axes, ...figures, ...marks, point];
  control("x", "Across (x)", places);
  control("y", "Up (y)", [...figures, ...axes.filter(c => c.number)]);
  control("c", "Colour", [...axes, ...marks, ...figures, point]);
  control("px", "Trade-off: across", figures);
  control("py", "Trade-off: up", figures);
  control("a", "Energy and stalls along", [...axes, ...marks, ...named("replica").filter(c => c.varies), point]);
  control("kind", "Stalls of", Object.keys(DATA.causes));
}

function control(slot, label, options) {
  const select = el("select", {id: `slot-${slot}`});
  select.append(...options.map((option, k) =>
    el("option", {value: k, selected: option === choice[slot]}, option.name ? titled(option) : DATA.causes[option].title)));
  select.addEventListener("change", () => {
    choice[slot] = options[Number(select.value)];
    brushed = () => true;
    showTables();
    draw();
  });
  $("controls").append(el("label", {for: select.id}, label, select));
}

const capital = words => words[0].toUpperCase() + words.slice(1);

function position(c) {
  const scale = c.number ? {...(c.log ? {type: "log"} : {zero: false}), nice: false, padding: 12} : {padding: 0.5};
  return {field: c.id, type: c.number ? "quantitative" : "nominal", title: titled(c), scale, sort: c.number ? undefined : distinct(c)};
}

function colour(c) {
  const values = distinct(c);
  const base = {field: c.id, title: titled(c)};
  if (c.number && values.length > MOST_COLOURS) return {...base, type: "quantitative", scale: {scheme: "cividis", ...(c.log ? {type: "log"} : {})}};
  return {...base, type: "nominal", sort: values, scale: {domain: values, range: DATA.palette}};
}

function fillSlots() {
  const {x, y, c, px, py, a, kind} = choice;
  const axes = columns.filter(column => isAxis(column) && column.varies);
  const told = new Set([byName.get("point"), ...named("part").filter(p => p.varies), ...axes, x, y, c, px, py]);
  const causes = DATA.causes[kind];
  const idOf = name => byName.get(name).id;
  slots = {
    slot_x: position(x), slot_y: position(y), mean_y: {...position(y), field: "mean_y"}, slot_c: colour(c),
    slot_px: position(px), slot_py: position(py),
    slot_a: {field: a.id, type: "ordinal", title: titled(a), sort: "ascending", ...(distinct(a).length > 12 ? {} : {axis: {labelAngle: 0}})},
    slot_tooltip: [...told].map(t => ({field: t.id, type: "nominal", title: titled(t), ...(t.number ? {type: "quantitative", format: ",.5~g"} : {})})),
  };
  words = {
    slot_x: x.id, slot_y: y.id, slot_c: c.id, slot_px: px.id, slot_py: py.id, slot_a: a.id,
    slot_sx: -px.better || 1, slot_sy: -py.better || 1,
    slot_lines: x.number && x.steps && slots.slot_c.type === "nominal" ? "true" : "false",
    slot_title_main: `${capital(y.label)} against ${isAxis(x) ? x.name : x.label}`,
    slot_title_trade: `${capital(py.label)} against ${px.label}: the front is outlined`,
    slot_title_energy: `Energy a frame by term, mean over the selected points`,
    slot_title_stalls: `What ${causes.title} did with their cycles`,
    slot_unit_energy: `energy a frame (${DATA.terms.unit})`,
  };
  for (const [slot, found] of [["slot_terms", DATA.terms], ["slot_causes", causes]]) {
    words[slot] = found.columns.map(idOf);
    words[`${slot}_order`] = JSON.stringify(words[slot]);
    words[`${slot}_names`] = found.names;
    words[`${slot}_colours`] = found.colours;
  }
}

function fill(node) {
  if (typeof node === "string") {
    return Array.isArray(words[node]) ? words[node] : node.replace(/\bslot_\w+/g, word => words[word] ?? word);
  }
  if (Array.isArray(node)) return node.flatMap(fill);
  if (node === null || typeof node !== "object") return node;
  const slot = slots[node.field];
  if (Array.isArray(slot)) return slot;
  return {...Object.fromEntries(Object.entries(node).map(([key, value]) => [key, fill(value)])), ...slot};
}

function draw() {
  drawing = drawing.then(redraw);
  return drawing;
}

async function redraw() {
  const spec = DATA.single ? structuredClone(SPEC) : filledSpec();
  const width = $("charts").clientWidth;
  spec.columns = width > TWO_COLUMNS_PX ? 2 : 1;
  if (width < NARROW_PX) spec.config.legend.columns = 2;
  for (const chart of spec.concat) {
    if (width < NARROW_PX) chart.title = chart.title.split(/(?<=[:,]) /);
    chart.width = Math.max(180, Math.floor(width / spec.columns) - (spec.columns > 1 ? 105 : 85));
    chart.height = 270;
  }
  if (view) view.finalize();
  const actions = {export: true, source: false, compiled: false, editor: false};
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const made = await vegaEmbed("#charts", spec, {renderer: "svg", logLevel: 1, actions, tooltip: {theme: dark ? "dark" : "light"}});
  view = made.view;
  if (DATA.single) return;
  view.addEventListener("click", (_, item) => {
    if (item?.datum?.n !== undefined) showDetails(item.datum.n);
  });
  for (const name of ["brush", "corner"]) view.addSignalListener(name, onBrush);
}

function filledSpec() {
  fillSlots();
  const spec = fill(SPEC);
  const value = name => spec.params.find(param => param.name === name);
  value("names").value = Object.fromEntries(
    [DATA.terms, ...Object.values(DATA.causes)].flatMap(found => found.columns.map((name, k) => [byName.get(name).id, found.names[k]])));
  value("chosen").value = chosen === null ? -1 : rows[chosen].point;
  spec.data = {name: "points", values: visible};
  return spec;
}

let waiting = 0;

function onBrush() {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    const ranges = ["brush", "corner"].flatMap(name => Object.entries(view.signal(name) ?? {}));
    brushed = row => ranges.every(([id, range]) => within(row[id], range));
    showTables();
  }, 60);
}

function within(value, range) {
  if (value === null) return false;
  if (typeof value !== "number") return range.includes(value);
  return value >= Math.min(...range) && value <= Math.max(...range);
}
