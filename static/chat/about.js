// The panel beside the messages: who is here, and what the persona remembers about its fan.

import * as api from "./api.js";
import { ask, button, el, iconButton, part, toast, whenClicked } from "./dom.js";
import { aiTag, face, faceOf, humanTag } from "./faces.js";

const WIDE = matchMedia("(min-width: 1240px)");
const KEY = "gator.about";

export class About {
  #memories = null;
  #changes = 0;
  #loadedFor = null;

  constructor({ store, presence, replies }) {
    this.store = store;
    this.presence = presence;
    this.box = part("about");
    this.opener = document.querySelector('[data-do="about"]');
    whenClicked("about", () => this.toggle());
    this.isOpen = WIDE.matches && localStorage.getItem(KEY) !== "closed";
    store.addEventListener("opened", () => this.#opened());
    store.addEventListener("holder", () => this.#draw());
    presence.addEventListener("changed", () => this.isOpen && this.store.current?.kind !== "persona" && this.#draw());
    replies.addEventListener("finished", (event) => event.detail === store.currentId && this.#reload());
    this.#opened();
  }

  toggle() {
    this.isOpen = !this.isOpen;
    if (WIDE.matches) localStorage.setItem(KEY, this.isOpen ? "open" : "closed");
    this.#draw();
    this.#reload();
    if (this.isOpen) this.box.focus();
    else this.opener.focus();
  }

  /** Esc closes it where it lies over the messages; true when it did. */
  close() {
    if (!this.isOpen || WIDE.matches) return false;
    this.toggle();
    return true;
  }

  #opened() {
    if (!WIDE.matches) this.isOpen = false;
    this.#draw();
    this.#reload();
  }

  async #reload() {
    const conversation = this.store.current;
    if (!this.isOpen || conversation?.kind !== "persona" || !conversation.is_mine) return;
    const changes = this.#changes;
    try {
      const memories = await api.memories(conversation.persona.id);
      // What was read before the fan changed one would bring the old words back.
      if (changes !== this.#changes) return this.#reload();
      if (conversation !== this.store.current) return;
      this.#memories = memories;
      this.#loadedFor = conversation.id;
    } catch {
      return;
    }
    // Never under the hands of somebody who is correcting one.
    if (!this.box.querySelector("form")) this.#draw();
  }

  #draw() {
    const conversation = this.store.current;
    const shown = this.isOpen && conversation !== null;
    this.box.hidden = !shown;
    document.querySelector(".app").dataset.about = shown ? "open" : "closed";
    this.opener.setAttribute("aria-expanded", String(shown));
    if (!shown) return;
    const somebody = faceOf(conversation, this.store.me);
    const parts = [
      el("header", {}, iconButton("close", "Close", () => this.toggle())),
      face(somebody, { size: "big" }),
      el("h2", {}, el("bdi", {}, conversation.title)),
    ];
    if (conversation.persona) parts.push(...this.#persona(conversation));
    else parts.push(this.#people(conversation));
    this.box.replaceChildren(...parts);
  }

  #persona(conversation) {
    const { persona, holder, holder_name } = conversation;
    return [
      el("p", { class: "tags" }, holder === "human" ? humanTag(`${holder_name}, a human, answers`) : aiTag()),
      persona.bio ? el("p", { class: "bio", dir: "auto" }, persona.bio) : null,
      el("p", {}, el("a", { href: `/@${persona.handle}` }, `@${persona.handle}`)),
      el("p", { class: "fine" }, `What ${persona.name} writes comes from a computer program and can be wrong. The team can read along to help.`),
      conversation.is_mine ? this.#memory(conversation) : this.#people(conversation),
    ].filter(Boolean);
  }

  #people(conversation) {
    const rows = [...conversation.members.values()].map((each) =>
      el(
        "li",
        {},
        face(each, { size: "small", online: this.presence.isOnline(each.id) }),
        el("bdi", {}, each.id === this.store.me.id ? `${each.name} (you)` : each.name),
        each.kind === "persona" ? aiTag() : null,
      ),
    );
    return el("section", {}, el("h3", {}, "Who is here"), el("ul", { class: "people" }, rows));
  }

  // -- What it remembers -------------------------------------------------------------------------

  #memory(conversation) {
    const { name } = conversation.persona;
    const known = this.#loadedFor === conversation.id ? this.#memories : null;
    const section = el("section", { class: "memories" }, el("h3", {}, `What ${name} remembers about you`));
    if (!known) section.append(el("p", { class: "fine" }, "Looking"));
    else if (!known.length) section.append(el("p", { class: "fine" }, `Nothing yet. When you tell ${name} something about yourself, it is listed here, and you can correct or erase it.`));
    else {
      section.append(el("ul", {}, known.map((each) => this.#one(each, conversation))));
      section.append(button("Erase everything", () => this.#eraseAll(conversation), { class: "btn danger-text" }));
    }
    return section;
  }

  #one(memory, conversation) {
    const row = el(
      "li",
      {},
      el("div", {}, el("span", { class: "topic" }, memory.about), el("p", { dir: "auto" }, memory.text)),
      iconButton("edit", `Correct: ${memory.text}`, () => row.replaceWith(this.#form(memory, row))),
      iconButton("trash", `Erase: ${memory.text}`, () => this.#erase(memory)),
    );
    return row;
  }

  #form(memory, row) {
    const field = el("input", { type: "text", maxlength: "300", "aria-label": `Correct what is remembered: ${memory.about}`, required: true });
    field.value = memory.text;
    const form = el("form", {}, field, el("button", { class: "btn primary" }, "Save"), button("Cancel", () => item.replaceWith(row)));
    const item = el("li", {}, form);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        const corrected = await api.correctMemory(memory.id, field.value.trim());
        this.#changed(this.#memories.map((each) => (each.id === memory.id ? corrected : each)));
        toast("Corrected");
      } catch (error) {
        toast(error.message);
      }
    });
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      item.replaceWith(row);
    });
    queueMicrotask(() => field.focus());
    return item;
  }

  async #erase(memory) {
    try {
      await api.eraseMemory(memory.id);
    } catch (error) {
      return toast(error.message);
    }
    this.#changed(this.#memories.filter((each) => each.id !== memory.id));
    toast("Erased");
    this.box.focus();
  }

  #changed(memories) {
    this.#changes += 1;
    this.#memories = memories;
    this.#draw();
  }

  async #eraseAll(conversation) {
    const { name } = conversation.persona;
    const sure = await ask({ title: "Erase everything?", text: `${name} will remember nothing about you. The messages stay.`, yes: "Erase" });
    if (!sure) return;
    try {
      for (const each of this.#memories) await api.eraseMemory(each.id);
    } catch (error) {
      toast(error.message);
    }
    this.#changes += 1;
    this.#reload();
  }
}
