"use strict";
// Files of what is shown: JSON, and labels for training.
const files = (() => {
  const rounded = (value, digits) => Number(value.toFixed(digits));
  const stem = (name) => (name.replace(/\.[^.]*$/, "").replace(/[^\p{L}\p{N}._-]+/gu, "_").slice(0, 80) || "image");

  const json = ({ model, image, detections }) => JSON.stringify({ model: model.name, image, detections }, null, 1);

  // Polygons as one, connected by lines that are passed in both directions.
  const joined = ([first, ...others]) => {
    const parts = others.length ? [first, ...others].map((part) => [...part, ...part.slice(0, 2)]) : [first];
    return [...parts, ...others.slice(0, -1).reverse().map((part) => part.slice(0, 2))].flat();
  };
  const corners = ([x1, y1, x2, y2]) => [x1, y1, x2, y1, x2, y2, x1, y2];

  // A line per object as fractions of the image: label, center, width and height; of a model with masks label and outline.
  const yolo = ({ image, detections }) => detections.map(({ label, box, polygons }) => {
    const [x1, y1, x2, y2] = box, size = [image.width, image.height];
    const values = detections.some((row) => row.polygons)
      ? (polygons?.length ? joined(polygons) : corners(box)).map((value, index) => value / size[index % 2])
      : [(x1 + x2) / 2 / image.width, (y1 + y2) / 2 / image.height, (x2 - x1) / image.width, (y2 - y1) / image.height];
    return `${[label, ...values.map((value) => rounded(value, 6))].join(" ")}\n`;
  }).join("");

  const coco = ({ model, image, detections }) => JSON.stringify({
    images: [{ id: 1, file_name: image.name, width: image.width, height: image.height }],
    categories: model.classes.map(({ label, name }) => ({ id: label + 1, name })),
    annotations: detections.map(({ label, score, polygons, box: [x1, y1, x2, y2] }, index) => ({
      id: index + 1, image_id: 1, category_id: label + 1, bbox: [x1, y1, rounded(x2 - x1, 4), rounded(y2 - y1, 4)],
      area: rounded((x2 - x1) * (y2 - y1), 4), iscrowd: 0, score, ...(polygons ? { segmentation: polygons } : {}),
    })),
  }, null, 1);

  const save = (text, name, type) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };

  return {
    // Connects the buttons of a view; content() returns its model, image and shown detections.
    connect(element, content) {
      const add = (name, write, ending, type) => element.querySelector(`.${name}`).addEventListener("click", () => {
        const shown = content();
        save(write(shown), `${stem(shown.image.name)}${ending(shown)}`, type);
      });
      add("json", json, (shown) => `-${stem(shown.model.name)}.json`, "application/json");
      add("yolo", yolo, () => ".txt", "text/plain");
      add("coco", coco, (shown) => `-${stem(shown.model.name)}-coco.json`, "application/json");
    },
  };
})();
