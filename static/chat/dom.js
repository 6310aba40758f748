// Making and finding elements. Text only ever goes in as text: there is no innerHTML anywhere.

const SVG = "http://www.w3.org/2000/svg";

/** The element that the page's frame calls by this name (data-part). */
export function part(name) {
  return document.querySelector(`[data-part="${name}"]`);
}

/**
 * A new element. `on` holds listeners, `data` data attributes, the rest attributes; false, null
 * and undefined leave an attribute out, true sets it empty.
 */
export function el(tag, { on = {}, data = {}, ...attributes } = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const [name, value] of Object.entries(data)) node.dataset[name] = value;
  for (const [name, listener] of Object.entries(on)) node.addEventListener(name, listener);
  node.append(...children.flat().filter((each) => each !== null && each !== undefined && each !== false));
  return node;
}

/** One of the icons in templates/chat/icons.html. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "i");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** A round button with an icon and a name that everybody can read. */
export function iconButton(name, label, onClick, attributes = {}) {
  const button = el(
    "button",
    { type: "button", class: "icon", "aria-label": label, title: label, ...attributes },
    icon(name),
  );
  button.addEventListener("click", onClick);
  return button;
}

export function button(label, onClick, attributes = {}) {
  return el("button", { type: "button", class: "btn", on: { click: onClick }, ...attributes }, label);
}

/** Calls `listener` on clicks of whatever carries data-do="name". */
export function whenClicked(name, listener) {
  for (const node of document.querySelectorAll(`[data-do="${name}"]`)) {
    node.addEventListener("click", listener);
  }
}

/** Joins calls until the next frame; hidden pages, which get no frames, use a timer. */
export function oncePerFrame(work) {
  let waiting = false;
  const run = () => {
    waiting = false;
    work();
  };
  return () => {
    if (waiting) return;
    waiting = true;
    if (document.hidden) setTimeout(run, 50);
    else requestAnimationFrame(run);
  };
}

let toastTimer = 0;

/** A short word at the edge of the page: done, or not possible. */
export function toast(text) {
  const box = part("toast");
  box.textContent = text;
  box.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (box.hidden = true), 4000);
}

/** Asks before something that cannot be undone; true for yes. */
export function ask({ title, text, yes }) {
  const dialog = part("ask");
  part("ask-title").textContent = title;
  part("ask-text").textContent = text;
  part("ask-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
