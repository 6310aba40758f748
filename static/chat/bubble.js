// One message, one pending message, one answer being written: each as a list item of the log.

import { button, el, iconButton } from "./dom.js";
import { aiTag, face, humanTag } from "./faces.js";
import { fromText, nodesOf } from "./text.js";
import { fullTimeOf, timeOf } from "./times.js";

const time = (iso) => el("time", { datetime: iso, title: fullTimeOf(iso) }, timeOf(iso));

function sizeOf(bytes) {
  if (bytes < 1_000) return `${bytes} bytes`;
  return bytes < 1_000_000 ? `${Math.round(bytes / 1_000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function attachment({ name, mime, url, size, width, height }) {
  const label = `${name}, ${sizeOf(size)}`;
  if (/^image\/(png|jpeg|gif|webp)$/.test(mime)) {
    const picture = el("img", { src: url, alt: name, width, height, loading: "lazy" });
    return el("a", { class: "picture", href: url, target: "_blank", rel: "noopener", title: label }, picture);
  }
  return el("a", { class: "file", href: url, download: name }, el("bdi", {}, name), el("span", {}, sizeOf(size)));
}

function who(message, { conversation }) {
  const member = conversation.members.get(message.sender_id);
  // Who has just taken over may speak before the list of members is fetched anew.
  const fromTeam = conversation.kind === "persona" && message.sender_kind === "user" && (member?.is_staff ?? true);
  return el(
    "p",
    { class: "who" },
    el("bdi", {}, message.sender_name),
    " ",
    message.is_ai ? aiTag() : null,
    fromTeam ? humanTag() : null,
    " ",
    time(message.timestamp),
  );
}

function reactions(message, { conversation, me, react }) {
  const kinds = Object.entries(message.reactions ?? {}).filter(([, people]) => people.length);
  if (!kinds.length) return null;
  return el(
    "div",
    { class: "reactions" },
    kinds.map(([emoji, people]) => {
      const mine = people.includes(me.id);
      const names = people.map((id) => (id === me.id ? "You" : conversation.members.get(id)?.name ?? "Somebody"));
      const label = `${emoji}: ${names.join(", ")}. ${mine ? "Take yours back" : "Add yours"}`;
      return el(
        "button",
        { type: "button", "aria-pressed": String(mine), "aria-label": label, title: names.join(", "), on: { click: () => react(message, emoji, mine) } },
        el("span", { class: "emoji" }, emoji),
        ` ${people.length}`,
      );
    }),
  );
}

/** The line that pages through the versions of an answer. */
function versions(message, { showVersion, shown }) {
  const count = message.reply?.versions ?? 1;
  if (count < 2) return null;
  const at = shown?.number ?? count;
  return el(
    "p",
    { class: "versions" },
    iconButton("back", "Earlier version", () => showVersion(message, at - 1), { disabled: at <= 1 }),
    el("span", {}, `Version ${at} of ${count}`),
    iconButton("back", "Later version", () => showVersion(message, at + 1), { disabled: at >= count, class: "icon next" }),
  );
}

/** A message of the log. */
export function messageItem(message, context) {
  const { me, follows, state, shown, writing } = context;
  if (message.kind === "notice") return noticeItem(message);
  const mine = message.sender_kind === "user" && message.sender_id === me.id;
  const classes = ["msg", mine ? "mine" : "", follows ? "follow" : "", message.is_ai ? "ai" : ""];
  const item = el("li", { class: classes.filter(Boolean).join(" "), id: `m-${message.seq}`, tabindex: "-1", data: { id: message.id } });
  if (mine) item.append(el("span", { class: "visually-hidden" }, `You, ${timeOf(message.timestamp)}:`));
  else item.append(face({ name: message.sender_name, kind: message.sender_kind, avatar: context.conversation.members.get(message.sender_id)?.avatar }, { size: "small" }));
  // Grouping hides a person's name, never the mark of an AI persona.
  if (!mine && (!follows || message.is_ai)) item.append(who(message, context));
  const bubble = el("div", { class: "bubble" });
  if (writing) {
    bubble.append(streamOf(writing));
  } else if (message.deleted) {
    bubble.classList.add("gone");
    bubble.append(el("p", {}, "This message was deleted"));
  } else {
    bubble.append(nodesOf(shown ?? message));
    for (const each of message.attachments ?? []) bubble.append(attachment(each));
    const edited = message.edited_at && !message.is_ai;
    if (edited) bubble.append(el("p", { class: "edited", title: fullTimeOf(message.edited_at) }, "edited"));
  }
  item.append(bubble);
  if (writing) item.append(stopTools(writing, context));
  for (const extra of [reactions(message, context), !writing && versions(message, context)]) if (extra) item.append(extra);
  if (message.isStopped && !writing) {
    item.append(el("p", { class: "note" }, "Stopped here. ", button("Write it again", () => context.regenerate(message.reply.id), { class: "text-button" })));
  }
  if (state) item.append(el("p", { class: "state" }, time(message.timestamp), state === "seen" ? " Seen" : " Sent"));
  return item;
}

function noticeItem(message) {
  const first = message.seq === 1 && /\bAI persona\b/.test(message.content);
  const long = message.content.length > 120;
  const item = el("li", { class: first ? "notice disclosure" : long ? "notice care" : "notice", id: `m-${message.seq}`, tabindex: "-1", title: fullTimeOf(message.timestamp) });
  if (first) item.append(aiTag());
  item.append(fromText(message.content));
  return item;
}

/** A message that is on its way. */
export function pendingItem(item, { isOnline, retry, discard }) {
  const node = el("li", { class: `msg mine pending${item.error ? " failed" : ""}`, tabindex: "-1" });
  node.append(el("span", { class: "visually-hidden" }, "You, not sent yet:"), el("div", { class: "bubble" }, fromText(item.content), item.attachment_ids?.length ? el("p", {}, `${item.attachment_ids.length} attached`) : null));
  if (item.error) {
    node.append(
      el(
        "p",
        { class: "state failed" },
        `Not sent. ${item.error} `,
        button("Try again", () => retry(item.client_id), { class: "text-button" }),
        " or ",
        button("discard", () => discard(item.client_id), { class: "text-button" }),
      ),
    );
  } else {
    node.append(el("p", { class: "state" }, isOnline ? "Sending" : "Waiting for the connection"));
  }
  return node;
}

/** The text that has come so far, with a caret behind it. */
export function streamOf(answer) {
  const nodes = fromText(answer.text);
  const last = nodes.lastElementChild;
  const caret = el("span", { class: "caret", "aria-hidden": "true" });
  if (last?.tagName === "P") last.append(caret);
  else nodes.append(el("p", {}, caret));
  return nodes;
}

function stopTools(answer, { stop }) {
  return el("div", { class: "tools" }, button([ "Stop ", el("kbd", {}, "Esc") ], () => stop(answer.reply_id), { "aria-label": "Stop the answer (Esc)" }));
}

/** An answer that is being written, or that ended without words. */
export function answerItem(answer, context) {
  const { conversation, regenerate } = context;
  const persona = conversation.members.get(answer.persona_id) ?? { name: answer.persona_name ?? conversation.persona?.name ?? "", kind: "persona" };
  const item = el("li", { class: `msg ai answer ${answer.state}`, tabindex: "-1" });
  item.append(face({ ...persona, kind: "persona" }, { size: "small" }));
  item.append(el("p", { class: "who" }, el("bdi", {}, persona.name), " ", aiTag()));
  if (answer.state === "writing") {
    item.append(el("div", { class: "bubble", "aria-busy": "true" }, streamOf(answer)), stopTools(answer, context));
    return item;
  }
  const words = {
    stopped: "You stopped this answer before there was anything to keep.",
    held: answer.message,
    failed: `${answer.message || "This answer could not be written."} The conversation goes on: write, or try again.`,
  }[answer.state];
  item.append(el("div", { class: "bubble trouble" }, el("p", {}, words)));
  if (answer.retry) {
    const label = answer.state === "stopped" ? "Write it again" : "Try again";
    item.append(el("div", { class: "tools" }, button(label, () => regenerate(answer.reply_id))));
  }
  return item;
}

export function dayItem(name) {
  return el("li", { class: "day" }, el("span", {}, name));
}

export function newItem() {
  return el("li", { class: "day new" }, el("span", {}, "New"));
}
