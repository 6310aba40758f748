// Files on their way into a message: uploaded at once, named in the message when it is sent.

import * as api from "./api.js";
import { el, iconButton, part, whenClicked } from "./dom.js";

export const MOST_FILES = 10;

export class Files extends EventTarget {
  /** {name, id, error} in the order they were chosen; without id or error it is still going up. */
  #files = [];

  constructor({ store }) {
    super();
    this.store = store;
    const input = part("file");
    whenClicked("attach", () => input.click());
    input.addEventListener("change", () => {
      this.add(input.files);
      input.value = "";
    });
    part("words").addEventListener("paste", (event) => {
      if (!event.clipboardData.files.length) return;
      event.preventDefault();
      this.add(event.clipboardData.files);
    });
    const room = part("talk");
    room.addEventListener("dragover", (event) => event.dataTransfer.types.includes("Files") && event.preventDefault());
    room.addEventListener("drop", (event) => {
      if (!event.dataTransfer.files.length) return;
      event.preventDefault();
      this.add(event.dataTransfer.files);
    });
    store.addEventListener("opened", () => this.clear());
  }

  get isEmpty() {
    return !this.#files.some((each) => each.id);
  }

  get isUploading() {
    return this.#files.some((each) => !each.id && !each.error);
  }

  /** The ids of those that are there; the list is empty afterwards. */
  take() {
    const ids = this.#files.map((each) => each.id).filter(Boolean);
    this.clear();
    return ids;
  }

  clear() {
    this.#files = [];
    this.#draw();
  }

  add(list) {
    const conversation = this.store.current;
    for (const file of [...list].slice(0, MOST_FILES - this.#files.length)) this.#upload(conversation, file);
  }

  async #upload({ id }, file) {
    const entry = { name: file.name, id: "", error: "" };
    this.#files.push(entry);
    this.#draw();
    try {
      entry.id = (await api.attach(id, file)).id;
    } catch (error) {
      entry.error = error.message;
    }
    this.#draw();
  }

  #draw() {
    const box = part("files");
    box.hidden = !this.#files.length;
    box.replaceChildren(
      ...this.#files.map((each) =>
        el(
          "li",
          { class: each.error ? "failed" : false },
          el("bdi", {}, each.name),
          each.error ? `: ${each.error}` : each.id ? "" : " is going up",
          iconButton("close", `Leave out ${each.name}`, () => {
            this.#files = this.#files.filter((other) => other !== each);
            this.#draw();
            part("words").focus();
          }),
        ),
      ),
    );
    this.dispatchEvent(new Event("changed"));
  }
}
