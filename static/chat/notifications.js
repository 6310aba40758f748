// The unread count in the title, and notifications for those who ask for them.

import { part, toast, whenClicked } from "./dom.js";

const KEY = "gator.notify";

export class Notifications {
  constructor({ store, open }) {
    this.store = store;
    this.open = open;
    store.addEventListener("conversations", () => this.title());
    store.addEventListener("opened", () => this.title());
    store.addEventListener("arrived", (event) => this.#arrived(event.detail));
    whenClicked("notify", () => this.#toggle());
    this.#show();
    this.title();
  }

  get isOn() {
    return localStorage.getItem(KEY) === "on" && globalThis.Notification?.permission === "granted";
  }

  title() {
    const { unread, current } = this.store;
    document.title = `${unread ? `(${unread}) ` : ""}${current ? current.title : "Chat"} · Gator`;
  }

  async #toggle() {
    if (this.isOn) {
      localStorage.setItem(KEY, "off");
    } else if (!globalThis.Notification) {
      toast("This browser shows no notifications.");
    } else if ((await Notification.requestPermission()) === "granted") {
      localStorage.setItem(KEY, "on");
      toast("You will be told of new messages while this page is in the background.");
    } else {
      toast("The browser does not allow notifications for this page.");
    }
    this.#show();
  }

  #show() {
    for (const bell of document.querySelectorAll('[data-do="notify"]')) {
      bell.setAttribute("aria-pressed", String(this.isOn));
      bell.title = this.isOn ? "Notifications are on" : "Notifications are off";
    }
  }

  #arrived({ conversation, message }) {
    if (!this.isOn || !document.hidden || this.store.isMine(message) || message.kind === "notice") return;
    const who = message.is_ai ? `${message.sender_name} (AI persona)` : message.sender_name;
    // The tag replaces an earlier notification of the same conversation; other tabs use it too.
    const note = new Notification(who, { body: message.content.slice(0, 160), tag: conversation.id });
    note.onclick = () => {
      focus();
      this.open(conversation.id);
      note.close();
    };
  }
}

/** Says something to those who listen instead of look, once. */
export function announce(text) {
  const box = part("announcer");
  box.textContent = "";
  // An empty moment between makes the same words twice be said twice.
  setTimeout(() => (box.textContent = text), 60);
}
