// What was written and is not yet stored. Each item lies in localStorage until the server has
// acknowledged it, so a reload, a closed tab or a dead battery loses nothing; the `client_id` keeps
// a message that is sent again from appearing twice.

const ACK_WITHIN = 10_000;
const AGAIN_AFTER = 1_500;
const MOST_TRIES = 4;

/** Errors after which the same message may well be stored a moment later. */
const PASSING = new Set(["unavailable", "rate_limited"]);

/** A random UUID; browsers offer their own only over HTTPS and on localhost. */
function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const hex = [...crypto.getRandomValues(new Uint8Array(16))].map((each) => each.toString(16).padStart(2, "0"));
  hex[6] = `4${hex[6][1]}`;
  hex[8] = `a${hex[8][1]}`;
  return hex.join("").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

export class Outbox extends EventTarget {
  #items = new Map();
  #timers = new Map();

  constructor({ line, owner }) {
    super();
    this.line = line;
    this.prefix = `gator.outbox.${owner}.`;
    for (let at = 0; at < localStorage.length; at += 1) {
      const key = localStorage.key(at);
      if (key.startsWith(this.prefix)) this.#recall(key);
    }
  }

  #recall(key) {
    try {
      const item = JSON.parse(localStorage.getItem(key));
      this.#items.set(item.client_id, { ...item, error: "", tries: 0 });
    } catch {
      localStorage.removeItem(key);
    }
  }

  /** Items of one conversation, oldest first. */
  of(conversationId) {
    return [...this.#items.values()]
      .filter((each) => each.conversation_id === conversationId)
      .sort((a, b) => a.at - b.at);
  }

  add({ conversation_id, content, attachment_ids = [] }) {
    const kept = { client_id: newId(), conversation_id, content, attachment_ids, at: Date.now() };
    const item = { ...kept, error: "", tries: 0 };
    this.#items.set(item.client_id, item);
    this.#keep(item);
    this.#send(item);
    this.#changed(item);
    return item;
  }

  #keep({ client_id, conversation_id, content, attachment_ids, at }) {
    const kept = JSON.stringify({ client_id, conversation_id, content, attachment_ids, at });
    try {
      localStorage.setItem(this.prefix + client_id, kept);
    } catch {
      // A full or forbidden storage: the message still goes out from here.
    }
  }

  #send(item) {
    const { client_id, conversation_id, content, attachment_ids } = item;
    clearTimeout(this.#timers.get(client_id));
    const frame = { type: "send_message", conversation_id, content, client_id };
    if (attachment_ids?.length) frame.attachment_ids = attachment_ids;
    if (!this.line.send(frame)) return;
    item.tries += 1;
    const timer = setTimeout(() => {
      if (this.line.state === "online") this.#fail(item, "No answer came from the studio.");
    }, ACK_WITHIN);
    this.#timers.set(client_id, timer);
  }

  /** The socket has just joined this conversation: everything that waits for it goes out. */
  flush(conversationId) {
    for (const item of this.of(conversationId)) if (!item.error) this.#send(item);
  }

  retry(clientId) {
    const item = this.#items.get(clientId);
    if (!item) return;
    Object.assign(item, { error: "", tries: 0 });
    this.#send(item);
    this.#changed(item);
  }

  /** Stored as `seq`: safe now, but shown from here until the log itself has come that far. */
  acknowledged(clientId, seq) {
    const item = this.#items.get(clientId);
    if (!item) return;
    clearTimeout(this.#timers.get(clientId));
    item.seq = seq;
    localStorage.removeItem(this.prefix + clientId);
  }

  /** Lets go of what the log of this conversation shows by now. */
  settle(conversation) {
    const shown = new Set(conversation.messages.map((each) => each.client_id));
    for (const item of this.of(conversation.id)) {
      if (shown.has(item.client_id) || item.seq <= conversation.tail) this.remove(item.client_id);
    }
  }

  /** Stored, or no longer wanted. */
  remove(clientId) {
    const item = this.#items.get(clientId);
    if (!item) return;
    clearTimeout(this.#timers.get(clientId));
    this.#timers.delete(clientId);
    this.#items.delete(clientId);
    localStorage.removeItem(this.prefix + clientId);
    this.#changed(item);
  }

  /** The server refused it, now or for good. */
  refused(clientId, code, message) {
    const item = this.#items.get(clientId);
    if (!item) return;
    if (PASSING.has(code) && item.tries < MOST_TRIES) {
      clearTimeout(this.#timers.get(clientId));
      this.#timers.set(clientId, setTimeout(() => this.#send(item), AGAIN_AFTER * item.tries));
    } else {
      this.#fail(item, message);
    }
  }

  #fail(item, why) {
    clearTimeout(this.#timers.get(item.client_id));
    item.error = why;
    this.#changed(item);
  }

  #changed(item) {
    this.dispatchEvent(new CustomEvent("changed", { detail: item.conversation_id }));
  }
}
