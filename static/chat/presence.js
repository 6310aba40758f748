// Who is here, and who is typing. The server says when typing ends; if it cannot, time does.

const TYPING_ENDS = 6_000;
const TELL_EVERY = 3_000;
const IDLE_AFTER = 4_000;

export class Presence extends EventTarget {
  #online = new Set();
  /** conversation id -> user id -> timer */
  #typing = new Map();

  isOnline(userId) {
    return this.#online.has(userId);
  }

  /** Ids of those who are typing here. */
  typingIn(conversationId) {
    return [...(this.#typing.get(conversationId)?.keys() ?? [])];
  }

  apply(event) {
    if (event.type === "online_users") this.#online = new Set(event.user_ids);
    else if (event.type === "presence_update") this.#online[event.online ? "add" : "delete"](event.user_id);
    else if (event.type === "online_status") {
      for (const [id, here] of Object.entries(event.status)) this.#online[here ? "add" : "delete"](id);
    } else if (event.type === "typing_indicator") this.#setTyping(event);
    else if (event.type === "new_message") this.#setTyping({ ...event, user_id: event.message.sender_id, is_typing: false });
    else return;
    this.#changed();
  }

  /** The line is down: what was known about others no longer holds. */
  forget() {
    this.#online.clear();
    this.#typing.clear();
    this.#changed();
  }

  #setTyping({ conversation_id, user_id, is_typing }) {
    if (!this.#typing.has(conversation_id)) this.#typing.set(conversation_id, new Map());
    const here = this.#typing.get(conversation_id);
    clearTimeout(here.get(user_id));
    here.delete(user_id);
    if (!is_typing) return;
    const end = () => {
      here.delete(user_id);
      this.#changed();
    };
    here.set(user_id, setTimeout(end, TYPING_ENDS));
  }

  #changed() {
    this.dispatchEvent(new Event("changed"));
  }
}

/** Tells the others that one is typing: at the start, now and then, and at the end. */
export class OwnTyping {
  #in = null;
  #toldAt = 0;
  #idle = 0;

  constructor(line) {
    this.line = line;
  }

  typed(conversationId) {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.stop(), IDLE_AFTER);
    if (this.#in === conversationId && Date.now() - this.#toldAt < TELL_EVERY) return;
    this.#in = conversationId;
    this.#toldAt = Date.now();
    this.line.send({ type: "typing_start", conversation_id: conversationId });
  }

  stop() {
    clearTimeout(this.#idle);
    if (this.#in) this.line.send({ type: "typing_stop", conversation_id: this.#in });
    this.#in = null;
  }
}
