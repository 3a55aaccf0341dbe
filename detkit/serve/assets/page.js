"use strict";
// The page: what was sent, what was answered, and what of it is shown.
(() => {
  const ASKED = 0.01; // the lowest score on the slider, with which the server is asked
  const get = (id) => document.getElementById(id);
  const state = { models: [], image: null, responses: new Map(), score: null, hidden: new Set(), views: [], sent: 0 };

  const report = (error) => {
    get("message").textContent = error ? error.message : "";
    get("message").hidden = !error;
    if (error?.status === 401) {
      get("key-form").hidden = false;
      get("key").focus();
    }
  };

  const root = document.documentElement;
  document.querySelector("header .theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  // Models.
  const chosen = () => [get("model").value, get("other").value].filter(Boolean).map((name) => state.models.find((model) => model.name === name));
  const load = async () => {
    try {
      state.models = await api.models();
    } catch (error) {
      report(error);
      return;
    }
    for (const model of state.models) model.colors = new Map(model.classes.map(({ label, color }) => [label, color]));
    const options = () => state.models.map(({ name }) => new Option(name, name));
    get("model").replaceChildren(...options());
    get("other").replaceChildren(new Option("no other model", ""), ...options());
    for (const label of document.querySelectorAll(".models")) label.hidden = state.models.length < 2;
    get("key-form").hidden = true;
    showScore();
  };
  get("key-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    api.setKey(get("key").value.trim());
    report(null);
    await load();
    if (state.image) await detect();
  });
  for (const id of ["model", "other"]) get(id).addEventListener("change", () => { showScore(); if (state.image) detect(); });

  // Scores: the model's own for each class, or one number from the slider.
  const lowest = (model, label) => state.score ?? model.classes.find((one) => one.label === label)?.min_score ?? 1;
  const showScore = () => {
    const [first] = chosen();
    if (state.score === null && first) get("score").value = first.min_score;
    const varied = state.score === null && first && new Set(first.classes.map((one) => one.min_score)).size > 1;
    get("score-value").textContent = varied ? "by class" : Number(get("score").value).toFixed(2);
    get("own").disabled = state.score === null;
  };
  get("score").addEventListener("input", () => { state.score = Number(get("score").value); showScore(); render(); });
  get("own").addEventListener("click", () => { state.score = null; showScore(); render(); });

  // Classes: those that the answers have, by their best scores.
  const showClasses = () => {
    const best = new Map(), colors = new Map();
    for (const model of chosen()) {
      for (const { class_name: name, label, score } of state.responses.get(model.name)?.detections ?? []) {
        best.set(name, Math.max(score, best.get(name) ?? 0));
        colors.set(name, model.colors.get(label));
      }
    }
    get("classes").hidden = !best.size;
    const box = document.querySelector("#classes .boxes");
    const names = [...best.keys()].sort((first, second) => best.get(second) - best.get(first));
    if ([...box.querySelectorAll("input")].map((input) => input.value).join("\n") === names.join("\n")) return;
    box.replaceChildren(...names.map((name) => {
      const label = document.createElement("label"), input = document.createElement("input"), color = document.createElement("i");
      Object.assign(input, { type: "checkbox", value: name, checked: !state.hidden.has(name) });
      color.style.background = colors.get(name);
      input.addEventListener("change", () => { state.hidden[input.checked ? "delete" : "add"](name); render(); });
      label.append(input, color, name);
      return label;
    }));
  };
  const setAll = (checked) => {
    for (const input of document.querySelectorAll("#classes input")) {
      input.checked = checked;
      state.hidden[checked ? "delete" : "add"](input.value);
    }
    render();
  };
  get("all").addEventListener("click", () => setAll(true));
  get("none").addEventListener("click", () => setAll(false));

  // Views.
  const render = () => {
    const models = chosen().filter((model) => state.responses.has(model.name));
    while (state.views.length > models.length) state.views.pop().remove();
    while (state.views.length < models.length) {
      const view = new View(get("views"));
      files.connect(view.element, () => ({ model: view.model, image: { ...view.response.image, name: state.image.name }, detections: view.shown }));
      state.views.push(view);
    }
    models.forEach((model, index) => {
      const keep = ({ label, class_name: name, score }) => score >= lowest(model, label) && !state.hidden.has(name);
      state.views[index].show(model, state.image.frame, state.responses.get(model.name), keep);
    });
  };

  // Sends the image to the chosen models; returns whether all of them answered. An answer to an earlier image is dropped.
  const detect = async () => {
    const number = ++state.sent, image = state.image;
    get("views").setAttribute("aria-busy", "true");
    try {
      const models = chosen();
      const limit = models[0]?.limits.max_bytes;
      if (image.blob.size > limit) throw new api.Failure(`The file has ${image.blob.size.toLocaleString("en")} bytes; expected at most ${limit.toLocaleString("en")}`);
      const responses = await Promise.all(models.map((model) => api.detect(model.name, image.blob, ASKED)));
      if (number !== state.sent) return true;
      state.responses = new Map(models.map((model, index) => [model.name, responses[index]]));
      report(image.frame ? null : new Error("This browser cannot show this kind of image; the boxes are drawn without it."));
      showClasses();
      render();
      return true;
    } catch (error) {
      if (number === state.sent) report(error);
      return false;
    } finally {
      if (number === state.sent) get("views").setAttribute("aria-busy", "false");
    }
  };

  // Images: from a file, the clipboard, or the camera.
  const decoded = async (blob) => {
    const image = new Image();
    image.src = URL.createObjectURL(blob);
    try {
      await image.decode();
      return image;
    } catch {
      return null;
    } finally {
      URL.revokeObjectURL(image.src);
    }
  };
  const open = async (list) => {
    if (!list.length) return;
    camera.setLive(false);
    const file = list[0];
    state.image = { blob: file, name: file.name || "image.png", frame: await decoded(file) };
    state.responses.clear();
    render();
    const answered = await detect();
    if (answered && list.length > 1) report(new Error(`One image at a time: this is ${file.name}. The API takes several.`));
  };
  get("file").addEventListener("change", async () => { await open(get("file").files); get("file").value = ""; });
  const drop = get("drop");
  for (const name of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => { event.preventDefault(); drop.classList.toggle("over", name === "dragover"); });
  }
  document.addEventListener("drop", (event) => open(event.dataTransfer.files));
  document.addEventListener("paste", (event) => open(event.clipboardData.files));

  const camera = new Camera({
    report,
    async detect(canvas, name, live) {
      const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", live ? 0.85 : 0.95));
      if (live && !camera.live) return true;
      state.image = { blob, name, frame: canvas };
      return detect();
    },
  });

  load();
})();
