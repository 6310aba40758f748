// One line at the top that says what is wrong with the connection, and what one can do.

import { button, el, part } from "./dom.js";

/** A short break is nobody's business; only what lasts is told. */
const SILENCE = 1_200;

export class Banner {
  #tick = 0;
  #quiet = 0;
  #lostAt = 0;

  constructor({ line }) {
    this.line = line;
    this.box = part("banner");
    line.addEventListener("state", () => this.#follow());
  }

  #follow() {
    clearInterval(this.#tick);
    clearTimeout(this.#quiet);
    const { state } = this.line;
    document.documentElement.dataset.line = state;
    // On a narrow screen the list stands alone, without the banner.
    const words = { online: "", offline: "Not connected", "signed-out": "Signed out", refused: "Refused" }[state];
    if (state !== "connecting") {
      part("line").textContent = words;
      part("line").hidden = !words;
    }
    if (state === "offline") this.#lostAt ||= Date.now();
    if (state === "online") {
      this.#lostAt = 0;
      this.box.hidden = true;
    } else if (state === "signed-out") {
      const back = `/sign-in/?${new URLSearchParams({ next: location.pathname })}`;
      this.#show("bad", "You have been signed out. What you wrote is kept on this device.", el("a", { class: "btn", href: back }, "Sign in"));
    } else if (state === "refused") {
      this.#show("bad", "The studio does not accept a connection from this address.", button("Reload", () => location.reload()));
    } else if (state === "offline") {
      this.#quiet = setTimeout(() => this.#count(), this.#lostAt + SILENCE - Date.now());
    } else if (!this.box.hidden) {
      this.#show("", "Connecting");
    }
  }

  #count() {
    const words = el("span", {});
    const left = el("span", { "aria-hidden": "true" });
    const tell = () => {
      const seconds = Math.ceil((this.line.retryAt - Date.now()) / 1000);
      left.textContent = seconds > 0 ? ` Trying again in ${seconds} s.` : " Trying again.";
    };
    words.append("Connection lost. Your messages are kept and sent later.", left);
    tell();
    this.#show("", words, button("Try now", () => this.line.tryNow()));
    this.#tick = setInterval(tell, 1000);
  }

  #show(kind, ...content) {
    this.box.className = `banner ${kind}`;
    this.box.replaceChildren(...content.map((each) => (typeof each === "string" ? el("span", {}, each) : each)));
    this.box.hidden = false;
  }
}
