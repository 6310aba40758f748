// The messages of the open conversation: which items there are, in what order, and where the
// reader is in them. Items are kept by key and only made anew when what they show has changed.

import { oncePerFrame, part } from "./dom.js";
import { answerItem, dayItem, messageItem, newItem, pendingItem, streamOf } from "./bubble.js";
import { dayName, dayOf } from "./times.js";

/** Messages of one person within this time stand together. */
const TOGETHER = 5 * 60_000;
/** This close to the end counts as being there. */
const NEAR = 48;

export class Log extends EventTarget {
  #items = new Map();
  #atEnd = true;
  #top = 0;
  #height = 0;
  #unseen = 0;
  #shownVersions = new Map();
  #drawnId = null;

  /** `actions` are what buttons in messages do: react, retry, discard, stop, regenerate. */
  constructor({ store, outbox, replies, line, actions }) {
    super();
    Object.assign(this, { store, outbox, replies, line, actions });
    this.box = part("log");
    this.list = part("messages");
    this.pill = document.querySelector('[data-do="down"]');
    const draw = (this.draw = oncePerFrame(() => this.#draw()));
    const ifCurrent = (event) => event.detail.conversation === store.current && draw();
    for (const name of ["messages", "read", "holder"]) store.addEventListener(name, ifCurrent);
    store.addEventListener("arrived", (event) => this.#arrived(event.detail));
    outbox.addEventListener("changed", draw);
    replies.addEventListener("changed", draw);
    replies.addEventListener("delta", (event) => this.#delta(event.detail));
    line.addEventListener("state", draw);

    this.box.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.pill.addEventListener("click", () => this.toEnd());
    // Pictures that load, the keyboard of a phone, a longer draft: who is at the end stays there.
    const follow = new ResizeObserver(() => this.#atEnd && this.#jumpToEnd());
    follow.observe(this.list);
    follow.observe(this.box);
    const above = new IntersectionObserver(
      (seen) => seen.some((each) => each.isIntersecting) && this.#wantOlder(),
      { root: this.box, rootMargin: "400px 0px 0px" },
    );
    above.observe(part("older"));
  }

  get isAtEnd() {
    return this.#atEnd;
  }

  // -- What there is -----------------------------------------------------------------------------

  #draw() {
    const conversation = this.store.current;
    if (!conversation) return;
    if (this.#drawnId !== conversation.id) this.#begin(conversation);
    const anchor = this.#atEnd ? null : this.#anchor();
    const wanted = this.#wanted(conversation);
    this.#place(wanted);
    part("older").hidden = !conversation.hasOlder;
    if (anchor) this.#restore(anchor);
    else this.#jumpToEnd();
    if (this.#atEnd) this.dispatchEvent(new Event("seen"));
  }

  #begin(conversation) {
    this.#drawnId = conversation.id;
    this.#items.clear();
    this.list.replaceChildren();
    this.#shownVersions.clear();
    this.#atEnd = true;
    this.#setUnseen(0);
  }

  /** The items there should be: [key, stamp, how to make it]. */
  #wanted(conversation) {
    const { store, replies, outbox } = this;
    const wanted = [];
    const answers = replies.of(conversation.id);
    const ended = answers.filter((each) => each.state !== "writing");
    const rewritten = new Set();
    const lastOwn = conversation.messages.findLast((each) => store.isMine(each) && !each.deleted);
    const seen = lastOwn && this.#isSeen(conversation, lastOwn);
    let before = null;
    for (const message of conversation.messages) {
      const day = dayOf(message.timestamp);
      if (!before || dayOf(before.timestamp) !== day) {
        wanted.push([`day ${day}`, dayName(message.timestamp), () => dayItem(dayName(message.timestamp))]);
      }
      const isNew = conversation.newFrom === message.seq;
      if (isNew) wanted.push(["new", "", newItem]);
      const writing = replies.rewriting(conversation.id, message);
      if (writing) rewritten.add(writing.reply_id);
      const shown = this.#shownVersions.get(message.id);
      const follows = !isNew && this.#follows(before, message);
      const state = message === lastOwn ? (seen ? "seen" : "sent") : "";
      const context = { ...this.actions, me: store.me, conversation, follows, state, shown, writing };
      context.showVersion = (...about) => this.#showVersion(...about);
      // The echo of one's own message becomes the message in its place, without a flicker.
      const key = message.client_id && store.isMine(message) ? message.client_id : message.id;
      const marks = `${follows} ${state} ${shown?.number ?? ""} ${writing?.reply_id ?? ""}`;
      wanted.push([key, [message, marks], () => messageItem(message, context)]);
      for (const each of ended.filter((one) => one.trigger_id === message.id)) wanted.push(this.#answer(each, conversation));
      before = message;
    }
    for (const item of outbox.of(conversation.id)) {
      if (conversation.messages.some((each) => each.client_id === item.client_id)) continue;
      const isOnline = this.line.state === "online";
      wanted.push([item.client_id, `pending ${item.error} ${isOnline}`, () => pendingItem(item, { ...this.actions, isOnline })]);
    }
    for (const each of answers) {
      const placed = each.state === "writing" ? rewritten.has(each.reply_id) : conversation.byId.has(each.trigger_id);
      if (!placed) wanted.push(this.#answer(each, conversation));
    }
    return wanted;
  }

  #answer(answer, conversation) {
    const stamp = `${answer.state} ${answer.version}`;
    return [`answer ${answer.reply_id}`, stamp, () => answerItem(answer, { ...this.actions, conversation })];
  }

  #follows(before, message) {
    return (
      before !== null &&
      before.kind === "text" &&
      message.kind === "text" &&
      before.sender_id === message.sender_id &&
      dayOf(before.timestamp) === dayOf(message.timestamp) &&
      new Date(message.timestamp) - new Date(before.timestamp) < TOGETHER
    );
  }

  #isSeen(conversation, message) {
    const others = [...conversation.members.values()].filter((each) => each.kind === "user" && each.id !== this.store.me.id);
    return others.some((each) => each.read_seq >= message.seq);
  }

  #place(wanted) {
    const kept = new Map();
    let at = this.list.firstChild;
    for (const [key, stamp, make] of wanted) {
      const known = this.#items.get(key);
      let node = known?.node;
      if (!known || !same(known.stamp, stamp)) {
        const hadFocus = node?.contains(document.activeElement);
        const made = make();
        if (node) {
          if (node === at) at = node.nextSibling;
          node.remove();
        }
        node = made;
        if (hadFocus) queueMicrotask(() => made.focus({ preventScroll: true }));
      }
      if (node === at) at = at.nextSibling;
      else this.list.insertBefore(node, at);
      kept.set(key, { node, stamp });
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
    this.#items = kept;
  }

  /** More of an answer: only its own words are drawn anew, at most once per frame. */
  #delta({ conversationId, answer }) {
    if (conversationId !== this.store.currentId) return;
    if (answer.isDrawing) return;
    answer.isDrawing = true;
    requestAnimationFrame(() => {
      answer.isDrawing = false;
      const message = this.store.current?.messages.findLast((each) => each.reply?.id === answer.reply_id);
      const key = message ? message.id : `answer ${answer.reply_id}`;
      const bubble = this.#items.get(key)?.node.querySelector(".bubble");
      if (bubble && answer.state === "writing") bubble.replaceChildren(streamOf(answer));
    });
  }

  async #showVersion(message, number) {
    const newest = message.reply.versions;
    const shown = number >= newest ? null : (await this.actions.versionsOf(message))?.find((each) => each.number === number);
    if (shown) this.#shownVersions.set(message.id, shown);
    else this.#shownVersions.delete(message.id);
    this.draw();
  }

  // -- Where the reader is -----------------------------------------------------------------------

  #arrived({ conversation, message }) {
    if (conversation !== this.store.current || this.#atEnd) return;
    if (this.store.isMine(message)) this.toEnd();
    else this.#setUnseen(this.#unseen + 1);
  }

  #setUnseen(count) {
    this.#unseen = count;
    part("pill").textContent = count ? `${count} new` : "To the newest";
    this.pill.classList.toggle("fresh", count > 0);
    this.pill.hidden = this.#atEnd;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.box;
    // Words that came since the last frame take the end away, and a draft that grows or goes moves
    // what stands above it, but only a reader leaves the end.
    const isUpward = scrollTop < this.#top && clientHeight === this.#height;
    [this.#top, this.#height] = [scrollTop, clientHeight];
    const atEnd = scrollHeight - scrollTop - clientHeight < NEAR || (this.#atEnd && !isUpward);
    if (atEnd === this.#atEnd) return;
    this.#atEnd = atEnd;
    this.#setUnseen(atEnd ? 0 : this.#unseen);
    if (atEnd) this.dispatchEvent(new Event("seen"));
  }

  #jumpToEnd() {
    this.box.scrollTop = this.box.scrollHeight;
    // A reader who scrolls before this jump's own event comes leaves from here.
    [this.#top, this.#height] = [this.box.scrollTop, this.box.clientHeight];
  }

  toEnd() {
    this.#atEnd = true;
    this.#setUnseen(0);
    this.#jumpToEnd();
    this.dispatchEvent(new Event("seen"));
  }

  /** The topmost item in view and where it is, so that what comes above moves nothing. */
  #anchor() {
    const top = this.box.getBoundingClientRect().top;
    for (const [key, { node }] of this.#items) {
      const { bottom, top: its } = node.getBoundingClientRect();
      if (bottom > top && !node.classList.contains("day")) return { key, offset: its - top };
    }
    return null;
  }

  #restore({ key, offset }) {
    const node = this.#items.get(key)?.node;
    if (!node) return;
    const moved = node.getBoundingClientRect().top - this.box.getBoundingClientRect().top - offset;
    if (moved) this.box.scrollTop += moved;
  }

  #wantOlder() {
    if (this.store.current?.hasOlder) this.dispatchEvent(new Event("older"));
  }

  /** Bring one message into view and point at it. */
  show(seq) {
    const node = document.getElementById(`m-${seq}`);
    if (!node) return false;
    this.#atEnd = false;
    node.scrollIntoView({ block: "center" });
    node.focus({ preventScroll: true });
    node.classList.add("found");
    setTimeout(() => node.classList.remove("found"), 2500);
    this.#scrolled();
    this.#setUnseen(this.#unseen);
    return true;
  }
}

function same(a, b) {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((each, at) => each === b[at]);
  return a === b;
}
