// details of a point

let chosen = null;
let opener = null;

function showDetails(n) {
  opener = document.activeElement;
  for (const at of [chosen, n]) if (tableRows.has(at)) tableRows.get(at).classList.toggle("chosen", at === n);
  chosen = n;
  const panel = $("details");
  panel.replaceChildren(...detailParts(n));
  panel.hidden = false;
  if (DATA.single) return;
  panel.scrollTop = 0;
  panel.focus({preventScroll: true});
  history.replaceState(null, "", `#point=${rows[n].point}`);
  if (view) view.signal("chosen", rows[n].point).runAsync();
}

function hideDetails() {
  $("details").hidden = true;
  if (tableRows.has(chosen)) tableRows.get(chosen).classList.remove("chosen");
  chosen = null;
  history.replaceState(null, "", "#");
  if (view) view.signal("chosen", -1).runAsync();
  if (opener) opener.focus({preventScroll: true});
}

function detailParts(n) {
  const point = DATA.points[n];
  const value = name => byName.get(name)?.values[n] ?? null;
  const held = key => DATA.pool[point[key]];
  const step = by => {
    const order = [...$("points").tBodies[0].rows].map(line => Number(line.dataset.n));
    const next = order[order.indexOf(n) + by];
    if (next !== undefined) showDetails(next);
  };
  const parts = [];
  if (!DATA.single) {
    const button = (label, act) => el("button", {type: "button", onclick: act}, label);
    parts.push(el("header", {}, el("h2", {}, `Point ${value("point")}: ${value("status")}`),
      button("Previous", () => step(-1)), button("Next", () => step(1)), button("Close", hideDetails)));
  }
  if (value("error")) parts.push(el("h3", {}, "Error"), el("pre", {class: "failed"}, value("error")));
  if (point.command) parts.push(...commandParts(point.command));
  parts.push(...configuration(n, held("identity")));
  if (value("status") !== "done") return parts;
  const figures = columns.filter(c => c.group === "metric" && c.values[n] !== null);
  parts.push(listing("Figures", ["column", "value", "unit"], figures.map(c => [c.name, String(c.values[n]), c.unit]), 1));
  parts.push(energyTable(n), ...stallTables(n, held("units")), memoryTable(point.memory));
  parts.push(objects("Layers", held("layers")), terms("Area by term", held("area_um2"), "µm²"));
  if (DATA.single && held("files").length) parts.push(objects("Files", Object.fromEntries(held("files").map((file, k) => [file.name ?? k, file]))));
  const counts = columns.filter(c => c.group === "count" && c.values[n] !== null);
  parts.push(listing("Counted events", ["event", "times"], counts.map(c => [c.name.replace("count.", ""), text(c.values[n])]), 1));
  if (held("notes").length) parts.push(el("h3", {}, "Notes"), el("ul", {}, ...held("notes").map(note => el("li", {}, note))));
  return parts.filter(Boolean);
}

function commandParts(command) {
  const pre = el("pre", {id: "command"}, command);
  const copy = el("button", {type: "button", onclick: async () => {
    getSelection().selectAllChildren(pre);
    try { await navigator.clipboard.writeText(command); copy.textContent = "Copied"; }
    catch { copy.textContent = "Selected: copy it with the keyboard"; }
  }}, "Copy");
  const where = el("p", {class: "hint"}, "Files it names, if any, lie where the sweep's file says: run it in that folder.");
  return [el("h3", {}, "Run it again"), pre, copy, where];
}

function configuration(n, identity) {
  const row = c => [c.name, c.values[n] === null ? "–" : String(c.values[n]), c.about];
  const axes = columns.filter(c => isAxis(c) && c.values[n] !== null);
  const others = columns.filter(c => c.group === "identity" && c.values[n] !== null && !["point", "status", "error"].includes(c.name) && !(DATA.single && ["key", "part", "replica", "network"].includes(c.name)));
  const fixed = Object.entries(identity ?? {}).flatMap(([name, value]) => name === "layer"
    ? Object.entries(value).map(([key, part]) => [`layer.${key}`, String(part)])
    : [[name === "stream" ? "stream (sha256)" : name, String(value)]]).filter(([name]) => !byName.has(name));
  const lines = [...axes.map(row), ...others.map(row), ...fixed.map(pair => [...pair, ""])];
  return [listing("Configuration", ["name", "value", "what it is"], lines)];
}

function listing(title, head, lines, number = -1) {
  if (!lines.length) return null;
  const kind = k => ({class: k === number || (number >= 0 && k > number && head[k] !== "unit") ? "number" : null});
  const keep = head.map((_, k) => lines.some(line => line[k] !== "" && line[k] !== undefined));
  const cells = line => line.map((cell, k) => !keep[k] ? null : k ? el("td", String(cell).length > 30 ? {class: "long"} : kind(k), cell ?? "") : el("th", {scope: "row"}, cell)).filter(Boolean);
  const top = head.map((word, k) => keep[k] ? el("th", {scope: "col", ...kind(k)}, word) : null).filter(Boolean);
  return el("section", {"data-title": title}, el("h3", {}, title), el("div", {class: "scroll"},
    el("table", {}, el("thead", {}, el("tr", {}, ...top)), el("tbody", {}, ...lines.map(line => el("tr", {}, ...cells(line)))))));
}

function energyTable(n) {
  const whole = byName.get("energy_pj.total")?.values[n] ?? 0;
  const found = columns.filter(c => c.group === "energy" && c.values[n] !== null).sort((a, b) => b.values[n] - a.values[n]);
  return listing("Energy of the run by term", ["term", "pJ", "share"], found.map(c => [c.name.replace("energy_pj.", ""), String(c.values[n]), percent(c.values[n], whole)]), 1);
}

function stallTables(n, units) {
  const parts = Object.entries(units).map(([kind, members]) => {
    const prefix = `stall.${kind}.`;
    const found = columns.filter(c => c.name.startsWith(prefix) && c.values[n]);
    const whole = found.reduce((sum, c) => sum + c.values[n], 0);
    return found.map(c => [`${kind} × ${members}`, c.name.slice(prefix.length), text(c.values[n]), percent(c.values[n], whole)]);
  });
  const lines = parts.flatMap(part => part.map((line, k) => k ? ["", ...line.slice(1)] : line));
  return [listing("Cycles by kind of unit and cause", ["units", "cause", "unit-cycles", "share"], lines, 2)];
}

function memoryTable([names, capacities, widths, used]) {
  const [name, capacity, width] = [names, capacities, widths].map(place => DATA.pool[place]);
  const lines = name.map((bank, k) => [bank, text(used[k]), text(capacity[k]), String(width[k]), percent(used[k], capacity[k])]);
  const table = listing("Memory by bank", ["bank", "words used", "words", "bits a word", "used"], lines, 1);
  if (table && lines.length > 40) {
    const [title, body] = table.children;
    const filled = used.filter(Boolean).length;
    table.replaceChildren(el("details", {}, el("summary", {}, `${title.textContent}: ${name.length} banks, ${filled} in use`), body));
  }
  return table;
}

function objects(title, found) {
  const names = Object.keys(found);
  const head = [...new Set(names.flatMap(name => Object.keys(found[name])))];
  return listing(title, [title === "Files" ? "file" : "layer", ...head.map(word => word.replaceAll("_", " "))],
    names.map(name => [name, ...head.map(key => text(found[name][key]))]), 1);
}

function terms(title, found, unitName) {
  const pairs = Object.entries(found).sort((a, b) => b[1] - a[1]);
  return listing(title, ["term", unitName, "share"], pairs.map(([term, value]) => [term, text(value), percent(value, found.total)]), 1);
}
