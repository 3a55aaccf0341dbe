"use strict";
// One model's detections on an image: a canvas, a summary and a list.
class View {
  static FONT = 13;

  constructor(container) {
    this.element = document.getElementById("view").content.firstElementChild.cloneNode(true);
    this.canvas = this.element.querySelector("canvas");
    container.append(this.element);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.canvas);
  }

  remove() {
    this.observer.disconnect();
    this.element.remove();
  }

  // frame: what drawImage takes, or null if the browser cannot show the image. keep(detection): whether it is shown.
  show(model, frame, response, keep) {
    Object.assign(this, { model, frame, response });
    this.shown = response.detections.filter(keep);
    this.element.dataset.count = this.shown.length;
    this.element.querySelector("h2").textContent = model.name;
    const { total_ms: total, detect_ms: detect } = response.timings;
    const count = this.shown.length, hidden = response.detections.length - count;
    const text = `${count} detection${count === 1 ? "" : "s"}, ${hidden} hidden; ${Math.round(total)} ms on the server, of which the model took ${Math.round(detect)}`;
    this.element.querySelector(".summary").textContent = text;
    this.canvas.setAttribute("aria-label", `Image with ${count} detections: ${this.shown.slice(0, 10).map((row) => row.class_name).join(", ")}`);
    this.element.querySelector("tbody").replaceChildren(...this.shown.map((row) => {
      const line = document.createElement("tr");
      for (const value of [row.class_name, row.score.toFixed(3), ...row.box.map((side) => side.toFixed(1))]) line.insertCell().textContent = value;
      return line;
    }));
    this.draw();
  }

  draw() {
    if (!this.response) return;
    const { width, height } = this.response.image, ratio = Math.min(devicePixelRatio || 1, 3);
    this.canvas.style.aspectRatio = `${width} / ${height}`;
    const scale = this.canvas.clientWidth * ratio / width;
    const size = [Math.round(width * scale), Math.round(height * scale)];
    if (this.canvas.width !== size[0] || this.canvas.height !== size[1]) [this.canvas.width, this.canvas.height] = size;
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, ...size);
    if (this.frame) context.drawImage(this.frame, 0, 0, ...size);
    context.lineWidth = 2.5 * ratio;
    context.font = `600 ${View.FONT * ratio}px system-ui, sans-serif`;
    context.textBaseline = "top";
    const rows = [...this.shown].reverse(); // the best on top
    this.drawMasks(context, rows, scale, ratio);
    for (const row of rows) this.drawRow(context, row, scale, ratio);
  }

  // All fills first, the largest at the bottom, then the outlines, as detkit.drawing has it.
  drawMasks(context, rows, scale, ratio) {
    const area = ({ box: [x1, y1, x2, y2] }) => (x2 - x1) * (y2 - y1);
    const paths = new Map(rows.filter((row) => row.polygons?.length).map((row) => [row, View.path(row.polygons, scale)]));
    context.save();
    context.globalAlpha = 0.4;
    for (const [row, path] of [...paths].sort(([first], [second]) => area(second) - area(first))) {
      context.fillStyle = this.colorOf(row);
      context.fill(path, "evenodd");
    }
    context.globalAlpha = 1;
    context.lineWidth = 1.5 * ratio;
    for (const [row, path] of paths) {
      context.strokeStyle = this.colorOf(row);
      context.stroke(path);
    }
    context.restore();
  }

  static path(polygons, scale) {
    const path = new Path2D();
    for (const points of polygons) {
      for (let index = 0; index < points.length; index += 2) path[index ? "lineTo" : "moveTo"](points[index] * scale, points[index + 1] * scale);
      path.closePath();
    }
    return path;
  }

  colorOf(row) {
    return this.model.colors.get(row.label) ?? "#e63946";
  }

  drawRow(context, row, scale, ratio) {
    const [x1, y1, x2, y2] = row.box.map((side) => side * scale), color = this.colorOf(row);
    context.strokeStyle = context.fillStyle = color;
    context.lineWidth = (row.polygons ? 1 : 2.5) * ratio;
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    const text = `${row.class_name} ${row.score.toFixed(2)}`, height = (View.FONT + 5) * ratio, width = context.measureText(text).width + 8 * ratio;
    const left = Math.max(0, Math.min(x1, this.canvas.width - width)), top = y1 >= height ? y1 - height : y1;
    context.fillRect(left, top, width, height);
    context.fillStyle = View.textColorOn(color);
    context.fillText(text, left + 4 * ratio, top + 3 * ratio);
  }

  // Black or white, as detkit.drawing.palette.text_color_on has it.
  static textColorOn(color) {
    const [red, green, blue] = [1, 3, 5].map((start) => parseInt(color.slice(start, start + 2), 16));
    return 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "#000" : "#fff";
  }
}
