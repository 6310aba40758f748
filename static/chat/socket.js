// The line to the server: opens, listens, notices when it is dead, and comes back with patience.
//
// States: connecting, online, offline (with `retryAt`), signed-out, refused. The last two are the
// end: only a person can do something about them.

const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 30_000;
const PING_EVERY = 25_000;
const PONG_WITHIN = 10_000;
const OPEN_WITHIN = 15_000;

const CLOSED_FOR_GOOD = { 4401: "signed-out", 4403: "refused", 4404: "refused" };

export class Line extends EventTarget {
  state = "connecting";
  /** When the next try is due, in milliseconds since 1970; 0 when none is planned. */
  retryAt = 0;
  #socket = null;
  #tries = 0;
  #retry = 0;
  #ping = 0;
  #pong = 0;
  #opening = 0;

  constructor(address) {
    super();
    this.address = address;
    addEventListener("online", () => this.tryNow());
    addEventListener("offline", () => this.#lost());
    // A laptop that wakes up should not wait for its old back-off.
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.state === "offline") this.tryNow();
    });
  }

  open() {
    this.#drop();
    this.#become("connecting");
    const socket = new WebSocket(this.address);
    this.#socket = socket;
    this.#opening = setTimeout(() => this.#lost(), OPEN_WITHIN);
    socket.onopen = () => {
      clearTimeout(this.#opening);
      this.#ping = setInterval(() => this.#check(), PING_EVERY);
      this.#become("online");
    };
    socket.onmessage = (message) => this.#received(message.data);
    socket.onclose = (closing) => this.#closed(closing.code);
  }

  /** Sends a frame if the line is up; false when it is not. */
  send(frame) {
    if (this.state !== "online" || this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  tryNow() {
    if (this.state === "offline") this.open();
  }

  #received(text) {
    clearTimeout(this.#pong);
    this.#pong = 0;
    let event;
    try {
      event = JSON.parse(text);
    } catch {
      return;
    }
    // Only a server that speaks proves that waiting may begin anew; some close right after open.
    if (event.type === "online_users" || event.type === "conversation_joined") this.#tries = 0;
    this.dispatchEvent(new CustomEvent("event", { detail: event }));
  }

  #check() {
    this.send({ type: "ping" });
    if (!this.#pong) this.#pong = setTimeout(() => this.#lost(), PONG_WITHIN);
  }

  #closed(code) {
    const end = CLOSED_FOR_GOOD[code];
    if (end) {
      this.#drop();
      this.#become(end);
    } else {
      this.#lost(code === 4429 ? 5_000 : 0);
    }
  }

  #lost(atLeast = 0) {
    if (this.state === "signed-out" || this.state === "refused" || this.state === "offline") return;
    this.#drop();
    const longest = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#tries);
    this.#tries += 1;
    // Half of it by chance: a thousand pages must not come back in the same second.
    const wait = Math.max(atLeast, longest / 2 + (Math.random() * longest) / 2);
    this.retryAt = Date.now() + wait;
    this.#retry = setTimeout(() => this.open(), wait);
    this.#become("offline");
  }

  #drop() {
    for (const timer of [this.#opening, this.#retry, this.#pong]) clearTimeout(timer);
    clearInterval(this.#ping);
    this.#pong = 0;
    this.retryAt = 0;
    if (!this.#socket) return;
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#socket = null;
  }

  #become(state) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}
