"use strict";
// Theme, navigation, tabs, copy buttons and enlarged images.
(() => {
  const root = document.documentElement;
  const remembered = (() => { try { return localStorage.getItem("detkit-theme"); } catch { return null; } })();
  if (remembered) root.dataset.theme = remembered;
  document.querySelector("header .theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("detkit-theme", root.dataset.theme); } catch { /* a file without storage */ }
  });

  const links = [...document.querySelectorAll("header nav a")];
  const sections = links.map((link) => document.querySelector(link.getAttribute("href")));
  const highlight = () => {
    const line = innerHeight * 0.3;
    let current = sections.findLastIndex((section) => section && section.getBoundingClientRect().top <= line);
    if (innerHeight + scrollY >= document.body.scrollHeight - 4) current = links.length - 1;
    links.forEach((link, index) => {
      if (link.classList.toggle("current", index === current)) {
        const nav = link.parentElement;
        nav.scrollLeft = link.offsetLeft - nav.offsetLeft - (nav.clientWidth - link.clientWidth) / 2;
      }
    });
  };
  let pending = false;
  addEventListener("scroll", () => {
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => { pending = false; highlight(); });
  }, { passive: true });
  highlight();

  for (const tabs of document.querySelectorAll(".tabs")) {
    const buttons = [...tabs.querySelectorAll(":scope > .tablist > button")];
    const panels = [...tabs.querySelectorAll(":scope > .panel")];
    const show = (chosen) => {
      buttons.forEach((button, index) => button.setAttribute("aria-selected", String(index === chosen)));
      panels.forEach((panel, index) => panel.classList.toggle("shown", index === chosen));
    };
    buttons.forEach((button, index) => button.addEventListener("click", () => show(index)));
    buttons.forEach((button, index) => button.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = (index + step + buttons.length) % buttons.length;
      show(next);
      buttons[next].focus();
    }));
    tabs.classList.add("on");
    show(0);
  }

  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code); // without permission the text is selected instead
      }
    });
  }

  const dialog = document.getElementById("lightbox");
  const stage = dialog.querySelector(".stage");
  let group = [], position = 0;
  const display = () => {
    const image = group[position];
    const copy = image.cloneNode(true);
    const picture = copy.querySelector("img");
    const [width, height] = [picture.width, picture.height];
    stage.replaceChildren(copy);
    const scale = Math.min(stage.clientWidth / width, stage.clientHeight / height, 6);
    copy.style.width = `${width * scale}px`;
    copy.style.height = `${height * scale}px`;
    const text = image.closest(".card")?.querySelector(".text") ?? image.closest("figure")?.querySelector("figcaption");
    dialog.querySelector(".caption").replaceChildren(...(text ? [text.cloneNode(true)] : []));
  };
  const move = (step) => { position = (position + step + group.length) % group.length; display(); };
  document.addEventListener("click", (event) => {
    const image = event.target.closest(".image");
    if (!image || dialog.contains(image)) return;
    const container = image.closest(".cards, .grid, section");
    group = [...container.querySelectorAll(".image")].filter((one) => one.offsetParent !== null);
    position = Math.max(group.indexOf(image), 0);
    dialog.showModal();
    display();
  });
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.querySelector(".previous").addEventListener("click", () => move(-1));
  dialog.querySelector(".next").addEventListener("click", () => move(1));
  stage.addEventListener("click", (event) => { if (event.target === stage) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") move(-1);
    if (event.key === "ArrowRight") move(1);
  });
})();
