// start

function start() {
  if (DATA.single) {
    showDetails(0);
    return draw();
  }
  makeFilters();
  makeControls();
  makeTable();
  showTables();
  $("reset").addEventListener("click", reset);
  $("failures")?.addEventListener("click", onlyFailed);
  document.addEventListener("keydown", event => {
    if (event.key === "Escape" && !$("details").hidden) hideDetails();
  });
  const asked = /^#point=(\d+)$/.exec(location.hash);
  const at = asked ? rows.findIndex(row => row.point === Number(asked[1])) : -1;
  return draw().then(() => { if (at >= 0) showDetails(at); });
}

let width = innerWidth;
addEventListener("resize", () => {
  clearTimeout(waiting);
  if (innerWidth !== width) waiting = setTimeout(() => { width = innerWidth; draw(); }, 200);
});
start().then(() => { document.body.dataset.ready = "true"; });
