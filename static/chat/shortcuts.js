// Keys that work everywhere on the page. Each has a visible way beside it.

import { part, whenClicked } from "./dom.js";

export class Shortcuts {
  /** `keys`: switcher, composer, escape, neighbour, toEnd. */
  constructor(keys) {
    this.keys = keys;
    this.dialog = part("keys");
    whenClicked("keys", () => this.dialog.showModal());
    whenClicked("close-keys", () => this.dialog.close());
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    addEventListener("keydown", (event) => this.#key(event));
  }

  #key(event) {
    if (event.isComposing || event.defaultPrevented) return;
    const { key } = event;
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && key.toLowerCase() === "k") {
      event.preventDefault();
      this.keys.switcher.show();
      return;
    }
    // A dialog has its own Esc and its own keys.
    if (document.querySelector("dialog[open]")) return;
    const inField = event.target.matches("input, textarea");
    if (key === "Escape") {
      if (this.keys.escape()) event.preventDefault();
    } else if (event.altKey && (key === "ArrowUp" || key === "ArrowDown")) {
      event.preventDefault();
      this.keys.neighbour(key === "ArrowUp" ? -1 : 1);
    } else if (key === "?" && (!inField || (event.target === part("words") && this.keys.composer.isEmpty))) {
      event.preventDefault();
      this.dialog.showModal();
    } else if (key === "End" && !inField) {
      event.preventDefault();
      this.keys.toEnd();
    }
  }
}
