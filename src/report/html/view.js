// What the page does beyond standing there: tooltips by hover, keyboard and tap, links that unfold, timelines that stretch.
// Without it everything can still be read: titles are shown by the browser.
"use strict";
(() => {
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.setAttribute("role", "status");
  tip.hidden = true;
  document.body.append(tip);
  let shown = null;

  const hide = () => {
    shown?.classList.remove("shown");
    shown = null;
    tip.hidden = true;
  };
  const show = (element) => {
    hide();
    shown = element;
    element.classList.add("shown");
    tip.textContent = element.dataset.tip;
    tip.hidden = false;
    const at = element.getBoundingClientRect();
    const left = Math.min(Math.max(8, at.left), innerWidth - tip.offsetWidth - 8);
    const below = at.bottom + 8 + tip.offsetHeight < innerHeight;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${Math.max(8, below ? at.bottom + 8 : at.top - tip.offsetHeight - 8)}px`;
  };

  const enliven = (timeline) => {
    const lanes = timeline.querySelector(".lanes");
    const svg = lanes.querySelector("svg");
    for (const title of svg.querySelectorAll("title")) {
      title.parentElement.dataset.tip = title.textContent;
      title.remove();
    }
    const tips = (within) => [...within.querySelectorAll("[data-tip]")];
    svg.tabIndex = 0;
    svg.addEventListener("pointerover", (event) => {
      const element = event.target.closest("[data-tip]");
      if (element) show(element); else hide();
    });
    svg.addEventListener("click", (event) => {
      const element = event.target.closest("[data-tip]");
      if (element) show(element); else hide();
    });
    svg.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hide(); });
    svg.addEventListener("focus", () => { if (svg.matches(":focus-visible") && !shown) show(tips(svg)[0]); });
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", (event) => {
      const all = tips(svg);
      const here = all.includes(shown) ? shown : all[0];
      const rows = [...svg.querySelectorAll(".lane")];
      const row = rows.indexOf(here.closest(".lane"));
      const beside = (lane) => {
        const left = here.getBoundingClientRect().left;
        const distance = (element) => Math.abs(element.getBoundingClientRect().left - left);
        return lane && tips(lane).reduce((best, next) => (distance(next) < distance(best) ? next : best));
      };
      const next = {
        ArrowRight: () => all[all.indexOf(here) + 1],
        ArrowLeft: () => all[all.indexOf(here) - 1],
        ArrowDown: () => beside(rows[row + 1]),
        ArrowUp: () => beside(rows[row - 1]),
      }[event.key];
      if (event.key === "Escape") hide();
      if (!next) return;
      event.preventDefault();
      const element = next();
      if (!element) return;
      element.scrollIntoView({ block: "nearest", inline: "nearest" });
      show(element);
    });

    const stretch = document.createElement("input");
    Object.assign(stretch, { type: "range", min: 0, max: 6, step: 0.1, value: 0, className: "stretch" });
    stretch.setAttribute("aria-label", "stretch the time axis");
    stretch.title = "stretch the time axis";
    stretch.addEventListener("input", () => svg.style.setProperty("width", `${100 * 2 ** stretch.value}%`));
    timeline.after(stretch);
  };
  for (const timeline of document.querySelectorAll(".timeline")) enliven(timeline);

  // Folded cases are packed as zlib in base64.
  const unpack = async (details) => {
    const packed = details.querySelector("[data-packed]");
    if (!packed) return;
    const bytes = Uint8Array.from(atob(packed.dataset.packed), (letter) => letter.charCodeAt(0));
    packed.removeAttribute("data-packed");
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    packed.innerHTML = await new Response(stream).text();
    for (const timeline of packed.querySelectorAll(".timeline")) enliven(timeline);
  };
  const cases = [...document.querySelectorAll("details.case")];
  for (const one of cases) one.addEventListener("toggle", () => { if (one.open) unpack(one); });

  addEventListener("scroll", hide, { passive: true });
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

  const unfold = () => {
    let element = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (!element) return;
    for (let up = element; up; up = up.parentElement) if (up.tagName === "DETAILS") up.open = true;
    element.scrollIntoView();
  };
  addEventListener("hashchange", unfold);
  unfold();

  const button = document.createElement("button");
  const label = () => (button.textContent = cases.every((one) => one.open) ? "fold all cases" : "unfold all cases");
  button.addEventListener("click", () => {
    const open = !cases.every((one) => one.open);
    for (const one of cases) one.open = open;
    label();
  });
  label();
  document.querySelector(".overview")?.append(button);
  document.documentElement.dataset.view = "ready";
})();
