// The smallest client that never loses a message: node chat-client.mjs URL TOKEN CONVERSATION
const FINAL = new Set([4401, 4403, 4404]);
const LATER = new Set(["rate_limited", "unavailable"]);

export class Chat {
  constructor(url, token, conversationId, onMessage) {
    Object.assign(this, { url, token, conversationId, onMessage });
    this.lastSeq = 0;
    // Sent and not yet acknowledged, by client id: sent again after every reconnect.
    this.pending = new Map();
    this.wait = 100;
    this.connect();
  }

  connect() {
    // In a page of the studio itself the session cookie is enough: no protocols needed.
    const protocols = this.token ? ["gator", `bearer.${this.token}`] : ["gator"];
    this.socket = new WebSocket(this.url, protocols);
    this.socket.onopen = () => this.say("join_conversation", { last_seq: this.lastSeq });
    this.socket.onmessage = ({ data }) => this.receive(JSON.parse(data));
    this.socket.onclose = ({ code }) => {
      if (this.closed || FINAL.has(code)) return;
      setTimeout(() => this.connect(), this.wait * (0.5 + Math.random()));
      this.wait = Math.min(this.wait * 2, 10_000);
    };
  }

  say(type, fields) {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    this.socket.send(JSON.stringify({ type, conversation_id: this.conversationId, ...fields }));
  }

  send(content) {
    const clientId = crypto.randomUUID();
    this.pending.set(clientId, content);
    this.say("send_message", { content, client_id: clientId });
    return clientId;
  }

  receive(event) {
    if (event.type === "new_message" && event.message.seq > this.lastSeq) {
      this.lastSeq = event.message.seq;
      this.onMessage(event.message);
    } else if (event.type === "ack") {
      this.pending.delete(event.client_id);
    } else if (event.type === "error" && this.pending.has(event.client_id)) {
      const { client_id } = event;
      if (!LATER.has(event.code)) return this.pending.delete(client_id);
      setTimeout(() => {
        const content = this.pending.get(client_id);
        if (content !== undefined) this.say("send_message", { content, client_id });
      }, 1000);
    } else if (event.type === "resumed") {
      this.wait = 100;
      if (event.more) return this.say("resume", { last_seq: this.lastSeq });
      for (const [client_id, content] of this.pending) {
        this.say("send_message", { content, client_id });
      }
    }
  }

  close() {
    this.closed = true;
    this.socket.close();
  }
}

if (globalThis.process?.argv?.[1]?.endsWith("chat-client.mjs")) {
  const [url, token, conversation, words] = process.argv.slice(2);
  const chat = new Chat(url, token, conversation, (message) => {
    const sender = message.sender_name + (message.is_ai ? " (AI)" : "");
    console.log(`${message.seq} ${sender}: ${message.content}`);
  });
  if (words) chat.send(words);
}
