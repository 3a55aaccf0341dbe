"use strict";
// Score threshold and NMS in the browser, by the rules and the order of detkit.ops.select, and what answers for each box.
(() => {
  const { photo, members } = JSON.parse(document.getElementById("strip-data").textContent);
  const NS = "http://www.w3.org/2000/svg", MAX_LABELS = 30, MAX_REMOVED = 60, SIZE = 11;
  const everything = document.getElementById("all-answers");
  const element = (name, attributes = {}, parent = null) => {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (parent) parent.append(made);
    return made;
  };

  const overlap = (boxes, areas, i, j) => {
    const a = 4 * i, b = 4 * j;
    const width = Math.max(Math.min(boxes[a + 2], boxes[b + 2]) - Math.max(boxes[a], boxes[b]), 0);
    const height = Math.max(Math.min(boxes[a + 3], boxes[b + 3]) - Math.max(boxes[a + 1], boxes[b + 1]), 0);
    const shared = width * height;
    return shared / (areas[i] + areas[j] - shared); // NaN, which is not above any limit, for two boxes without area
  };

  // Candidates are sorted, best first. Returns those that are kept, their scores, and by which one each other was removed.
  const nms = (member, iou) => {
    const { boxes, areas, scores, labels, rules } = member, count = scores.length;
    const limit = rules.max_detections ?? Infinity, kept = [], removedBy = new Int32Array(count).fill(-1);
    const compared = (i, j) => rules.class_agnostic || labels[i] === labels[j];
    if (rules.nms === "hard" || iou === null) {
      for (let i = 0; i < count && kept.length < limit; i++) {
        if (removedBy[i] >= 0) continue;
        kept.push([i, scores[i]]);
        if (iou === null) continue;
        for (let j = i + 1; j < count; j++) {
          if (removedBy[j] < 0 && compared(i, j) && overlap(boxes, areas, i, j) > iou) removedBy[j] = i;
        }
      }
      return { kept, removedBy };
    }
    const reduced = Float32Array.from(scores);
    while (kept.length < Math.min(limit, count)) {
      let best = 0;
      for (let i = 1; i < count; i++) if (reduced[i] > reduced[best]) best = i;
      if (!(reduced[best] > Math.fround(rules.min_score))) break;
      kept.push([best, reduced[best]]);
      for (let j = 0; j < count; j++) {
        if (!compared(best, j)) continue;
        const shared = overlap(boxes, areas, best, j) || 0;
        if (rules.nms === "gaussian") reduced[j] *= Math.exp(-shared * shared / rules.sigma);
        else if (shared > iou) reduced[j] *= 1 - shared;
      }
      reduced[best] = -1;
    }
    return { kept, removedBy };
  };

  const prepare = (raw) => {
    const boxes = Float32Array.from(raw.boxes), count = raw.labels.length;
    const areas = Float64Array.from({ length: count }, (_, i) => (boxes[4 * i + 2] - boxes[4 * i]) * (boxes[4 * i + 3] - boxes[4 * i + 1]));
    return { ...raw, boxes, areas, scores: Float32Array.from(raw.scores) };
  };

  const restored = (member, numbers) => numbers.map((number, index) => {
    const [offset, factor, side] = index % 2 ? [member.place[1], member.place[3], photo.height] : [member.place[0], member.place[2], photo.width];
    return Math.min(Math.max((number - offset) * factor, 0), side);
  });
  const slice = (values, index, width) => Array.from(values.slice(width * index, width * (index + 1)));
  const rectangle = (box) => ({ x: box[0], y: box[1], width: Math.max(box[2] - box[0], 0), height: Math.max(box[3] - box[1], 0) });
  const center = (box) => [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];

  const start = (card) => {
    const member = prepare(members[Number(card.dataset.member)]);
    const svg = element("svg", { viewBox: `0 0 ${photo.width} ${photo.height}`, role: "group", "aria-label": card.querySelector("h3").textContent });
    element("image", { href: photo.uri, width: photo.width, height: photo.height }, svg);
    const under = element("g", {}, svg), layer = element("g", {}, svg), over = element("g", {}, svg), words = element("g", {}, svg);
    card.querySelector(".view").append(svg);
    const [score, iou] = [card.querySelector(".score"), card.querySelector(".iou")];
    const lowest = member.total > member.scores.length ? member.scores.at(-1) : member.rules.min_score;
    let state, chosen = null;
    const unit = () => photo.width / Math.max(svg.clientWidth, 1);
    const stroke = (pixels) => ({ "stroke-width": pixels, "vector-effect": "non-scaling-stroke" });

    // What answers for a candidate, drawn into a group.
    const draw = (index, group, color) => {
      const row = member.rows[index], box = restored(member, slice(member.boxes, index, 4));
      const add = (shape, dash, pixels = 2) => element("rect", { class: "mark", ...rectangle(shape), stroke: color, ...stroke(pixels), ...(dash ? { "stroke-dasharray": dash } : {}) }, group);
      const line = (points) => {
        element("polyline", { class: "mark", points: points.map((point) => point.join(",")).join(" "), stroke: color, ...stroke(2) }, group);
        element("circle", { cx: points.at(-1)[0], cy: points.at(-1)[1], r: 4 * unit(), fill: color, stroke: "#000", ...stroke(1), "pointer-events": "none" }, group);
      };
      if (member.steps) {
        const count = member.step_names.length;
        const steps = Array.from({ length: count }, (_, step) => restored(member, slice(member.steps, row * count + step, 4)));
        for (const shape of steps.slice(0, -1)) add(shape, "2 3", 1);
        line(steps.map(center));
      } else if (member.width === 2) {
        line([center(box), restored(member, slice(member.locations, row, 2))]);
      } else if (member.width === 4) {
        if (member.origins) add(restored(member, slice(member.origins, row, 4)), "3 4", 1.5);
        add(restored(member, slice(member.locations, row, 4)), "7 4");
      }
    };

    const describe = (index, value) => {
      const row = member.rows[index], name = member.names[member.labels[index]];
      const removed = state.removedBy.reduce((sum, by) => sum + (by === index), 0);
      let text = `${name} ${value.toFixed(3)}: answered by ${member.location} ${member.ids[row].toLocaleString("en")} of ${member.count.toLocaleString("en")}`;
      if (member.steps) {
        const count = member.step_names.length, path = [0, count - 1].map((step) => center(restored(member, slice(member.steps, row * count + step, 4))));
        text += `; its center moved ${Math.hypot(path[1][0] - path[0][0], path[1][1] - path[0][1]).toFixed(0)} pixels from ${member.step_names[0]} to ${member.step_names[count - 1]}`;
      } else if (member.width === 2) {
        const point = restored(member, slice(member.locations, row, 2));
        text += ` at ${point[0].toFixed(0)}, ${point[1].toFixed(0)}`;
      } else {
        const box = restored(member, slice(member.locations, row, 4));
        text += `, ${(box[2] - box[0]).toFixed(0)} x ${(box[3] - box[1]).toFixed(0)} pixels`;
        if (member.origins) text += " (dashed), which came from the dotted anchor";
      }
      if (removed) text += `. NMS removed ${removed.toLocaleString("en")} other${removed === 1 ? "" : "s"} (thin)`;
      return text + ".";
    };

    const choose = (index) => {
      chosen = index;
      under.replaceChildren();
      over.replaceChildren();
      for (const rect of layer.children) rect.classList.toggle("chosen", Number(rect.dataset.index) === index);
      if (everything.checked) for (const [other] of state.shown) if (other !== index) draw(other, over, member.colors[member.labels[other]]);
      const value = state.shown.get(index);
      if (value === undefined) {
        card.querySelector(".answer").textContent = state.shown.size ? "Point at a box, or tap it." : "No candidate scores enough: move the slider.";
        return;
      }
      let drawn = 0;
      for (let j = index + 1; j < state.removedBy.length && drawn < MAX_REMOVED; j++) {
        if (state.removedBy[j] !== index) continue;
        element("rect", { class: "mark", ...rectangle(restored(member, slice(member.boxes, j, 4))), stroke: "#fff", "stroke-opacity": .6, ...stroke(1) }, under);
        drawn++;
      }
      draw(index, over, "#ffe600");
      card.querySelector(".answer").textContent = describe(index, value);
    };

    const render = () => {
      const threshold = Math.fround(state.score);
      state.shown = new Map(state.kept.filter(([, value]) => value >= threshold));
      const area = (index) => member.areas[index];
      layer.replaceChildren();
      words.replaceChildren();
      for (const index of [...state.shown.keys()].sort((a, b) => area(b) - area(a))) { // small boxes on top
        const box = restored(member, slice(member.boxes, index, 4)), label = member.labels[index], value = state.shown.get(index);
        const rect = element("rect", {
          class: "detection", ...rectangle(box), stroke: member.colors[label], ...stroke(2.5), tabindex: 0, role: "button",
          "aria-label": `${member.names[label]} ${value.toFixed(2)}`, "data-index": index, "data-score": value, "data-label": label, "data-box": box.join(" "),
        }, layer);
        for (const event of ["pointerenter", "focus", "click"]) rect.addEventListener(event, () => choose(index));
        if (state.shown.size > MAX_LABELS) continue;
        const size = SIZE * unit(), right = box[0] > 0.75 * photo.width; // labels near the right side end at their box's
        const text = element("text", {
          x: right ? box[2] - size / 4 : box[0] + size / 4, y: Math.max(box[1] + size * 1.1, size), "font-size": size, "text-anchor": right ? "end" : "start",
        }, words);
        text.textContent = `${member.names[label]} ${value.toFixed(2)}`;
      }
      const found = state.shown.size, total = state.removedBy.filter((by) => by >= 0).length;
      card.querySelector(".counts").textContent = `${found.toLocaleString("en")} detection${found === 1 ? "" : "s"}; NMS removed ${total.toLocaleString("en")} of ${member.scores.length.toLocaleString("en")} candidates`;
      card.querySelector(".controls label:nth-child(1) output").textContent = state.score.toFixed(2);
      card.querySelector(".controls label:nth-child(2) output").textContent = state.iou === null ? "off" : state.iou.toFixed(2);
      choose(chosen);
    };
    const suppress = () => Object.assign(state, nms(member, state.iou));
    const reset = () => {
      state = { score: member.min_score, iou: member.rules.nms_iou };
      score.min = Math.floor(lowest * 100) / 100;
      [score.value, iou.value] = [state.score, state.iou ?? 1];
      suppress();
      render();
    };
    score.addEventListener("input", () => { state.score = Math.max(Number(score.value), lowest); render(); });
    iou.addEventListener("input", () => { state.iou = Number(iou.value) < 1 ? Number(iou.value) : null; suppress(); render(); });
    card.querySelector(".reset").addEventListener("click", reset);
    everything.addEventListener("change", () => choose(chosen));
    new ResizeObserver(() => { for (const text of words.children) text.setAttribute("font-size", SIZE * unit()); }).observe(svg);
    reset();
  };
  document.querySelectorAll(".member").forEach(start);
})();
