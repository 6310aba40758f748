// The field at the bottom: what is written is kept per conversation until it is sent.

import { part } from "./dom.js";

const KEEP_AFTER = 300;
/** The counter shows itself when this many characters are left. */
const SHOW_COUNT = 500;

const points = (text) => [...text].length;
const isTouch = matchMedia("(pointer: coarse)");

export class Composer extends EventTarget {
  #editing = null;
  #keeping = 0;

  constructor({ store, ownTyping, files }) {
    super();
    this.store = store;
    this.ownTyping = ownTyping;
    this.files = files;
    files.addEventListener("changed", () => this.#show());
    this.field = part("words");
    part("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.field.addEventListener("input", () => this.#changed());
    this.field.addEventListener("keydown", (event) => this.#key(event));
    this.field.addEventListener("blur", () => ownTyping.stop());
    document.querySelector('[data-do="stop-editing"]').addEventListener("click", () => this.stopEditing());
    addEventListener("pagehide", () => this.#keep());
    store.addEventListener("opened", () => this.#open());
    if (store.current) this.#open();
  }

  get isEditing() {
    return this.#editing !== null;
  }

  get isEmpty() {
    return this.field.value === "";
  }

  focus() {
    this.field.focus();
  }

  /** Puts words into the field, behind what is there. */
  insert(text) {
    this.field.value = this.field.value ? `${this.field.value}\n${text}` : text;
    this.#changed();
    this.focus();
  }

  // -- Drafts ------------------------------------------------------------------------------------

  #key_of(id) {
    return `gator.draft.${this.store.me.id}.${id}`;
  }

  #open() {
    this.#keep();
    this.#editing = null;
    part("editing").hidden = true;
    const { current } = this.store;
    this.openId = current?.id ?? null;
    if (!current) return;
    this.field.value = localStorage.getItem(this.#key_of(current.id)) ?? "";
    const name = current.title;
    this.field.placeholder = `Message ${name}`;
    part("words-label").textContent = `Message ${name}`;
    this.#show();
    // After everybody has heard that another conversation is open, and shows it.
    if (!isTouch.matches) queueMicrotask(() => this.focus());
  }

  #keep() {
    clearTimeout(this.#keeping);
    if (!this.openId || this.#editing) return;
    try {
      if (this.field.value.trim()) localStorage.setItem(this.#key_of(this.openId), this.field.value);
      else localStorage.removeItem(this.#key_of(this.openId));
    } catch {
      // Without room for it the draft lives as long as the page.
    }
  }

  // -- Writing -----------------------------------------------------------------------------------

  #changed() {
    this.#show();
    clearTimeout(this.#keeping);
    this.#keeping = setTimeout(() => this.#keep(), KEEP_AFTER);
    if (this.isEmpty) this.ownTyping.stop();
    else if (!this.#editing) this.ownTyping.typed(this.store.currentId);
  }

  #show() {
    const { field } = this;
    // Browsers that know field-sizing grow the field by themselves.
    if (!CSS.supports("field-sizing", "content")) {
      field.style.blockSize = "auto";
      field.style.blockSize = `${Math.min(field.scrollHeight, 200)}px`;
    }
    const left = this.store.longest - points(field.value);
    const count = part("count");
    count.hidden = left > SHOW_COUNT;
    count.textContent = left >= 0 ? `${left} left` : `${-left} too many`;
    count.classList.toggle("bad", left < 0);
    field.setAttribute("aria-invalid", String(left < 0));
    const something = field.value.trim() || (!this.files.isEmpty && !this.#editing);
    part("send").disabled = left < 0 || !something || this.files.isUploading;
  }

  #key(event) {
    // Enter that ends the composition of a Chinese or Japanese word sends nothing (229: Safari).
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter" && !event.shiftKey && !event.ctrlKey && !event.altKey) {
      // On a phone's keyboard there is no Shift+Enter: Enter makes the line, the button sends.
      if (isTouch.matches && !event.metaKey) return;
      event.preventDefault();
      this.#submit();
    } else if (event.key === "ArrowUp" && this.isEmpty && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      this.dispatchEvent(new Event("edit-last"));
    }
  }

  #submit() {
    const content = this.field.value.trim();
    if (part("send").disabled) return;
    this.ownTyping.stop();
    const editing = this.#editing;
    if (editing) {
      this.stopEditing();
      if (content !== editing.content) this.dispatchEvent(new CustomEvent("edited", { detail: { message: editing, content } }));
      return;
    }
    this.field.value = "";
    this.#keep();
    this.#show();
    const attachment_ids = this.files.take();
    this.dispatchEvent(new CustomEvent("send", { detail: { content, attachment_ids } }));
  }

  // -- Changing a message ------------------------------------------------------------------------

  edit(message) {
    this.#keep();
    this.#editing = message;
    this.field.value = message.content;
    part("editing").hidden = false;
    part("send").setAttribute("aria-label", "Save");
    this.#show();
    this.focus();
    this.field.setSelectionRange(this.field.value.length, this.field.value.length);
  }

  stopEditing() {
    if (!this.#editing) return;
    this.#editing = null;
    part("editing").hidden = true;
    part("send").setAttribute("aria-label", "Send");
    this.field.value = localStorage.getItem(this.#key_of(this.openId)) ?? "";
    this.#show();
    this.focus();
  }
}
