// Answers that personas write: what has come of each so far, and how those ended that left no
// message. A finished answer is a message of the log like any other.

/** How long a persona may be silent after a message before the page says so. */
const PATIENCE = 20_000;
/** Deltas that do not fit ask for the whole text again, but not more often than this. */
const RESUME_EVERY = 700;

const points = (text) => [...text].length;

export class Replies extends EventTarget {
  /** conversation id -> reply id -> answer */
  #answers = new Map();
  /** conversation id -> {since, timer, isLate} */
  #waiting = new Map();
  #resumedAt = 0;

  constructor(store) {
    super();
    this.store = store;
  }

  /** All answers to show in this conversation. */
  of(conversationId) {
    return [...(this.#answers.get(conversationId)?.values() ?? [])];
  }

  /** The one that is being written now, if any. */
  writingIn(conversationId) {
    return this.of(conversationId).find((each) => each.state === "writing") ?? null;
  }

  /** The answer that is rewriting this message, if one is. */
  rewriting(conversationId, message) {
    const answer = message.reply && this.#answers.get(conversationId)?.get(message.reply.id);
    return answer?.state === "writing" ? answer : null;
  }

  /** "", "thinking" or "late": a message waits for its answer and nothing has come yet. */
  waitingIn(conversationId) {
    const waiting = this.#waiting.get(conversationId);
    return waiting ? (waiting.isLate ? "late" : "thinking") : "";
  }

  /** Those that failed before this page was opened. */
  recall(conversationId, replies) {
    for (const each of replies) {
      this.#set(conversationId, each.reply_id, { ...each, text: "", state: "failed", retry: true });
    }
    this.#changed(conversationId);
  }

  /** One's own message was stored: a persona will answer it. */
  expect(conversation) {
    if (conversation.kind !== "persona" || conversation.holder !== "ai" || !conversation.is_mine) return;
    this.#expectNothing(conversation.id);
    const waiting = { isLate: false };
    waiting.timer = setTimeout(() => {
      waiting.isLate = true;
      this.#changed(conversation.id);
    }, PATIENCE);
    this.#waiting.set(conversation.id, waiting);
    this.#changed(conversation.id);
  }

  #expectNothing(conversationId) {
    clearTimeout(this.#waiting.get(conversationId)?.timer);
    this.#waiting.delete(conversationId);
  }

  apply(event) {
    this.#handlers[event.type]?.call(this, event);
  }

  #handlers = {
    reply_started(event) {
      const { conversation_id, reply_id, text } = event;
      this.#expectNothing(conversation_id);
      const known = this.#answers.get(conversation_id)?.get(reply_id);
      // A resume brings the last checkpoint, which may be behind what has been seen already.
      if (known?.state === "writing" && known.version === event.version && points(text) < known.length) return;
      this.#set(conversation_id, reply_id, { ...event, state: "writing", length: points(text) });
      this.#changed(conversation_id);
    },

    reply_delta({ conversation_id, reply_id, version, at, text }) {
      const answer = this.#answers.get(conversation_id)?.get(reply_id);
      if (!answer || answer.state !== "writing" || answer.version !== version || at > answer.length) {
        if (!answer || answer.state === "writing") this.#askAgain(conversation_id);
        return;
      }
      const fresh = [...text].slice(answer.length - at);
      answer.text += fresh.join("");
      answer.length += fresh.length;
      this.dispatchEvent(new CustomEvent("delta", { detail: { conversationId: conversation_id, answer } }));
    },

    reply_finished({ conversation_id, reply_id, version, message_id }) {
      this.#drop(conversation_id, reply_id);
      this.#tie(conversation_id, message_id, reply_id, version, false);
      this.dispatchEvent(new CustomEvent("finished", { detail: conversation_id }));
    },

    reply_stopped(event) {
      const { conversation_id, reply_id, version, reason, message_id } = event;
      this.#expectNothing(conversation_id);
      const known = this.#answers.get(conversation_id)?.get(reply_id);
      if (message_id) {
        this.#drop(conversation_id, reply_id);
        this.#tie(conversation_id, message_id, reply_id, version, reason === "stopped");
      } else if (["taken_over", "discarded"].includes(reason) || (reason === "held" && !event.message)) {
        this.#drop(conversation_id, reply_id);
      } else {
        const state = reason === "stopped" ? "stopped" : reason === "held" ? "held" : "failed";
        this.#set(conversation_id, reply_id, { ...known, ...event, state });
        this.#changed(conversation_id);
      }
    },

    new_message({ conversation_id, message }) {
      if (message.sender_kind !== "persona") {
        if (message.kind === "notice") return;
        if (message.sender_id !== this.store.me.id) return;
        // Older troubles are settled by going on.
        for (const each of this.of(conversation_id)) {
          if (each.state === "stopped" || each.state === "held") this.#drop(conversation_id, each.reply_id);
        }
        return;
      }
      this.#expectNothing(conversation_id);
      const answer = this.of(conversation_id).find(
        (each) => each.state === "writing" && each.persona_id === message.sender_id,
      );
      // The message is there: the stream must not stand beside it for even a frame.
      if (answer) {
        this.#drop(conversation_id, answer.reply_id);
        this.#tie(conversation_id, message.id, answer.reply_id, answer.version, false);
      }
    },

    holder_changed({ conversation_id, holder }) {
      if (holder !== "human") return;
      this.#expectNothing(conversation_id);
      this.#answers.delete(conversation_id);
      this.#changed(conversation_id);
    },
  };

  /** Everything that was being written is uncertain after a break; the resume tells it anew. */
  forgetStreams() {
    for (const [conversationId, answers] of this.#answers) {
      for (const [id, each] of answers) if (each.state === "writing") answers.delete(id);
      this.#changed(conversationId);
    }
  }

  #askAgain(conversationId) {
    if (Date.now() - this.#resumedAt < RESUME_EVERY) return;
    this.#resumedAt = Date.now();
    this.dispatchEvent(new CustomEvent("mismatch", { detail: conversationId }));
  }

  #set(conversationId, replyId, answer) {
    if (!this.#answers.has(conversationId)) this.#answers.set(conversationId, new Map());
    this.#answers.get(conversationId).set(replyId, answer);
  }

  #drop(conversationId, replyId) {
    if (this.#answers.get(conversationId)?.delete(replyId)) this.#changed(conversationId);
  }

  /** Remember which answer a message came from, so that it can be written again. */
  #tie(conversationId, messageId, replyId, version, isStopped) {
    const conversation = this.store.conversations.get(conversationId);
    if (!conversation) return;
    const reply = { id: replyId, version, versions: version };
    this.store.change(conversation, messageId, { reply, isStopped });
  }

  #changed(conversationId) {
    this.dispatchEvent(new CustomEvent("changed", { detail: conversationId }));
  }
}
