// The chat page: makes its parts and lets them know of each other. Nothing else knows them all.

import * as api from "./api.js";
import { About } from "./about.js";
import { Banner } from "./banner.js";
import { Composer } from "./composer.js";
import { button, el, part, toast, whenClicked } from "./dom.js";
import { Files } from "./files.js";
import { Log } from "./log.js";
import { Notifications, announce } from "./notifications.js";
import { Outbox } from "./outbox.js";
import { OwnTyping, Presence } from "./presence.js";
import { Rail } from "./rail.js";
import { Replies } from "./replies.js";
import { Room } from "./room.js";
import { Shortcuts } from "./shortcuts.js";
import { Line } from "./socket.js";
import { Store } from "./store.js";
import { Switcher } from "./switcher.js";
import { Tools } from "./tools.js";

const begin = JSON.parse(document.getElementById("begin").textContent);
const store = new Store(begin);
const line = new Line(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/`);
const outbox = new Outbox({ line, owner: store.me.id });
const replies = new Replies(store);
const presence = new Presence();
const ownTyping = new OwnTyping(line);

// -- What people do ------------------------------------------------------------------------------

/** Sends a frame, or says that it cannot be done now. */
function send(frame) {
  if (!line.send(frame)) toast("There is no connection just now. Try again in a moment.");
}

const versionsByReply = new Map();

const actions = {
  react: (message, emoji, remove) => send({ type: "react", message_id: message.id, emoji, remove }),
  edit: (message) => composer.edit(message),
  remove: (message) => send({ type: "delete_message", message_id: message.id }),
  regenerate: (replyId) => {
    versionsByReply.delete(replyId);
    send({ type: "regenerate", reply_id: replyId });
  },
  stop: (replyId) => send({ type: "stop_reply", reply_id: replyId }),
  retry: (clientId) => outbox.retry(clientId),
  discard: (clientId) => outbox.remove(clientId),
  async versionsOf({ reply }) {
    try {
      if (!versionsByReply.has(reply.id)) versionsByReply.set(reply.id, await api.versions(reply.id));
    } catch (error) {
      toast(error.message);
    }
    return versionsByReply.get(reply.id);
  },
};

const composer = new Composer({ store, ownTyping, files: new Files({ store }) });
const log = new Log({ store, outbox, replies, line, actions });

composer.addEventListener("send", ({ detail }) => {
  const { current } = store;
  current.newFrom = null;
  outbox.add({ conversation_id: current.id, ...detail });
  log.toEnd();
});
composer.addEventListener("edited", ({ detail: { message, content } }) => {
  send({ type: "edit_message", message_id: message.id, content });
});
composer.addEventListener("edit-last", () => {
  const last = store.current.messages.findLast((each) => store.isMine(each) && !each.deleted);
  if (last) composer.edit(last);
});

async function tried(work, done) {
  try {
    await work;
    if (done) toast(done);
  } catch (error) {
    toast(error.message);
  }
}

const askForAHuman = ({ id }) => tried(api.askForAHuman(id), "The team has been told.");
const hold = ({ id, holder }) => tried(holder === "human" ? api.handBack(id) : api.takeOver(id));

// -- Going from one conversation to another ------------------------------------------------------

async function open(id, { seq, remember = true } = {}) {
  const conversation = id ? store.conversations.get(id) : null;
  const moved = store.currentId !== (conversation?.id ?? null);
  if (moved) {
    if (store.current) store.current.newFrom = null;
    ownTyping.stop();
    store.currentId = conversation?.id ?? null;
    if (remember) history.pushState(null, "", conversation ? `/chat/${id}/` : "/chat/");
    markNew(conversation);
    store.dispatchEvent(new Event("opened"));
  }
  part("suggestion").hidden = true;
  if (!conversation) return;
  if (!conversation.isLoaded) await load(conversation);
  log.draw();
  if (seq) await jump(conversation, seq);
}

/** The "New" line stands above the first message that had not been read. */
function markNew(conversation) {
  if (!conversation) return;
  const unread = store.unreadIn(conversation) > 0 && conversation.read_seq > 0;
  conversation.newFrom = unread ? conversation.read_seq + 1 : null;
}

async function load(conversation) {
  const list = part("messages");
  list.replaceChildren(el("li", { class: "nothing" }, "Loading"));
  try {
    const found = await api.log(conversation.id);
    store.setLog(found);
    replies.recall(conversation.id, found.replies);
    join(conversation);
  } catch (error) {
    if (store.current !== conversation) return;
    if (error.status === 401) line.open();
    list.replaceChildren(
      el("li", { class: "nothing" }, `The messages could not be loaded. ${error.message} `, button("Try again", () => load(conversation))),
    );
  }
}

let isFetching = false;

async function fetchOlder(conversation, since) {
  if (isFetching || !conversation.hasOlder) return;
  isFetching = true;
  try {
    store.addOlder(await api.log(conversation.id, { before: conversation.messages[0]?.seq, since }));
  } catch (error) {
    toast(error.message);
    // Not at once again: the line above is still in view.
    await new Promise((done) => setTimeout(done, 3000));
  } finally {
    isFetching = false;
  }
}

async function jump(conversation, seq) {
  if (conversation.hasOlder && seq < conversation.messages[0]?.seq) await fetchOlder(conversation, seq);
  // After the frame in which they are drawn.
  requestAnimationFrame(() => requestAnimationFrame(() => log.show(seq)));
}

log.addEventListener("older", () => store.current && fetchOlder(store.current));
addEventListener("popstate", () => {
  const id = location.pathname.match(/^\/chat\/([0-9a-f-]{36})\/?$/)?.[1] ?? null;
  open(id, { remember: false });
});
whenClicked("list", (event) => {
  event.preventDefault();
  open(null);
});

// -- Reading -------------------------------------------------------------------------------------

function see() {
  const { current } = store;
  if (!current?.isLoaded || document.hidden || !document.hasFocus() || !log.isAtEnd) return;
  if (store.see(current)) line.send({ type: "read", conversation_id: current.id, seq: current.last_seq });
}

log.addEventListener("seen", see);
addEventListener("focus", see);
document.addEventListener("visibilitychange", see);

store.addEventListener("arrived", ({ detail: { conversation, message } }) => {
  const away = document.hidden || !document.hasFocus() || !log.isAtEnd;
  if (store.isMine(message)) {
    if (message.client_id) outbox.remove(message.client_id);
    replies.expect(conversation);
  } else if (conversation === store.current) {
    if (away && conversation.newFrom === null && conversation.read_seq < message.seq) conversation.newFrom = message.seq;
    announce(`${message.sender_name || "Notice"}${message.is_ai ? ", AI persona" : ""}: ${message.content}`);
  }
});

// -- The line ------------------------------------------------------------------------------------

/** So many joins at once; the server allows bursts, and others need room in them. */
const JOINS_AT_ONCE = 20;

function join(conversation) {
  const frame = { type: "join_conversation", conversation_id: conversation.id };
  if (conversation.isLoaded) Object.assign(frame, { last_seq: conversation.tail, last_change: conversation.last_change });
  line.send(frame);
}

async function joinAll() {
  const all = store.list.sort((a, b) => (b === store.current) - (a === store.current));
  for (const [at, conversation] of all.entries()) {
    if (at && at % JOINS_AT_ONCE === 0) await new Promise((done) => setTimeout(done, 1000));
    if (line.state !== "online") return;
    join(conversation);
  }
}

const resume = (conversation, from = conversation.tail) =>
  line.send({ type: "resume", conversation_id: conversation.id, last_seq: from, last_change: conversation.last_change });

let refreshing = 0;

/** Reads the list again, a moment later: several reasons in a row need it once. */
function refresh() {
  clearTimeout(refreshing);
  refreshing = setTimeout(async () => {
    try {
      const known = new Set(store.conversations.keys());
      store.setConversations((await api.conversations()).conversations);
      for (const each of store.list) if (!known.has(each.id)) join(each);
    } catch {
      // The next reconnect or event tries again.
    }
  }, 150);
}

let wasOnline = false;
line.addEventListener("state", ({ detail: state }) => {
  if (state === "online") {
    replies.forgetStreams();
    joinAll();
    if (wasOnline) refresh();
    wasOnline = true;
  } else {
    presence.forget();
  }
});

line.addEventListener("event", ({ detail: event }) => {
  if (event.type === "error") {
    failed(event);
    return;
  }
  // The store first: an answer that has become a message is tied to it in the same turn.
  store.apply(event);
  replies.apply(event);
  presence.apply(event);
  if (event.type === "conversation_joined") outbox.flush(event.conversation_id);
  if (event.type === "ack") outbox.acknowledged(event.client_id, event.seq);
  if (event.type === "ack" || event.type === "resumed") settle(event.conversation_id);
  if (event.type === "reply_suggested" && event.conversation_id === store.currentId) suggest(event);
});

function settle(id) {
  const conversation = store.conversations.get(id);
  if (conversation?.isLoaded) outbox.settle(conversation);
}

function failed({ code, message, client_id, conversation_id }) {
  if (client_id) outbox.refused(client_id, code, message);
  else if (code === "rate_limited") setTimeout(() => store.list.forEach((each) => outbox.flush(each.id)), 2000);
  else if (code === "not_member" && conversation_id) refresh();
  else toast(message);
}

store.addEventListener("gap", ({ detail: { conversation, from } }) => resume(conversation, from));
store.addEventListener("behind", refresh);
store.addEventListener("removed", ({ detail: { conversation } }) => {
  if (conversation.id !== store.currentId) return;
  open(null);
  toast(`You are no longer in ${conversation.title}.`);
});
replies.addEventListener("mismatch", ({ detail: id }) => {
  const conversation = store.conversations.get(id);
  if (conversation?.isLoaded) resume(conversation);
});

/** For the person who holds the conversation: what the persona would have said. */
function suggest({ text }) {
  const box = part("suggestion");
  const hide = () => (box.hidden = true);
  const use = () => {
    hide();
    composer.insert(text);
  };
  box.replaceChildren(
    el("p", {}, el("strong", {}, "Suggestion: "), text),
    button("Use it", use, { class: "btn primary" }),
    button("Dismiss", hide),
  );
  box.hidden = false;
}

// -- Everything together -------------------------------------------------------------------------

const about = new About({ store, presence, replies });
const switcher = new Switcher({ store, open });
new Rail({ store, presence, replies, open });
new Room({ store, presence, replies, line, composer, hold, askForAHuman });
new Banner({ line });
new Tools({ store, actions });
new Notifications({ store, open });
new Shortcuts({
  switcher,
  composer,
  toEnd: () => log.toEnd(),
  neighbour(step) {
    const { list } = store;
    const next = list[list.indexOf(store.current) + step];
    if (next) open(next.id);
  },
  escape() {
    if (about.close()) return true;
    if (composer.isEditing) {
      composer.stopEditing();
      return true;
    }
    const writing = store.currentId && replies.writingIn(store.currentId);
    if (writing) actions.stop(writing.reply_id);
    return Boolean(writing);
  },
});

// Whoever sits down at this device next must not find what was written here.
part("sign-out").addEventListener("submit", () => {
  for (const key of Object.keys(localStorage)) {
    if (key.startsWith("gator.draft.") || key.startsWith("gator.outbox.")) localStorage.removeItem(key);
  }
});

if (begin.log) replies.recall(begin.current, begin.log.replies);
markNew(store.current);
log.draw();
line.open();
