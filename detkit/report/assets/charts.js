// Charts: exact values at the pointer, and curves of the key chosen in a menu of the section (select.curves).
// Data: {key: {name, x: [...], curves: {name: [...]}, marks: [[x, y, text], ...]}}; the first key is shown without a choice.
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
    choose(keys) {
      this.chosen = keys.filter((key) => key in this.data);
      const group = this.svg.querySelector(".extra");
      group.replaceChildren();
      const add = (name, attributes, text) => {
        const element = document.createElementNS(NS, name);
        for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
        if (text !== undefined) element.textContent = text;
        group.append(element);
      };
      for (const key of this.chosen) {
        const { x, curves, marks } = this.data[key];
        Object.values(curves).forEach((ys, number) => {
          const known = x.map((value, index) => [value, ys[index]]).filter(([a, b]) => a !== null && b !== null);
          const points = known.map(([a, b]) => `${this.x.to(a).toFixed(1)},${this.y.to(b).toFixed(1)}`).join(" ");
          add("polyline", { points, class: `curve solid c${number}` });
        });
        for (const [a, b, label] of marks ?? []) {
          const [px, py] = [this.x.to(a), this.y.to(b)];
          const left = px > this.plot.left + this.plot.width * 0.55;
          add("circle", { cx: px, cy: py, r: 5, class: "chosen" });
          add("text", { x: px + (left ? -9 : 9), y: py > 40 ? py - 7 : py + 16, class: left ? "end" : "" }, label);
        }
      }
      this.svg.classList.toggle("has-extra", this.chosen.length > 0);
    }
    show(event) {
      const matrix = this.svg.getScreenCTM();
      if (!matrix) return;
      const inside = (event.clientX - matrix.e) / matrix.a;
      const px = Math.min(Math.max(inside, this.plot.left), this.plot.left + this.plot.width);
      const x = this.x.back(px);
      const keys = this.chosen.length ? this.chosen : Object.keys(this.data).slice(0, 1);
      this.readout.textContent = keys.map((key) => {
        const { name, x: xs, curves } = this.data[key];
        let best = 0;
        xs.forEach((value, index) => { if (Math.abs(value - x) < Math.abs(xs[best] - x)) best = index; });
        if (!xs.length) return name;
        return `${name}, at ${text(xs[best])}: ` + Object.entries(curves).map(([curve, ys]) => `${curve} ${text(ys[best])}`).join(", ");
      }).join("; ");
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
