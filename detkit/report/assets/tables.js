// Tables: a click on a heading sorts, the field filters, the button shows all rows.
(() => {
  const value = (row, column) => {
    const cell = row.cells[column];
    const exact = cell.querySelector("[data-value]");
    if (exact) return exact.dataset.value === "" ? NaN : Number(exact.dataset.value);
    return cell.textContent.trim();
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), undefined, { numeric: true });
  };
  for (const part of document.querySelectorAll(".table")) {
    const body = part.querySelector("tbody");
    const rows = [...body.rows];
    const field = part.querySelector("input.filter");
    const more = part.querySelector("button.more");
    let limit = more ? Number(part.dataset.shown) : Infinity;
    const update = () => {
      const words = (field?.value ?? "").toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0, matching = 0;
      for (const row of body.rows) {
        const text = row.textContent.toLowerCase();
        const match = words.every((word) => text.includes(word));
        matching += match;
        row.hidden = !match || shown >= limit;
        shown += !row.hidden;
      }
      if (more) more.hidden = matching <= shown;
    };
    const headings = [...part.querySelectorAll("thead th")];
    headings.forEach((heading, column) => heading.querySelector("button").addEventListener("click", () => {
      const before = heading.getAttribute("aria-sort");
      const first = heading.classList.contains("right") ? "descending" : "ascending";
      const order = before ? (before === "ascending" ? "descending" : "ascending") : first;
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const unknown = (key) => typeof key === "number" && Number.isNaN(key);
      const keyed = rows.map((row) => [value(row, column), row]);
      keyed.sort(([a], [b]) => unknown(a) || unknown(b) ? unknown(a) - unknown(b) : sign * compare(a, b));
      body.replaceChildren(...keyed.map(([, row]) => row));
      update();
    }));
    field?.addEventListener("input", update);
    more?.addEventListener("click", () => { limit = Infinity; update(); });
    update();
  }
})();
