// Faces and labels: avatars, "AI persona", "Human".

import { el } from "./dom.js";

/** The round picture or first letter of somebody. */
export function face(somebody, { size = "", online = false } = {}) {
  const classes = ["avatar", size, online ? "online" : "", somebody.kind === "persona" ? "persona" : ""];
  const letter = [...(somebody.name || "?")][0].toUpperCase();
  const inside = somebody.avatar
    ? el("img", { src: somebody.avatar, alt: "", loading: "lazy" })
    : letter;
  return el("span", { class: classes.filter(Boolean).join(" "), "aria-hidden": "true" }, inside);
}

/** The mark of everything that a program wrote. */
export const aiTag = (text = "AI persona") => el("span", { class: "tag" }, text);

/** The mark of a person who answers in a persona's place. */
export const humanTag = (text = "Human, from the team") => el("span", { class: "tag human" }, text);

/** Who or what a conversation looks like in a list. */
export function faceOf(conversation, me) {
  if (conversation.persona && conversation.is_mine) return { ...conversation.persona, kind: "persona" };
  if (conversation.kind === "direct") {
    return [...conversation.members.values()].find((each) => each.id !== me.id) ?? { name: "?" };
  }
  return { name: conversation.title, kind: conversation.kind };
}

/** "Amira", "Amira and Kei", "Amira, Kei and 2 others". */
export function named(names) {
  if (names.length < 2) return names.join("");
  if (names.length === 2) return names.join(" and ");
  const rest = names.length - 2;
  return `${names[0]}, ${names[1]} and ${rest} other${rest > 1 ? "s" : ""}`;
}
