// The report of an evaluation: cells of the confusion matrix open their images, classes of the table their curves.
(() => {
  const panel = document.getElementById("cell-panel");
  const block = document.getElementById("confusion-cells");
  const data = block ? JSON.parse(block.textContent) : { cases: {} };
  const element = (name, content, attributes = {}) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...[content].flat());
    return made;
  };
  const open = (button) => {
    document.querySelectorAll("table.heat td.chosen").forEach((cell) => cell.classList.remove("chosen"));
    button.closest("td").classList.add("chosen");
    const count = Number(button.querySelector("[data-value]").dataset.value);
    const rows = data.cases[button.dataset.cell] ?? [];
    const cards = element("div", [], { class: "cards" });
    const list = element("ul", [], { class: "cases" });
    for (const [image, position, score, iou] of rows) {
      const card = document.querySelector(`#mistakes .card[data-case="${position}"]`);
      if (card) {
        const copy = card.cloneNode(true);
        copy.hidden = false;
        cards.append(copy);
        continue;
      }
      const numbers = [score === null ? "" : `score ${score.toFixed(3)}`, iou === null ? "" : `IoU ${iou.toFixed(2)}`].filter(Boolean);
      const address = data.addresses[image] === undefined ? "" : data.base + data.addresses[image];
      const name = address ? element("a", data.names[image], { href: address }) : element("span", data.names[image]);
      list.append(element("li", [name, ` ${numbers.join(", ")}`]));
    }
    const rest = count - rows.length;
    const heading = element("h3", `${button.dataset.title}: ${count.toLocaleString("en")} ${count === 1 ? "case" : "cases"}`);
    const more = rest > 0 ? [element("p", `${rest.toLocaleString("en")} more are in the JSON of the evaluation.`, { class: "note" })] : [];
    panel.replaceChildren(heading, ...(cards.children.length ? [cards] : []), ...(list.children.length ? [list] : []), ...more);
    panel.scrollIntoView({ block: "nearest", behavior: "smooth" });
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-cell]");
    if (button) open(button);
    const link = event.target.closest("#class-table tr[data-class] a");
    if (!link) return;
    for (const menu of document.querySelectorAll("select.curves")) {
      menu.value = link.closest("tr").dataset.class;
      if (menu.selectedIndex < 0) menu.value = "";
      menu.dispatchEvent(new Event("change"));
    }
  });
})();
