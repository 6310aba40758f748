// What can be done with the message that is pointed at or focused: one row of buttons, which moves.

import { ask, el, iconButton, part, toast } from "./dom.js";
import { fullTimeOf, timeOf } from "./times.js";

const EMOJI = ["❤️", "👍", "😂", "😮", "😢", "🎉"];

export class Tools {
  #row = null;

  /** `actions`: react, edit, remove, regenerate. */
  constructor({ store, actions }) {
    this.store = store;
    this.actions = actions;
    const list = (this.list = part("messages"));
    list.addEventListener("pointerover", (event) => event.pointerType !== "touch" && this.#show(event.target));
    list.addEventListener("focusin", (event) => this.#show(event.target));
    list.addEventListener("click", (event) => {
      if (!event.target.closest("a, button")) this.#show(event.target);
    });
    list.addEventListener("pointerleave", () => {
      if (!this.#row?.contains(document.activeElement)) this.#hide();
    });
    part("log").addEventListener("keydown", (event) => this.#key(event));
  }

  #hide() {
    this.#row?.remove();
    this.#row = null;
  }

  #messageAt(item) {
    const conversation = this.store.current;
    return item && conversation?.byId.get(item.dataset.id);
  }

  #show(target) {
    const item = target.closest("li.msg[data-id]");
    if (!item || this.#row?.parentElement === item) return;
    const message = this.#messageAt(item);
    this.#hide();
    if (!message || message.deleted) return;
    this.#row = this.#made(message);
    item.append(this.#row);
  }

  #made(message) {
    const { actions, store } = this;
    const mine = store.isMine(message);
    const leads = store.current.kind === "group" && ["owner", "moderator"].includes(store.current.role);
    const emoji = el("span", { class: "emojis", hidden: true });
    for (const each of EMOJI) {
      const has = message.reactions?.[each]?.includes(store.me.id) ?? false;
      const button = el("button", { type: "button", "aria-label": `React with ${each}`, "aria-pressed": String(has) }, each);
      button.addEventListener("click", () => actions.react(message, each, has));
      emoji.append(button);
    }
    const react = iconButton("smile", "React", () => {
      emoji.hidden = !emoji.hidden;
      react.setAttribute("aria-expanded", String(!emoji.hidden));
      if (!emoji.hidden) emoji.firstElementChild.focus();
    }, { "aria-expanded": "false" });
    return el(
      "div",
      { class: "message-tools", role: "group", "aria-label": "What you can do with this message" },
      el("time", { datetime: message.timestamp, title: fullTimeOf(message.timestamp) }, timeOf(message.timestamp)),
      emoji,
      react,
      iconButton("copy", "Copy", () => this.#copy(message)),
      message.reply && store.current.holder === "ai" ? iconButton("again", "Write another version", () => actions.regenerate(message.reply.id)) : null,
      mine ? iconButton("edit", "Change", () => actions.edit(message)) : null,
      mine || leads ? iconButton("trash", "Delete", () => this.#remove(message)) : null,
    );
  }

  async #copy(message) {
    await navigator.clipboard.writeText(message.content);
    toast("Copied");
  }

  async #remove(message) {
    const sure = await ask({
      title: "Delete this message?",
      text: "Everybody will see that there was a message, and nobody what it said.",
      yes: "Delete",
    });
    if (sure) this.actions.remove(message);
  }

  // Arrow keys walk from message to message; Tab then reaches the buttons of the one in focus.
  #key(event) {
    if (event.target.closest("button, a, pre")) return;
    if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const items = [...this.list.querySelectorAll("li[tabindex]")];
    const at = items.indexOf(document.activeElement.closest("li"));
    const next = at === -1 ? items.at(-1) : items[at + (event.key === "ArrowUp" ? -1 : 1)];
    if (!next) return;
    event.preventDefault();
    next.focus();
  }
}
