// Galleries: menus filter and order cards; a button with data-gallery sets the menus and shows the gallery.
(() => {
  const galleries = new Map();
  for (const part of document.querySelectorAll(".gallery")) {
    const holder = part.querySelector(".cards");
    const cards = [...holder.children];
    const menus = [...part.querySelectorAll("select.by")];
    const order = part.querySelector("select.order");
    const more = part.querySelector("button.more");
    const count = part.querySelector(".count");
    const step = Number(part.dataset.shown);
    let limit = step;
    const update = () => {
      const wanted = menus.filter((menu) => menu.value).map((menu) => [`f${menu.dataset.filter}`, menu.value]);
      let shown = 0, matching = 0;
      for (const card of holder.children) {
        const match = wanted.every(([key, value]) => card.dataset[key]?.split("\n").includes(value));
        matching += match;
        card.hidden = !match || shown >= limit;
        shown += !card.hidden;
      }
      more.hidden = matching <= shown;
      more.textContent = `Show ${Math.min(step, matching - shown)} more of ${(matching - shown).toLocaleString("en")}`;
      count.textContent = matching === shown ? matching.toLocaleString("en") : `${shown} of ${matching.toLocaleString("en")}`;
    };
    const sort = () => {
      let sorted = cards;
      if (order?.value) {
        const sign = order.value[0] === "-" ? -1 : 1;
        const key = `s${order.value.slice(1)}`;
        const number = (card) => key in card.dataset ? Number(card.dataset[key]) : NaN;
        sorted = [...cards].sort((a, b) => {
          const [x, y] = [number(a), number(b)];
          return Number.isNaN(x) || Number.isNaN(y) ? Number.isNaN(x) - Number.isNaN(y) : sign * (x - y);
        });
      }
      holder.replaceChildren(...sorted);
      update();
    };
    for (const menu of menus) menu.addEventListener("change", () => { limit = step; update(); });
    order?.addEventListener("change", sort);
    more.addEventListener("click", () => { limit += step * 4; update(); });
    galleries.set(part.id, {
      part,
      filter(values) {
        for (const menu of menus) menu.value = values[menu.dataset.name] ?? "";
        limit = step;
        update();
      },
    });
    update();
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-gallery]");
    const gallery = button && galleries.get(button.dataset.gallery);
    if (!gallery) return;
    gallery.filter(JSON.parse(button.dataset.filters));
    gallery.part.scrollIntoView({ behavior: "smooth", block: "start" });
  });
})();
