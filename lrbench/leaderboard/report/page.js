(() => {
  "use strict";
  document.documentElement.classList.remove("no-js");
  const rows = [...document.querySelectorAll("tr[data-model]")];
  const views = [];

  function sortBy(table, column, button) {
    const heading = button.parentElement;
    const ascending = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    // Columns of words have nothing else to be sorted by.
    const key = (row) => {
      const { sort } = row.cells[column].dataset;
      if (sort === undefined) return row.cells[column].textContent;
      return sort === "" ? NaN : Number(sort);
    };
    const compare = (a, b) => {
      const [first, second] = [key(a), key(b)];
      if (typeof first === "string") return first.localeCompare(second);
      if (Number.isNaN(first) || Number.isNaN(second)) return Number.isNaN(first) - Number.isNaN(second);
      return first - second;
    };
    const body = table.tBodies[0];
    const missing = (row) => row.cells[column].dataset.sort === "";
    const ordered = [...body.rows].sort((a, b) => (missing(a) || missing(b) || ascending ? compare(a, b) : compare(b, a)));
    body.append(...ordered);
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.replaceChildren(button);
      button.addEventListener("click", () => sortBy(table, column, button));
    });
  }

  const filter = document.getElementById("filter");
  const heldUp = document.getElementById("held-up");
  const ranked = rows.filter((row) => row.querySelector(".verdict"));
  // Models of two boards may be called alike.
  const told = (row) => JSON.stringify([row.closest("[data-board]")?.dataset.board, row.dataset.model]);
  const verdicts = new Map(rows.map((row) => [told(row), ""]));
  for (const row of ranked) verdicts.set(told(row), row.querySelector(".verdict").textContent);
  if (!ranked.length) heldUp.closest("label").hidden = true;

  function matches(model, verdict) {
    const wanted = filter.value.trim().toLowerCase();
    return model.toLowerCase().includes(wanted) && (!heldUp.checked || verdict === "held up");
  }

  function shown() {
    const left = rows.filter((row) => matches(row.dataset.model, verdicts.get(told(row))));
    return [...new Set(left.map((row) => row.dataset.model))];
  }

  function update() {
    const models = new Set(shown());
    for (const row of rows) {
      const own = row.querySelector(".verdict")?.textContent ?? verdicts.get(told(row));
      row.hidden = !matches(row.dataset.model, own);
    }
    for (const part of document.querySelectorAll("details[data-model]")) part.hidden = !models.has(part.dataset.model);
    const left = new Set(rows.filter((row) => !row.hidden).map(told));
    document.getElementById("count").textContent = `${left.size} of ${verdicts.size} models`;
    for (const view of views) view.signal("shown", [...models]).runAsync();
  }

  filter.addEventListener("input", update);
  heldUp.addEventListener("change", update);
  update();

  const specs = JSON.parse(document.getElementById("specs")?.textContent ?? "[]");
  for (const place of document.querySelectorAll("[data-chart]")) {
    const fixed = place.firstElementChild;
    const live = document.createElement("div");
    window
      .vegaEmbed(live, specs[Number(place.dataset.chart)], { mode: "vega-lite", renderer: "svg", actions: false })
      .then((result) => {
        fixed.replaceWith(live);
        views.push(result.view);
        result.view.signal("shown", shown()).runAsync();
      })
      .catch((error) => console.error(error));
  }
})();
