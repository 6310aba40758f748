// Ctrl+K: find a conversation or a message, and go there without the mouse.

import * as api from "./api.js";
import { el, part, whenClicked } from "./dom.js";
import { aiTag, face, faceOf } from "./faces.js";
import { briefly } from "./times.js";

const ASK_AFTER = 200;
const SHORTEST = 2;

const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

export class Switcher {
  #options = [];
  #at = 0;
  #asking = 0;
  #messages = [];
  #state = "";

  constructor({ store, open }) {
    this.store = store;
    this.open = open;
    this.dialog = part("switcher");
    this.field = part("query");
    whenClicked("switch", () => this.show());
    whenClicked("close-switcher", () => this.dialog.close());
    this.field.addEventListener("input", () => this.#typed());
    this.field.addEventListener("keydown", (event) => this.#key(event));
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
  }

  show() {
    if (this.dialog.open) return;
    this.field.value = "";
    this.#messages = [];
    this.#state = "";
    this.#at = 0;
    this.dialog.showModal();
    this.field.focus();
    this.#draw();
  }

  #typed() {
    this.#at = 0;
    this.#messages = [];
    clearTimeout(this.#asking);
    const words = this.field.value.trim();
    this.#state = words.length >= SHORTEST ? "looking" : "";
    if (this.#state) this.#asking = setTimeout(() => this.#ask(words), ASK_AFTER);
    this.#draw();
  }

  async #ask(words) {
    try {
      const found = await api.search(words);
      if (words !== this.field.value.trim()) return;
      this.#messages = found;
      this.#state = "";
    } catch (error) {
      this.#state = error.message;
    }
    this.#draw();
  }

  #draw() {
    const words = folded(this.field.value.trim());
    const rooms = this.store.list.filter((each) => folded(each.title).includes(words));
    this.#options = [
      ...rooms.map((each) => ({ id: each.id, node: this.#room(each) })),
      ...this.#messages.map((each) => ({ id: each.conversation_id, seq: each.seq, node: this.#message(each) })),
    ];
    this.#at = Math.min(this.#at, Math.max(0, this.#options.length - 1));
    this.#options.forEach((option, at) => {
      option.node.id = `found-${at}`;
      option.node.setAttribute("role", "option");
      option.node.addEventListener("click", () => this.#go(option));
      option.node.addEventListener("pointermove", () => this.#point(at));
    });
    const nodes = this.#options.map((each) => each.node);
    const parts = [];
    if (rooms.length) parts.push(this.#group("Conversations", nodes.slice(0, rooms.length)));
    if (this.#messages.length) parts.push(this.#group("Messages", nodes.slice(rooms.length)));
    if (this.#state) parts.push(el("p", { class: "hint-box" }, this.#state === "looking" ? "Looking through messages" : this.#state));
    else if (!nodes.length) parts.push(el("p", { class: "hint-box" }, "Nothing found. Try fewer letters, or another word."));
    part("found").replaceChildren(...parts);
    this.#point(this.#at);
  }

  #group(title, nodes) {
    return el("div", { role: "group", "aria-label": title }, el("p", { class: "group", "aria-hidden": "true" }, title), nodes);
  }

  #room(conversation) {
    return el(
      "div",
      { class: "option" },
      face(faceOf(conversation, this.store.me), { size: "small" }),
      el("span", { class: "name" }, el("bdi", {}, conversation.title), conversation.kind === "persona" ? aiTag("AI") : null),
    );
  }

  #message(message) {
    const conversation = this.store.conversations.get(message.conversation_id);
    const name = message.sender_id === this.store.me.id ? "You" : message.sender_name;
    return el(
      "div",
      { class: "option message" },
      el("span", { class: "name" }, el("bdi", {}, `${name || "Notice"} in ${conversation?.title ?? ""}`)),
      el("span", { class: "when" }, briefly(message.timestamp)),
      el("span", { class: "last", dir: "auto" }, message.content),
    );
  }

  #point(at) {
    this.#at = at;
    this.#options.forEach((option, index) => option.node.setAttribute("aria-selected", String(index === at)));
    const node = this.#options[at]?.node;
    if (node) this.field.setAttribute("aria-activedescendant", node.id);
    else this.field.removeAttribute("aria-activedescendant");
    node?.scrollIntoView({ block: "nearest" });
  }

  #key(event) {
    if (event.isComposing) return;
    const count = this.#options.length;
    if (event.key === "ArrowDown" && count) this.#point((this.#at + 1) % count);
    else if (event.key === "ArrowUp" && count) this.#point((this.#at - 1 + count) % count);
    else if (event.key === "Enter" && count) this.#go(this.#options[this.#at]);
    else return;
    event.preventDefault();
  }

  #go({ id, seq }) {
    this.dialog.close();
    this.open(id, { seq });
  }
}
