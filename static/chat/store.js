// What the page knows: conversations, their messages in the order of `seq`, who has read what.
//
// Events of the server come in through `apply`; views hear of it by name: "conversations",
// "messages", "arrived", "gap", "read", "holder", "members".

/** A conversation as the server shows it, with room for its log. */
function withRoom(shape) {
  return {
    ...shape,
    members: new Map(shape.members.map((each) => [each.id, each])),
    /** Messages by id, and in order. */
    byId: new Map(),
    messages: [],
    isLoaded: false,
    hasOlder: false,
    /** Everything up to this `seq` has been shown here; what follows must be the next. */
    tail: 0,
    /** The first unread message when this was opened: the "New" line stands above it. */
    newFrom: null,
  };
}

export class Store extends EventTarget {
  constructor({ me, longest, conversations, current, log }) {
    super();
    this.me = me;
    this.longest = longest;
    this.conversations = new Map();
    this.currentId = current;
    this.setConversations(conversations);
    if (log) this.setLog(log);
  }

  get current() {
    return this.conversations.get(this.currentId) ?? null;
  }

  /** Conversations, the newest first. */
  get list() {
    const at = (each) => each.last?.timestamp ?? "";
    return [...this.conversations.values()].sort((a, b) => (at(a) < at(b) ? 1 : at(a) > at(b) ? -1 : 0));
  }

  get unread() {
    return this.list.reduce((sum, each) => sum + this.unreadIn(each), 0);
  }

  unreadIn(conversation) {
    return Math.max(0, conversation.last_seq - conversation.read_seq);
  }

  isMine(message) {
    return message.sender_kind === "user" && message.sender_id === this.me.id;
  }

  #say(name, detail = {}) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  // -- What is fetched ---------------------------------------------------------------------------

  setConversations(shapes) {
    const ids = new Set(shapes.map((each) => each.id));
    for (const id of this.conversations.keys()) if (!ids.has(id)) this.conversations.delete(id);
    for (const shape of shapes) {
      const known = this.conversations.get(shape.id);
      if (!known) {
        this.conversations.set(shape.id, withRoom(shape));
        continue;
      }
      const members = new Map(shape.members.map((each) => [each.id, each]));
      const read_seq = Math.max(known.read_seq, shape.read_seq);
      const { last_change } = known;
      Object.assign(known, shape, { members, read_seq, last_change });
    }
    this.#say("conversations");
  }

  /** The end of a log, fetched. */
  setLog({ conversation_id, messages, older, last_change }) {
    const conversation = this.conversations.get(conversation_id);
    if (!conversation) return;
    conversation.messages = [];
    conversation.byId.clear();
    for (const each of messages) this.#put(conversation, each);
    conversation.isLoaded = true;
    conversation.hasOlder = older;
    conversation.last_change = last_change;
    conversation.tail = messages.at(-1)?.seq ?? 0;
    conversation.last_seq = Math.max(conversation.last_seq, conversation.tail);
    this.#say("messages", { conversation });
  }

  /** Older messages, fetched; they go above. */
  addOlder({ conversation_id, messages, older }) {
    const conversation = this.conversations.get(conversation_id);
    if (!conversation) return;
    const fresh = messages.filter((each) => !conversation.byId.has(each.id));
    for (const each of fresh) conversation.byId.set(each.id, each);
    conversation.messages.unshift(...fresh);
    conversation.hasOlder = older;
    this.#say("messages", { conversation, above: true });
  }

  #put(conversation, message) {
    const known = conversation.byId.get(message.id);
    if (known) conversation.messages[conversation.messages.indexOf(known)] = message;
    else conversation.messages.push(message);
    conversation.byId.set(message.id, message);
  }

  /** The same message with something changed; views compare objects, so it is a new one. */
  change(conversation, id, changed) {
    const known = conversation.byId.get(id);
    if (!known) return;
    this.#put(conversation, { ...known, ...changed });
    this.#say("messages", { conversation });
  }

  // -- What the socket brings --------------------------------------------------------------------

  apply(event) {
    const conversation = this.conversations.get(event.conversation_id);
    if (conversation) this.#handlers[event.type]?.call(this, conversation, event);
  }

  #handlers = {
    conversation_joined(conversation, event) {
      conversation.role = event.role;
      this.#setHolder(conversation, event);
      this.#readUpTo(conversation, event.read_seq);
      if (event.last_seq > conversation.last_seq) this.#say("behind", { conversation });
    },

    new_message(conversation, { message }) {
      if (message.seq > conversation.last_seq) {
        conversation.last_seq = message.seq;
        conversation.last = { ...message, content: message.content.slice(0, 160) };
        this.#say("conversations");
      }
      if (conversation.isLoaded) {
        if (message.seq > conversation.tail + 1) {
          this.#say("gap", { conversation });
          return;
        }
        if (message.seq <= conversation.tail) return;
        conversation.tail = message.seq;
        this.#put(conversation, message);
        this.#say("messages", { conversation });
      }
      this.#say("arrived", { conversation, message });
    },

    message_edited(conversation, { message }) {
      conversation.last_change = Math.max(conversation.last_change, message.change ?? 0);
      this.#relast(conversation, message);
      if (conversation.byId.has(message.id)) {
        this.#put(conversation, message);
        this.#say("messages", { conversation });
      }
    },

    message_deleted(conversation, { message_id, change, seq }) {
      conversation.last_change = Math.max(conversation.last_change, change);
      const empty = { content: "", deleted: true, html: undefined, attachments: undefined, reactions: undefined };
      if (conversation.last?.seq === seq) this.#relast(conversation, { ...conversation.last, ...empty });
      this.change(conversation, message_id, empty);
    },

    reactions(conversation, { message_id, reactions, change }) {
      conversation.last_change = Math.max(conversation.last_change, change);
      this.change(conversation, message_id, { reactions });
    },

    resumed(conversation, { last_change, last_seq, more }) {
      if (last_change) conversation.last_change = Math.max(conversation.last_change, last_change);
      if (more) this.#say("gap", { conversation, from: last_seq });
    },

    read(conversation, { user_id, seq }) {
      if (user_id === this.me.id) this.#readUpTo(conversation, seq);
      const member = conversation.members.get(user_id);
      if (member) member.read_seq = Math.max(member.read_seq, seq);
      this.#say("read", { conversation });
    },

    holder_changed(conversation, event) {
      this.#setHolder(conversation, event);
    },

    conversation_left(conversation, { reason }) {
      if (reason !== "removed") return;
      this.conversations.delete(conversation.id);
      this.#say("removed", { conversation });
      this.#say("conversations");
    },

    members_changed(conversation) {
      this.#say("behind", { conversation });
    },
  };

  #relast(conversation, message) {
    if (conversation.last?.seq !== message.seq) return;
    conversation.last = { ...conversation.last, content: message.content.slice(0, 160), deleted: message.deleted };
    this.#say("conversations");
  }

  #setHolder(conversation, { holder, holder_name }) {
    if (conversation.holder === holder && conversation.holder_name === holder_name) return;
    Object.assign(conversation, { holder, holder_name });
    this.#say("holder", { conversation });
    this.#say("behind", { conversation });
  }

  #readUpTo(conversation, seq) {
    if (seq <= conversation.read_seq) return;
    conversation.read_seq = seq;
    this.#say("conversations");
  }

  /** The reader has seen everything here; true when that is news. */
  see(conversation) {
    const news = conversation.last_seq > conversation.read_seq;
    this.#readUpTo(conversation, conversation.last_seq);
    return news;
  }
}
