// tables

let sorted = {column: byName.get("point"), down: false};
const tableRows = new Map();
let heads = [];

function makeTable() {
  const place = c => c.group === "identity" ? c.varies || c.name === "status" : isAxis(c) || c.better;
  heads = columns.filter(c => place(c) && !["key", "error", "seed", "stream"].includes(c.name) && !c.name.endsWith("_hash") && !c.name.endsWith("sha256"));
  for (const c of named("point").reverse()) heads = [c, ...heads.filter(other => other !== c)];
  if (byName.has("error")) heads.push(byName.get("error"));
  const cells = heads.map(c => el("th", {scope: "col", class: c.number ? "number" : null, "data-column": c.name},
    el("button", {type: "button", onclick: () => sortBy(c), title: c.about || c.label},
      isAxis(c) || c.group === "identity" ? c.name : c.label, el("small", {}, c.shown_unit || "\u00a0"))));
  $("points").append(el("caption", {}, "Click a heading to sort."), el("thead", {}, el("tr", {}, ...cells)), el("tbody"));
}

function sortBy(c) {
  sorted = {column: c, down: sorted.column === c && !sorted.down};
  showTables();
}

function tableRow(row) {
  if (!tableRows.has(row.n)) {
    const cells = heads.map((c, k) => {
      const value = row[c.id];
      if (k === 0) return el("td", {class: "number"}, el("button", {type: "button", class: "link", "aria-label": `Details of point ${value}`}, text(value)));
      const failed = (c.name === "status" && value === "failed") || c.name === "error";
      const kind = c.number ? "number" : failed ? "text failed" : "text";
      return el("td", {class: kind, title: c.number ? null : value}, isAxis(c) && value !== null ? String(value) : text(value));
    });
    tableRows.set(row.n, el("tr", {"data-n": row.n, onclick: () => showDetails(row.n)}, ...cells));
  }
  return tableRows.get(row.n);
}

function showPoints(shown) {
  const {column, down} = sorted;
  const order = (a, b) => {
    const [one, other] = [a[column.id], b[column.id]];
    if (one === null || other === null) return (one === null) - (other === null) || a.n - b.n;
    return (down ? compare(other, one) : compare(one, other)) || a.n - b.n;
  };
  const ordered = [...shown].sort(order).slice(0, MOST_ROWS);
  $("points").tBodies[0].replaceChildren(...ordered.map(tableRow));
  for (const head of $("points").tHead.rows[0].cells) {
    const here = head.dataset.column === column.name;
    head.setAttribute("aria-sort", here ? (down ? "descending" : "ascending") : "none");
    head.querySelector("small").textContent = (byName.get(head.dataset.column).shown_unit || "\u00a0") + (here ? (down ? " ▼" : " ▲") : "");
  }
  $("cut").textContent = shown.length > MOST_ROWS ? `The first ${MOST_ROWS} are shown; filter to see others.` : "";
}

function showSpread(shown) {
  const found = columns.filter(c => c.better && c.varies && !c.name.endsWith("_density"));
  const lines = found.map(c => {
    const known = shown.filter(row => row[c.id] !== null).sort((a, b) => a[c.id] - b[c.id]);
    if (!known.length) return el("tr", {}, el("th", {scope: "row"}, titled(c)), ..."––––".split("").map(dash => el("td", {class: "number"}, dash)));
    const best = c.better > 0 ? known.findLast(row => row[c.id] === known.at(-1)[c.id]) : known[0];
    const numbers = [known[0], known[(known.length - 1) >> 1], known.at(-1)].map(row => el("td", {class: "number"}, text(row[c.id])));
    const link = el("button", {type: "button", class: "link", onclick: () => showDetails(best.n)}, `point ${best.point}`);
    return el("tr", {}, el("th", {scope: "row"}, titled(c)), ...numbers, el("td", {class: "number"}, link));
  });
  const head = ["figure", "least", "median", "most", "best"].map((word, k) => el("th", {scope: "col", class: k ? "number" : null}, word));
  $("spread").replaceChildren(el("caption", {}, "Over the points shown"), el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...lines));
}
