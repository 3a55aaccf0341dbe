// Charts: exact values at the pointer, and curves of the names chosen in a menu (select.curves with data-source).
(() => {
  const NS = "http://www.w3.org/2000/svg";
  const sources = new Map();
  const load = (id) => {
    if (!sources.has(id)) sources.set(id, JSON.parse(document.getElementById(id)?.textContent ?? "{}"));
    return sources.get(id);
  };
  const numbers = (text) => text.split(" ").map(Number);
  const scale = ([low, high, logarithmic], from, length) => {
    const f = logarithmic ? Math.log : (v) => v;
    const to = (v) => from + length * Math.min(Math.max((f(Math.max(v, logarithmic ? low : v)) - f(low)) / (f(high) - f(low)), 0), 1);
    const back = (p) => { const t = (p - from) / length; return logarithmic ? low * (high / low) ** t : low + t * (high - low); };
    return { to, back };
  };
  const text = (v) => v === null || v === undefined ? "–" : Number.isInteger(v) ? v.toLocaleString("en") : Math.abs(v) >= 100 ? v.toFixed(1) : v.toPrecision(3);

  class Chart {
    constructor(svg) {
      this.svg = svg;
      this.data = load(svg.dataset.source);
      const [left, top, width, height] = numbers(svg.dataset.plot);
      this.plot = { left, top, width, height };
      this.x = scale(numbers(svg.dataset.x), left, width);
      this.y = scale(numbers(svg.dataset.y), top + height, -height);
      this.chosen = [];
      this.readout = document.createElement("div");
      this.readout.className = "readout";
      svg.after(this.readout);
      svg.addEventListener("pointermove", (event) => this.show(event));
      svg.addEventListener("pointerleave", () => { this.cursor?.remove(); this.readout.textContent = ""; });
    }
    get names() { return this.chosen.length ? this.chosen : Object.keys(this.data).slice(0, 1); }
    choose(names) {
      this.chosen = names.filter((name) => name in this.data);
      const group = this.svg.querySelector(".extra");
      group.replaceChildren();
      this.chosen.forEach((name, index) => {
        const curves = Object.entries(this.data[name]).filter(([key]) => key !== "x");
        curves.forEach(([, ys], number) => {
          const line = document.createElementNS(NS, "polyline");
          const points = this.data[name].x.map((x, i) => x === null || ys[i] === null ? null : `${this.x.to(x).toFixed(1)},${this.y.to(ys[i]).toFixed(1)}`);
          line.setAttribute("points", points.filter(Boolean).join(" "));
          line.setAttribute("class", `curve solid c${(curves.length > 1 ? number : index) % 10}`);
          group.append(line);
        });
      });
      this.svg.classList.toggle("has-extra", this.chosen.length > 0);
    }
    show(event) {
      const matrix = this.svg.getScreenCTM();
      if (!matrix) return;
      const px = (event.clientX - matrix.e) / matrix.a;
      const x = this.x.back(Math.min(Math.max(px, this.plot.left), this.plot.left + this.plot.width));
      const parts = this.names.map((name) => {
        const { x: xs, ...ys } = this.data[name];
        let best = 0;
        xs.forEach((value, index) => { if (Math.abs(value - x) < Math.abs(xs[best] - x)) best = index; });
        if (!xs.length) return name;
        return `${name}: at ${text(xs[best])} ` + Object.entries(ys).map(([key, values]) => `${key} ${text(values[best])}`).join(", ");
      });
      this.readout.textContent = parts.join("; ");
      this.cursor ??= document.createElementNS(NS, "line");
      const attributes = { x1: px, x2: px, y1: this.plot.top, y2: this.plot.top + this.plot.height, class: "cursor" };
      for (const [key, value] of Object.entries(attributes)) this.cursor.setAttribute(key, value);
      this.svg.append(this.cursor);
    }
  }
  const charts = [...document.querySelectorAll("svg.chart[data-source]")].map((svg) => new Chart(svg));
  const choose = (menu) => {
    const scope = menu.closest("section") ?? document;
    for (const chart of charts) if (scope.contains(chart.svg)) chart.choose(menu.value ? [menu.value] : []);
  };
  for (const menu of document.querySelectorAll("select.curves")) menu.addEventListener("change", () => choose(menu));
})();
