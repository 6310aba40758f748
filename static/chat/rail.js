// The list of conversations at the side.

import { el, oncePerFrame, part } from "./dom.js";
import { aiTag, face, faceOf } from "./faces.js";
import { briefly } from "./times.js";

const GROUPS = [
  ["Personas", (each) => each.kind === "persona"],
  ["People", (each) => each.kind !== "persona"],
];

export class Rail {
  constructor({ store, presence, replies, open }) {
    this.store = store;
    this.presence = presence;
    this.replies = replies;
    this.open = open;
    const draw = oncePerFrame(() => this.#draw());
    store.addEventListener("conversations", draw);
    store.addEventListener("opened", draw);
    presence.addEventListener("changed", draw);
    this.#draw();
  }

  #draw() {
    const lists = part("lists");
    const focused = document.activeElement?.closest?.("[data-conversation]")?.dataset.conversation;
    const all = this.store.list;
    const sections = GROUPS.flatMap(([title, belongs]) => {
      const rows = all.filter(belongs);
      return rows.length ? [el("h2", {}, title), el("ul", { class: "list" }, rows.map((each) => this.#row(each)))] : [];
    });
    if (!sections.length) {
      sections.push(el("p", { class: "hint-box" }, "Your conversations will be listed here."));
    }
    lists.replaceChildren(...sections);
    if (focused) lists.querySelector(`[data-conversation="${focused}"]`)?.focus({ preventScroll: true });
  }

  #row(conversation) {
    const { store } = this;
    const somebody = faceOf(conversation, store.me);
    const unread = store.unreadIn(conversation);
    const online = somebody.kind === "user" && this.presence.isOnline(somebody.id);
    const link = el(
      "a",
      {
        href: `/chat/${conversation.id}/`,
        "aria-current": conversation.id === store.currentId ? "page" : false,
        data: { conversation: conversation.id },
        class: unread ? "has-unread" : false,
      },
      face(somebody, { online }),
      el(
        "span",
        { class: "name" },
        el("bdi", {}, conversation.title),
        conversation.kind === "persona" ? aiTag("AI") : null,
        // Only staff are told of moods; a calm one needs no word.
        conversation.mood?.endsWith("unhappy") ? el("span", { class: "tag off" }, conversation.mood) : null,
        online ? el("span", { class: "visually-hidden" }, ", online") : null,
      ),
      conversation.last ? el("span", { class: "when" }, briefly(conversation.last.timestamp)) : null,
      el("span", { class: "last" }, this.#last(conversation)),
      unread ? el("span", { class: "unread" }, unread > 99 ? "99+" : String(unread), el("span", { class: "visually-hidden" }, " unread")) : null,
    );
    link.addEventListener("click", (click) => {
      if (click.metaKey || click.ctrlKey || click.shiftKey) return;
      click.preventDefault();
      this.open(conversation.id);
    });
    return el("li", {}, link);
  }

  #last({ last, kind }) {
    if (!last) return "No messages yet";
    if (last.deleted) return "This message was deleted";
    if (last.sender_id === this.store.me.id) return `You: ${last.content}`;
    return kind === "group" && last.sender_name ? `${last.sender_name}: ${last.content}` : last.content;
  }
}
